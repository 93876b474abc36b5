import { expect, test } from "vitest";
import { diff } from "./diff.ts";

const told = (before: unknown, after: unknown) =>
  diff(before, after).map(({ mark, text }) => mark + text.trim());

test("only what differs is marked, whatever the order of keys", () => {
  expect(told({ url: "a", name: "orders" }, { name: "orders", url: "b" })).toEqual([
    " {",
    ' "name": "orders",',
    '-"url": "a"',
    '+"url": "b"',
    " }",
  ]);
});

test("a creation only adds, a deletion only takes away", () => {
  expect(told(null, { a: 1 })).toEqual(["+{", '+"a": 1', "+}"]);
  expect(told({ a: 1 }, null)).toEqual(["-{", '-"a": 1', "-}"]);
});

test("the same document has nothing marked", () => {
  expect(diff({ a: [1, 2] }, { a: [1, 2] }).every((line) => line.mark === " ")).toBe(true);
});

test("applying the marks gives both sides back", () => {
  const before = { list: [1, 2, 3, 4, 5, 6], deep: { a: "x", b: "y" } };
  const after = { list: [1, 3, 4, 7, 6], deep: { b: "y", c: "z" } };
  const side = (mark: string) =>
    diff(before, after)
      .filter((line) => line.mark === " " || line.mark === mark)
      .map((line) => line.text)
      .join("\n");
  expect(JSON.parse(side("-"))).toEqual(before);
  expect(JSON.parse(side("+"))).toEqual(after);
});

test("two huge documents are compared at once, not line by line", () => {
  const many = (from: number) => Array.from({ length: 20_000 }, (_, i) => from + i);
  const found = diff(many(0), many(1_000_000));
  expect(found.filter((line) => line.mark === "-")).toHaveLength(20_000);
  expect(found.filter((line) => line.mark === "+")).toHaveLength(20_000);
});
