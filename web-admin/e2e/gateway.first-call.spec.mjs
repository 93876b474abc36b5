import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, eventually, fresh, launch, nameOf, open, proxyUrl, upstreamUrl } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("from signing in to a call with a key, and to its end", async () => {
  const { context, page, broken } = await open(browser);
  const name = fresh("tour");
  const path = `/${name}`;
  const status = async (headers) => (await fetch(proxyUrl + path, { headers, redirect: "manual" })).status;
  const menu = page.getByRole("navigation", { name: "Main" });

  await enter(page);

  await menu.getByRole("link", { name: "Services" }).click();
  await page.getByRole("link", { name: "Create service" }).click();
  await nameOf(page).fill(name);
  await page.getByRole("textbox", { name: "Url", exact: true }).fill(upstreamUrl);
  const command = page.getByRole("region", { name: "curl command" });
  assert.match(await command.textContent(), /Bearer \$TOKEN/);
  assert.ok((await command.textContent()).includes(name));
  await page.getByRole("button", { name: "Create service" }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();

  await page.getByRole("link", { name: "Create route" }).click();
  await nameOf(page).fill(name);
  await page.getByLabel("Path 1", { exact: true }).fill(path);
  await page.getByLabel("Strip prefix").check();
  await page.getByRole("button", { name: "Create route" }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  await eventually(async () =>
    assert.equal(await status(), 200, "the route is open before it asks for a key"),
  );

  await menu.getByRole("link", { name: "Services" }).click();
  await page.getByRole("searchbox", { name: "Search services" }).fill(name);
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByRole("link", { name: "Attach policy" }).click();
  await page.getByRole("link", { name: /key-auth/ }).click();
  await page.getByRole("tab", { name: "JSON" }).waitFor();
  await page.getByRole("button", { name: "Create policy" }).click();
  await page.getByRole("heading", { name: `${name}-key-auth`, level: 1 }).waitFor();
  await eventually(async () => assert.equal(await status(), 401, "without a key"));

  await menu.getByRole("link", { name: "Consumers" }).click();
  await page.getByRole("link", { name: "Create consumer" }).click();
  await nameOf(page).fill(name);
  await page.getByRole("button", { name: "Create consumer" }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();

  await page.getByRole("button", { name: "Issue key" }).click();
  const asks = page.getByRole("dialog", { name: `Issue a key for ${name}` });
  await asks.getByLabel("Label").fill("laptop");
  await asks.getByRole("button", { name: "Issue key" }).click();
  const told = page.getByRole("dialog", { name: `The key of ${name}` });
  const key = await told.getByLabel("Key", { exact: true }).inputValue();
  assert.match(key, /^tg_/);
  await told.getByText(/1 of 1 node|nodes? confirmed/).waitFor();
  await told.getByRole("button", { name: "I have stored it" }).click();
  assert.ok(!(await page.content()).includes(key), "the key is shown once");
  await eventually(async () => assert.equal(await status({ "x-api-key": key }), 200, "with the key"));
  assert.equal(await status({ "x-api-key": `${key}x` }), 401, "with a wrong key");

  await page.getByRole("button", { name: "Revoke laptop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke key" }).click();
  await page
    .getByRole("dialog")
    .getByText(/nodes? confirmed/)
    .waitFor();
  await eventually(async () => assert.equal(await status({ "x-api-key": key }), 401, "with the revoked key"));
  await page.getByRole("dialog").getByRole("button", { name: "Done" }).click();

  await menu.getByRole("link", { name: "Changes" }).click();
  await page.getByRole("table", { name: "Changes" }).getByText("credential").first().waitFor();
  await page
    .getByRole("link", { name: /^r\d+$/ })
    .first()
    .click();
  await page.getByRole("group", { name: /credential/ }).waitFor();

  assert.deepEqual(broken(), []);
  await context.close();
});
