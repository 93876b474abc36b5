import { expect, test } from "vitest";
import { relative } from "./time.ts";

const now = new Date("2027-03-01T12:00:00Z");

test.each([
  ["2027-03-01T11:59:58Z", "just now"],
  ["2027-03-01T12:00:03Z", "just now"],
  ["2027-03-01T11:59:30Z", "30 s ago"],
  ["2027-03-01T11:58:01Z", "1 m ago"],
  ["2027-03-01T09:00:00Z", "3 h ago"],
  ["2027-02-27T12:00:00Z", "2 d ago"],
  ["2026-12-24T12:00:00Z", "2026-12-24"],
  ["2027-03-01T12:10:00Z", "in 10 m"],
  ["2027-03-21T12:00:00Z", "in 20 d"],
  ["2028-01-01T00:00:00Z", "2028-01-01"],
])("%s reads as %s", (then, words) => {
  expect(relative(new Date(then), now)).toBe(words);
});
