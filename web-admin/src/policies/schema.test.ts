import { expect, test } from "vitest";
import { defaultKey, fieldWords, formSchema, isFree, readObject } from "./schema.ts";

const field = (schema: unknown) =>
  (
    formSchema({ type: "object", properties: { field: schema } }) as never as {
      properties: { field: unknown };
    }
  ).properties.field;

test("a field that may be null is one that may be missing", () => {
  expect(field({ type: ["string", "null"], description: "d" })).toEqual({ type: "string", description: "d" });
  expect(field({ anyOf: [{ $ref: "#/$defs/X" }, { type: "null" }], description: "d" })).toEqual({
    $ref: "#/$defs/X",
    description: "d",
  });
});

test("a default is told, not filled in", () => {
  expect(field({ type: "boolean", default: true })).toEqual({ type: "boolean", [defaultKey]: true });
  expect(field({ type: "string", default: null })).toEqual({ type: "string" });
});

test("a property that is called like a keyword is a property", () => {
  const schema = formSchema({ type: "object", properties: { default: { type: "string", default: "x" } } });
  expect(schema.properties).toEqual({ default: { type: "string", [defaultKey]: "x" } });
});

test("choices of constants are one list with a type", () => {
  expect(
    field({
      oneOf: [
        { enum: ["a", "b"], type: "string" },
        { const: "c", type: "string", description: "d" },
      ],
    }),
  ).toEqual({
    type: "string",
    oneOf: [
      { title: "a", const: "a", type: "string" },
      { title: "b", const: "b", type: "string" },
      { title: "c", const: "c", type: "string", description: "d" },
    ],
  });
});

test("alternatives are named by their tag, their definition or their type", () => {
  const titles = (schema: unknown) =>
    (field(schema) as { anyOf: { title: string }[] }).anyOf.map((each) => each.title);
  expect(
    titles({
      anyOf: [
        { type: "object", properties: { kind: { const: "redis" } } },
        { $ref: "#/$defs/Local" },
        { type: "integer" },
      ],
    }),
  ).toEqual(["redis", "Local", "integer"]);
});

test("the kind's own title is not repeated inside its form", () => {
  expect(formSchema({ title: "RateLimitConfig", description: "d", type: "object" })).toEqual({
    type: "object",
  });
});

test("a field's label is the API's word", () => {
  expect(fieldWords("on_store_loss")).toBe("On store loss");
});

test("a description is plain text, and a property may be called that too", () => {
  const made = formSchema({
    type: "object",
    properties: { description: { type: "string", description: "Default: `none`." } },
  });
  expect(made.properties).toEqual({ description: { type: "string", description: "Default: none." } });
});

test("a config of another kind keeps its mark, and is read as a JSON object", () => {
  expect(field({ type: "object", additionalProperties: true, "x-policy-config": "kind" })).toEqual({
    type: "object",
    additionalProperties: true,
    "x-policy-config": "kind",
  });
  expect(readObject('{ "header": "x-a" }')).toEqual({ header: "x-a" });
  for (const text of ["", "{", "[]", "3", "null"]) expect(readObject(text)).toBeUndefined();
});

test("an object that may hold anything is written as JSON, also once it holds something", () => {
  const held = { type: { type: "string", __additional_property: true } };
  expect(isFree({ type: "object", additionalProperties: true })).toBe(true);
  expect(isFree({ type: "object", additionalProperties: true, properties: held })).toBe(true);
  expect(isFree({ type: "object", additionalProperties: { type: "string" } })).toBe(false);
  expect(isFree({ type: "object", properties: { a: { type: "string" } } })).toBe(false);
  expect(isFree({ type: "string" })).toBe(false);
});
