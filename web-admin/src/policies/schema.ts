// From the schema of a policy kind to one that makes a good form. The server judges by its own, unchanged one.
import type { RJSFSchema } from "@rjsf/utils";

type Schema = Record<string, unknown>;

/** Where the default of a field is kept: shown, but never written into the document. */
export const defaultKey = "x-default";

/**
 * The same schema, but: a field that may be null is simply one that may be missing, choices of constants are one list,
 * defaults are told instead of filled in, and alternatives have a title.
 */
export function formSchema(schema: unknown): RJSFSchema {
  const { title: _title, description: _description, $schema: _schema, ...root } = prepared(schema) as Schema;
  return root as RJSFSchema;
}

function prepared(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(prepared);
  if (!isSchema(value)) return value;
  // Formats are words of the gateway (`duration` is "30s"), not those that a validator here would know.
  const { default: preset, format: _format, ...own } = value;
  let schema: Schema = {};
  for (const [key, inner] of Object.entries(own)) schema[key] = preparedKey(key, inner);
  if (preset !== undefined && preset !== null) schema[defaultKey] = preset;
  // Descriptions are written in Markdown; here they are shown as plain text.
  if (typeof schema.description === "string") schema.description = schema.description.replaceAll("`", "");
  schema = withoutNull(schema);
  for (const key of ["oneOf", "anyOf"] as const) {
    const options = schema[key];
    if (!Array.isArray(options)) continue;
    const each = options.flatMap(constants).map(titled);
    schema[key] = each;
    const type =
      each.every((option) => isSchema(option) && "const" in option) && typeof (each[0] as Schema)?.const;
    if (type && !schema.type) schema.type = type;
  }
  return schema;
}

/** Maps of names to schemas are walked by their values: a property may well be called "default". */
function preparedKey(key: string, inner: unknown): unknown {
  if (["properties", "$defs", "definitions", "patternProperties"].includes(key) && isSchema(inner)) {
    return Object.fromEntries(Object.entries(inner).map(([name, schema]) => [name, prepared(schema)]));
  }
  return ["const", "enum", "examples", "required"].includes(key) ? inner : prepared(inner);
}

function withoutNull(schema: Schema): Schema {
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== "null");
    schema = { ...schema, type: types.length === 1 ? types[0] : types };
  }
  if (Array.isArray(schema.enum)) schema = { ...schema, enum: schema.enum.filter((each) => each !== null) };
  for (const key of ["anyOf", "oneOf"]) {
    const options = schema[key];
    if (!Array.isArray(options)) continue;
    const real = options.filter((option) => !(isSchema(option) && option.type === "null"));
    if (real.length === options.length) continue;
    const { [key]: _options, ...rest } = schema;
    schema = real.length === 1 ? { ...(real[0] as Schema), ...rest } : { ...rest, [key]: real };
  }
  return schema;
}

/** `{enum: [a, b]}` among alternatives is one alternative for each. */
function constants(option: unknown): unknown[] {
  if (!isSchema(option) || !Array.isArray(option.enum)) return [option];
  const { enum: values, ...rest } = option;
  return values.map((value) => ({ ...rest, const: value }));
}

function titled(option: unknown, index: number): unknown {
  if (!isSchema(option) || typeof option.title === "string") return option;
  return { title: titleOf(option) ?? `Alternative ${index + 1}`, ...option };
}

function titleOf(option: Schema): string | undefined {
  if ("const" in option) return String(option.const);
  if (isSchema(option.properties)) {
    const names = Object.entries(option.properties);
    const tag = names.find(([, schema]) => isSchema(schema) && "const" in schema)?.[1];
    if (isSchema(tag)) return String(tag.const);
    if (names[0]) return names[0][0];
  }
  if (typeof option.$ref === "string") return option.$ref.split("/").pop();
  return typeof option.type === "string" ? option.type : undefined;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The label of a field that has no title of its own: the API's word, without its underscores. */
export function fieldWords(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A JSON object in a text, if it is one. */
export function readObject(text: string): object | undefined {
  try {
    const read: unknown = JSON.parse(text);
    return isSchema(read) ? read : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an object may hold anything. What it holds by now rjsf lists among its properties, with a mark of its own. */
export function isFree(schema: unknown): boolean {
  if (!isSchema(schema)) return false;
  if ("x-policy-config" in schema) return true;
  const known = isSchema(schema.properties) ? Object.values(schema.properties) : [];
  const declared = known.filter((property) => !(isSchema(property) && "__additional_property" in property));
  return schema.type === "object" && schema.additionalProperties === true && declared.length === 0;
}
