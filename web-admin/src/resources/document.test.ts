import { expect, test } from "vitest";
import { nameProblem, overlaid, placed } from "./document.ts";

const problem = (pointer: string, detail = "is wrong") => ({ pointer, code: "invalid", detail });

test("a document keeps what the form does not know, and loses what the form left empty", () => {
  const base = {
    id: "1",
    revision: 4,
    created_at: "",
    updated_at: "",
    name: "a",
    url: "old",
    tags: ["x"],
    retries: 3,
  };
  const document = overlaid(base, { name: "b", url: "new", tags: [], description: "" });
  expect(document).toEqual({ name: "b", url: "new", retries: 3 });
  expect(Object.keys(document)[0]).toBe("name");
});

test("false and zero are values; empty texts, lists and objects are not", () => {
  expect(overlaid(undefined, { a: false, b: 0, c: "", d: [], e: {}, f: undefined, g: null })).toEqual({
    a: false,
    b: 0,
  });
});

test("a problem lands on its field", () => {
  const { fields, rest } = placed(
    [
      problem("/url"),
      problem("/timeouts/connect", "is no duration"),
      problem("", "is no good at all"),
      problem("/other"),
    ],
    { "/url": "url", "/timeouts/connect": "connect" },
  );
  expect(fields).toEqual({ url: "is wrong", connect: "is no duration" });
  expect(rest.map((each) => each.pointer)).toEqual(["", "/other"]);
});

test("a step of a list finds its row, and the longest pointer wins", () => {
  const places = {
    "/match/path": "paths.0.path",
    "/match/path/*": "paths.*.path",
    "/targets/*/weight": "targets.*.weight",
  };
  const { fields } = placed([problem("/match/path/2/exact"), problem("/targets/1/weight")], places);
  expect(fields).toEqual({ "paths.2.path": "is wrong", "targets.1.weight": "is wrong" });
});

test("that a name is taken stands at the name", () => {
  const { fields } = placed([{ pointer: "", code: "name_taken", detail: "is taken" }], { "/name": "name" });
  expect(fields).toEqual({ name: "is taken" });
});

test("two problems of one field are both told", () => {
  expect(placed([problem("/url", "one"), problem("/url", "two")], { "/url": "url" }).fields.url).toBe(
    "one; two",
  );
});

test.each([
  ["orders", null],
  ["a.b_c~d-1", null],
  ["", "a name is needed"],
])("the name %j", (name, says) => {
  expect(nameProblem(name)).toBe(says);
});

test.each(["-a", "a b", "ä", "a/b", "x".repeat(129)])("the name %j is refused", (name) => {
  expect(nameProblem(name)).not.toBeNull();
});
