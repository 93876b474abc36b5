import { expect, test } from "vitest";
import { lag } from "./lag.ts";

test.each([
  ["current", 40, 38, 42, 0],
  ["behind", 42, 40, 42, 2],
  ["rejected", 42, 30, 42, 12],
  ["silent", 43, 43, 42, 0],
] as const)(
  "a node that is %s at %i and %i, with the log at %i, is %i behind",
  (status, identity, traffic, head, behind) => {
    expect(lag({ status, identity_revision: identity, traffic_revision: traffic }, head)).toBe(behind);
  },
);
