import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, launch, open, signIn } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("a wrong token is told, and the page asks again", async () => {
  const { context, page, broken } = await open(browser);
  await signIn(page, "tgo_not-a-token");
  await page.getByRole("alert").getByText("This token is not accepted").waitFor();
  await page.getByLabel("Operator token").waitFor();
  assert.deepEqual(broken(), []);
  await context.close();
});

test("a page asked for without a session comes after signing in, and signing out ends it", async () => {
  const { context, page, broken } = await open(browser);
  await page.goto("/ui/services?q=nothing-like-this");
  await page.getByLabel("Operator token").fill(process.env.TIDEGATE_TOKEN);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Services", level: 1 }).waitFor();
  assert.equal(await page.getByRole("searchbox").inputValue(), "nothing-like-this");

  await page.reload();
  await page.getByRole("heading", { name: "Services", level: 1 }).waitFor();

  await page.getByRole("button", { name: /^Operator/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByLabel("Operator token").waitFor();
  await page.goto("/ui/services");
  await page.getByLabel("Operator token").waitFor();
  assert.deepEqual(broken(), []);
  await context.close();
});

test("the token is left nowhere in the browser, and the session is out of reach of scripts", async () => {
  const { context, page } = await open(browser);
  await enter(page);
  const kept = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]),
  );
  assert.ok(!kept.includes(process.env.TIDEGATE_TOKEN), kept);
  assert.ok(!kept.includes("tidegate_session"), kept);
  const cookie = (await context.cookies()).find((each) => each.name === "tidegate_session");
  assert.ok(cookie?.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
  await context.close();
});
