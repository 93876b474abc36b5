import { expect, test } from "vitest";
import { matchWords, pathDocument, pathRows } from "./match.ts";

test("each way to write a path is read, and written as short as it can be", () => {
  for (const path of ["/a", { exact: "/a" }, ["/a", { exact: "/b" }]] as const) {
    expect(pathDocument(pathRows(path as never))).toEqual(path);
  }
  expect(pathDocument(pathRows({ prefix: "/a" }))).toBe("/a");
  expect(pathDocument([{ how: "prefix", path: "  " }])).toBeUndefined();
});

test("a match reads in a line", () => {
  expect(matchWords({ hosts: ["a.b", "*.c"], methods: ["GET", "PUT"], path: { exact: "/x" } })).toEqual({
    hosts: "a.b, *.c",
    methods: "GET PUT",
    paths: ["= /x"],
  });
  expect(matchWords({})).toEqual({ hosts: "", methods: "", paths: ["/"] });
});
