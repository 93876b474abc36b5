import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  accessible,
  call,
  enter,
  eventually,
  launch,
  open,
  picture,
  signIn,
  upstreamUrl,
  withAxe,
} from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
  // One of everything, under the names of the documentation's tour.
  await call("PUT", "/v1/upstreams/orders-pool", {
    targets: [{ address: "127.0.0.1:9000", weight: 3 }, { address: "127.0.0.1:9001" }],
  });
  await call("PUT", "/v1/services/orders", {
    url: upstreamUrl,
    description: "Order intake and history",
    tags: ["commerce"],
  });
  await call("PUT", "/v1/routes/orders", {
    service: "orders",
    match: { path: "/orders", methods: ["GET", "POST"] },
    strip_prefix: true,
  });
  await call("PUT", "/v1/policies/orders-key", {
    kind: "key-auth",
    scope: { service: "orders" },
    config: {},
  });
  await call("PUT", "/v1/consumer-groups/gold", { description: "Customers with a contract" });
  await call("PUT", "/v1/consumers/acme", { groups: ["gold"], description: "Mobile app" });
  const keys = await call("GET", "/v1/consumers/acme/keys");
  if (keys.data.length === 0) await call("POST", "/v1/consumers/acme/keys", { label: "laptop" });
});
after(() => browser?.close());

const pages = [
  ["home", "/", "Home"],
  ["services", "/services", "Services"],
  ["service", "/services/orders", "orders"],
  ["service-new", "/services/new", "Create service"],
  ["routes", "/routes", "Routes"],
  ["route", "/routes/orders", "orders"],
  ["route-edit", "/routes/orders/edit", "Edit orders"],
  ["upstreams", "/upstreams", "Upstreams"],
  ["upstream", "/upstreams/orders-pool", "orders-pool"],
  ["upstream-edit", "/upstreams/orders-pool/edit", "Edit orders-pool"],
  ["consumers", "/consumers", "Consumers"],
  ["consumer", "/consumers/acme", "acme"],
  ["consumer-edit", "/consumers/acme/edit", "Edit acme"],
  ["consumer-groups", "/consumer-groups", "Consumer groups"],
  ["consumer-group", "/consumer-groups/gold", "gold"],
  ["policies", "/policies", "Policies"],
  ["policy", "/policies/orders-key", "orders-key"],
  ["policy-new", "/policies/new", "Create policy"],
  ["policy-form", "/policies/new?kind=rate-limit&service=orders", "Create policy"],
  ["nodes", "/nodes", "Nodes"],
  ["changes", "/changes", "Changes"],
  ["change", "/changes/1", "Revision 1"],
  ["missing", "/services/no-such-service", "no-such-service"],
];

/** Those that the documentation shows. */
const pictured = new Set([
  "home-light",
  "home-dark",
  "service-light",
  "route-edit-light",
  "consumer-light",
  "policy-form-light",
  "nodes-light",
  "changes-light",
]);

for (const scheme of ["light", "dark"]) {
  test(`every page is accessible and holds its width, ${scheme}`, async (t) => {
    const { context, page, broken } = await open(browser, { colorScheme: scheme });
    await withAxe(context);

    await signIn(page, "tgo_wrong");
    await page.getByRole("alert").waitFor();
    await accessible(page, `sign-in, ${scheme}`);
    await enter(page);

    for (const [name, path, heading] of pages) {
      await t.test(name, async () => {
        await page.setViewportSize({ width: 1280, height: 860 });
        await page.goto(`/ui${path}`);
        await page.getByRole("heading", { name: heading, level: 1, exact: true }).waitFor();
        await page.locator("[aria-busy=true], .mantine-Skeleton-root").first().waitFor({ state: "detached" });
        await accessible(page, `${name}, ${scheme}`);
        if (pictured.has(`${name}-${scheme}`)) await picture(page, `${name}-${scheme}`);

        await page.setViewportSize({ width: 390, height: 844 });
        await eventually(async () => {
          const over = await page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
          );
          assert.equal(over, 0, `${name} is wider than a phone`);
        });
        if (name === "home" && scheme === "light") await picture(page, "home-phone-light");
      });
    }

    await t.test("a dialog", async () => {
      await page.setViewportSize({ width: 1280, height: 860 });
      await page.goto("/ui/consumers/acme");
      await page.getByRole("button", { name: "Issue key" }).click();
      await page.getByRole("dialog").getByLabel("Label").waitFor();
      await accessible(page, `issue key, ${scheme}`);
    });

    await t.test("the navigation of a phone", async () => {
      await page.setViewportSize({ width: 390, height: 844 });
      await page.goto("/ui/");
      await page.getByRole("button", { name: "Open navigation" }).click();
      await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Nodes" }).click();
      await page.getByRole("heading", { name: "Nodes", level: 1 }).waitFor();
    });

    assert.deepEqual(broken(), []);
    await context.close();
  });
}

test("the whole way is open to the keyboard", async () => {
  const { context, page } = await open(browser);
  await enter(page);
  await page.goto("/ui/services");
  await page.getByRole("table", { name: "Services" }).waitFor();
  await page.keyboard.press("/");
  assert.equal(
    await page.evaluate(() => document.activeElement?.getAttribute("aria-label")),
    "Search services",
  );
  await page.keyboard.type("orders");
  await page.getByRole("link", { name: "orders", exact: true }).waitFor();
  await page.waitForURL(/q=orders/);
  await page.getByRole("link", { name: "orders", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "orders", level: 1 }).waitFor();
  await page.goBack();
  assert.equal(await page.getByRole("searchbox").inputValue(), "orders");
  await context.close();
});
