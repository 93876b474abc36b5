// What the browser tests share: where the gateway is, a browser, and how one signs in.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} must be set: these tests run against a gateway that is already there`);
  return value.replace(/\/$/, "");
}

export const adminUrl = needed("TIDEGATE_ADMIN_URL");
export const proxyUrl = needed("TIDEGATE_PROXY_URL");
export const token = needed("TIDEGATE_TOKEN");
export const upstreamUrl = needed("UPSTREAM_URL");

/** A name that no former run has used, as the gateway may keep its data. */
export const fresh = (word) =>
  `${word}-${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function found() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      // The next name, then.
    }
  }
  throw new Error("no chromium on the PATH; set CHROMIUM to its path");
}

export const launch = () => chromium.launch({ executablePath: found(), args: flags });

/**
 * A page in a context of its own. `broken()` lists what a page must never do: throw, or try what the content
 * security policy forbids.
 */
export async function open(browser, options = {}) {
  const context = await browser.newContext({
    baseURL: adminUrl,
    ignoreHTTPSErrors: true,
    reducedMotion: "reduce",
    viewport: { width: 1280, height: 860 },
    ...options,
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (/content security policy/i.test(message.text())) problems.push(message.text());
  });
  return { context, page, broken: () => problems };
}

export async function signIn(page, withToken = token) {
  await page.goto("/ui/");
  await page.getByLabel("Operator token").fill(withToken);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Signs in and waits for the first page. */
export async function enter(page) {
  await signIn(page);
  await page.getByRole("heading", { name: "Home", level: 1 }).waitFor();
}

/** The name field of a form: the first, as a policy's config may have names too. */
export const nameOf = (page) => page.getByRole("textbox", { name: "Name", exact: true }).first();

/** One call of the Admin API with the token, for what a test needs to be there beforehand. */
export async function call(method, path, body) {
  const answer = await fetch(adminUrl + path, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

/** Asks again until it holds, or fails with the last reason when the time is up. */
export async function eventually(check, seconds = 15) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
}

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Puts axe into every page of a context; a script tag would be refused by the content security policy. */
export const withAxe = (context) => context.addInitScript({ path: axe });

export async function accessible(page, what) {
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, {
      resultTypes: ["violations"],
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
    }),
  );
  const told = violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}\n    ${nodes.map((node) => node.html.slice(0, 200)).join("\n    ")}`,
  );
  assert.deepEqual(
    told,
    [],
    `${what}: ${told.length} kinds of accessibility violations\n  ${told.join("\n  ")}`,
  );
}

/** Keeps a picture under docs/images when SCREENSHOTS=1. */
export async function picture(page, name) {
  if (process.env.SCREENSHOTS !== "1") return;
  const folder = fileURLToPath(new URL("../../docs/images/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}${name}.png` });
}
