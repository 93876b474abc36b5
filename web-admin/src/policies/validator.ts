import { type Schema, Validator } from "@cfworker/json-schema";
import {
  type ErrorSchema,
  type RJSFSchema,
  type RJSFValidationError,
  toErrorSchema,
  type ValidationData,
  type ValidatorType,
} from "@rjsf/utils";
import { steps } from "./pointer.ts";

/** Judges by interpreting the schema. Others compile it into a function, which the content security policy forbids. */
export const validator: ValidatorType = {
  validateFormData(data, schema): ValidationData<unknown> {
    const errors = judged(schema, data).map(({ pointer, message }): RJSFValidationError => {
      const property = steps(pointer)
        .map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`))
        .join("");
      return { property, message, stack: `${property} ${message}` };
    });
    return { errors, errorSchema: toErrorSchema(errors) };
  },
  isValid(schema, data, root) {
    // A part of a schema may refer to definitions of the whole.
    const { $defs, definitions } = root as RJSFSchema;
    return (
      judged({ ...($defs ? { $defs } : {}), ...(definitions ? { definitions } : {}), ...schema }, data)
        .length === 0
    );
  },
  rawValidation(schema, data) {
    return { errors: judged(schema, data) as never[] };
  },
};

interface Judged {
  pointer: string;
  message: string;
}

/** The innermost problems only: that an object is wrong because its field is wrong needs no saying. */
function judged(schema: unknown, data: unknown): Judged[] {
  const { valid, errors } = new Validator(schema as Schema, "2020-12", false).validate(plain(data));
  if (valid) return [];
  return errors
    .filter(
      (error) => !["properties", "items", "$ref", "additionalProperties", "allOf"].includes(error.keyword),
    )
    .map((error) => ({ pointer: error.instanceLocation.replace(/^#/, ""), message: error.error }));
}

/** As it would be sent: fields without a value are not there. */
function plain(data: unknown): unknown {
  return data === undefined ? undefined : JSON.parse(JSON.stringify(data));
}

/** Problems below `/config` as the errors of the form that shows the config. */
export function configErrors(problems: { pointer: string; detail: string }[]): ErrorSchema {
  const root: ErrorSchema = {};
  for (const problem of problems) {
    const [first, ...path] = steps(problem.pointer);
    if (first !== "config") continue;
    let at = root as Record<string, ErrorSchema> & ErrorSchema;
    for (const step of path) {
      const inner = (at[step] ?? {}) as typeof at;
      (at as Record<string, ErrorSchema>)[step] = inner;
      at = inner;
    }
    at.__errors = [...(at.__errors ?? []), problem.detail];
  }
  return root;
}
