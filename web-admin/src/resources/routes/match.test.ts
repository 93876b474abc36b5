import { expect, test } from "vitest";
import {
  matchWords,
  pathDocument,
  pathRows,
  redirectWords,
  samplePath,
  testDocument,
  testRows,
} from "./match.ts";

test("each way to write a path is read, and written as short as it can be", () => {
  for (const path of [
    "/a",
    { exact: "/a" },
    { template: "/a/{id}" },
    { regex: "^/v[0-9]+$" },
    ["/a", { exact: "/b" }, { template: "/{*rest}" }],
  ] as const) {
    expect(pathDocument(pathRows(path as never))).toEqual(path);
  }
  expect(pathDocument(pathRows({ prefix: "/a" }))).toBe("/a");
  expect(pathDocument([{ how: "prefix", path: "  " }])).toBeUndefined();
});

test("each way to test a header is read, and written as it was", () => {
  const tests = [
    { name: "x-a", exact: "1" },
    { name: "x-b", exact: "" },
    { name: "x-c", regex: "a|b" },
    { name: "x-d", present: true },
    { name: "x-e", present: false },
  ];
  expect(testDocument(testRows(tests))).toEqual(tests);
  expect(testDocument([{ name: " ", how: "exact", value: "1" }])).toEqual([]);
});

test("a match reads in a line", () => {
  expect(
    matchWords({
      hosts: ["a.b", "*.c"],
      methods: ["GET", "PUT"],
      path: [{ exact: "/x" }, { template: "/y/{id}" }, { regex: "/z.*" }],
      headers: [
        { name: "x-a", exact: "1" },
        { name: "x-b", present: false },
      ],
      query: [
        { name: "q", present: true },
        { name: "r", regex: "[0-9]" },
      ],
    }),
  ).toEqual({
    hosts: "a.b, *.c",
    methods: "GET PUT",
    paths: ["= /x", "/y/{id}", "~ /z.*"],
    headers: ["x-a = 1", "no x-b"],
    query: ["q", "r ~ [0-9]"],
  });
  expect(matchWords({})).toEqual({ hosts: "", methods: "", paths: ["/"], headers: [], query: [] });
});

test("where a redirect leads reads in a line", () => {
  expect(redirectWords({ path: "/new/{id}", status: 301 })).toBe("301 /new/{id}");
  expect(redirectWords({ scheme: "https" })).toBe("302 https://(same host)");
  expect(redirectWords({ host: "b.example", port: 81, path: "/" })).toBe("302 //b.example:81/");
});

test("a route can be tried under a path that it takes", () => {
  expect(samplePath({ path: { template: "/orders/{id}/{*rest}" } })).toBe("/orders/id/rest");
  expect(samplePath({ path: [{ regex: "/a.*" }, "/b"] })).toBe("/b");
  expect(samplePath({})).toBe("/");
});
