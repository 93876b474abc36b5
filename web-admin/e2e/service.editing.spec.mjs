import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, enter, fresh, launch, nameOf, open, upstreamUrl } from "./browser.mjs";

let browser;
let page;
let broken;
before(async () => {
  browser = await launch();
  ({ page, broken } = await open(browser));
  await enter(page);
});
after(async () => {
  await browser?.close();
  assert.deepEqual(broken?.(), []);
});

test("what the server refuses stands at its field", async () => {
  await page.goto("/ui/services/new");
  await nameOf(page).fill(fresh("broken"));
  await page.getByRole("textbox", { name: "Url", exact: true }).fill("no url at all");
  await page.getByLabel("Connect").fill("soon");
  await page.getByRole("button", { name: "Create service" }).click();
  await page.getByRole("alert").waitFor();
  for (const label of ["Url", "Connect"]) {
    const field = page.getByRole("textbox", { name: label, exact: true });
    assert.equal(await field.getAttribute("aria-invalid"), "true", `${label} is marked`);
  }
});

test("an edit of somebody else is shown, not overwritten", async () => {
  const name = fresh("shared");
  await call("PUT", `/v1/services/${name}`, { url: upstreamUrl });
  await page.goto(`/ui/services/${name}/edit`);
  await page.getByLabel("Description").fill("mine");
  await call("PUT", `/v1/services/${name}`, { url: upstreamUrl, description: "theirs" });
  await page.getByRole("button", { name: "Save changes" }).click();
  const alert = page.getByRole("alert").filter({ hasText: "was changed meanwhile" });
  await alert.getByText("theirs").waitFor();
  await alert.getByRole("button", { name: "Reload the newest version" }).click();
  await page.waitForFunction(() => document.querySelector("form")?.textContent?.includes("theirs"));
  assert.equal(await page.getByLabel("Description").inputValue(), "theirs");

  await page.getByLabel("Description").fill("both");
  await page.getByRole("button", { name: "Save changes" }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  assert.equal((await call("GET", `/v1/services/${name}`)).description, "both");
});

test("a service that a route leads to is kept, and the dialog says why", async () => {
  const name = fresh("used");
  await call("PUT", `/v1/services/${name}`, { url: upstreamUrl });
  await call("PUT", `/v1/routes/${name}`, { service: name, match: { path: `/${name}` } });
  await page.goto(`/ui/services/${name}`);
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete service" }).click();
  await page.getByRole("dialog").getByRole("alert").waitFor();

  await call("DELETE", `/v1/routes/${name}`);
  await page.getByRole("dialog").getByRole("button", { name: "Delete service" }).click();
  await page.getByRole("heading", { name: "Services", level: 1 }).waitFor();
});

test("markup in a description is text and nothing else", async () => {
  const name = fresh("markup");
  const nasty = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
  await call("PUT", `/v1/services/${name}`, { url: upstreamUrl, description: nasty, tags: ["<b>bold</b>"] });
  for (const path of [`/ui/services?q=${name}`, `/ui/services/${name}`, `/ui/services/${name}/edit`]) {
    await page.goto(path);
    await page.getByText(nasty).or(page.getByLabel("Description")).first().waitFor();
    assert.equal(await page.locator("img[src=x]").count(), 0);
    assert.notEqual(await page.title(), "taken");
  }
});

test("a policy's config is a form, JSON on demand, and problems land inside it", async () => {
  const name = fresh("limit");
  await page.goto("/ui/policies/new?kind=rate-limit");
  await nameOf(page).fill(name);
  const window = page.getByLabel("Window");
  await window.fill("soonish");
  await page.getByRole("button", { name: "Create policy" }).click();
  await page.getByRole("alert").first().waitFor();
  assert.equal(await window.getAttribute("aria-invalid"), "true");

  await window.fill("1m");
  await page.getByRole("tab", { name: "JSON" }).click();
  const json = page.getByLabel("Config as JSON");
  const config = JSON.parse(await json.inputValue());
  assert.equal(config.limits[0].window, "1m");
  await json.fill("{ not json");
  await page.getByRole("button", { name: "Create policy" }).click();
  await page.getByText("this is not a JSON object").waitFor();
  config.limits[0].limit = 1_000_000;
  await json.fill(JSON.stringify(config));
  await page.getByRole("button", { name: "Create policy" }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  assert.equal((await call("GET", `/v1/policies/${name}`)).config.limits[0].limit, 1_000_000);
  await call("DELETE", `/v1/policies/${name}`);
});
