// From what a form holds to the document that is sent, and from a refusal back to the form's fields.
import type { FieldProblem } from "../api/problem.ts";

const readOnly = new Set(["id", "revision", "created_at", "updated_at"]);

/**
 * The document to write: what was there, with the form's fields laid over it. A field that the form leaves empty is
 * taken out, and one that the form does not know is kept.
 */
export function overlaid(base: object | undefined, fields: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(base ?? {}).filter(([key]) => !readOnly.has(key) && !(key in fields));
  const set = Object.entries(fields).filter(([, value]) => !empty(value));
  return Object.fromEntries([
    ...set.filter(([key]) => key === "name"),
    ...kept,
    ...set.filter(([key]) => key !== "name"),
  ]);
}

/** Whether a field says nothing, so that the default holds. `false` and 0 say nothing only where the form says so. */
export function empty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** An object without its empty fields. */
export function compact(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !empty(value)));
}

export interface Placed {
  /** Messages by form field. */
  fields: Record<string, string>;
  /** What belongs to no field of this form. */
  rest: FieldProblem[];
}

/**
 * Puts each problem at the field that its pointer leads to. `places` names the form's field of a pointer; a `*` stands
 * for one step of it. What is deeper than a known pointer lands there too, the longest one first.
 */
export function placed(problems: FieldProblem[], places: Record<string, string>): Placed {
  const fields: Record<string, string> = {};
  const rest: FieldProblem[] = [];
  const patterns = Object.entries(places)
    .map(([pointer, field]) => ({ steps: pointer.split("/").slice(1), field }))
    .sort((a, b) => b.steps.length - a.steps.length);
  for (const problem of problems.map(withPlace)) {
    const steps = problem.pointer.split("/").slice(1);
    const pattern = patterns.find((each) =>
      each.steps.every((step, i) => steps[i] !== undefined && (step === "*" || step === steps[i])),
    );
    if (!pattern) {
      rest.push(problem);
      continue;
    }
    const stars = steps.filter((_, i) => pattern.steps[i] === "*");
    const field = pattern.field.replaceAll("*", () => stars.shift() ?? "");
    fields[field] = fields[field] ? `${fields[field]}; ${problem.detail}` : problem.detail;
  }
  return { fields, rest };
}

/** A conflict is one of the whole document to the server; to a form it is one of the name. */
function withPlace(problem: FieldProblem): FieldProblem {
  return problem.code === "name_taken" && problem.pointer === "" ? { ...problem, pointer: "/name" } : problem;
}

const name = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;

/** What is wrong with a name, before the server is asked. */
export function nameProblem(value: string): string | null {
  if (value === "") return "a name is needed";
  return name.test(value) ? null : "letters, digits and . _ ~ - only, starting with a letter or digit";
}
