import { expect, test } from "vitest";
import { configErrors, validator } from "./validator.ts";

const schema = {
  type: "object",
  required: ["limits"],
  $defs: {
    Limit: { type: "object", required: ["limit"], properties: { limit: { type: "integer", minimum: 1 } } },
  },
  properties: { limits: { type: "array", minItems: 1, items: { $ref: "#/$defs/Limit" } } },
} as never;

test("a config that holds has no errors", () => {
  expect(validator.validateFormData({ limits: [{ limit: 5 }] }, schema).errors).toEqual([]);
});

test("an error stands at the innermost field", () => {
  const { errorSchema } = validator.validateFormData({ limits: [{ limit: 5 }, { limit: 0 }] }, schema);
  expect(errorSchema).toMatchObject({ limits: { 1: { limit: { __errors: [expect.any(String)] } } } });
});

test("a field without a value counts as missing", () => {
  expect(validator.validateFormData({ limits: undefined }, schema).errors).not.toEqual([]);
});

test("a part of a schema finds the definitions of the whole", () => {
  expect(validator.isValid({ $ref: "#/$defs/Limit" } as never, { limit: 1 }, schema)).toBe(true);
  expect(validator.isValid({ $ref: "#/$defs/Limit" } as never, { limit: 0 }, schema)).toBe(false);
});

test("what the server refused is put below the config it was about", () => {
  expect(
    configErrors([
      { pointer: "/config/limits/0/window", detail: "is no duration" },
      { pointer: "/config", detail: "is not enough" },
      { pointer: "/name", detail: "is taken" },
      { pointer: "/config/a~1b", detail: "odd" },
    ]),
  ).toEqual({
    __errors: ["is not enough"],
    limits: { 0: { window: { __errors: ["is no duration"] } } },
    "a/b": { __errors: ["odd"] },
  });
});
