import { expect, test } from "vitest";
import { within } from "./within.ts";

test.each([
  ["/services?q=a", "/services?q=a"],
  [undefined, "/"],
  ["", "/"],
  ["https://elsewhere.example", "/"],
  ["//elsewhere.example", "/"],
  ["/\\elsewhere.example", "/"],
  ["javascript:alert(1)", "/"],
  ["/sign-in", "/"],
])("after signing in, %j leads to %s", (to, page) => {
  expect(within(to)).toBe(page);
});
