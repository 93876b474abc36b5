/** One thing wrong with a request, and where in its body. */
export interface FieldProblem {
  pointer: string;
  code: string;
  detail: string;
}

/** What the Admin API, or the way to it, answered instead of what was asked for. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    /** The HTTP status, 0 when there was no answer at all. */
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail?: string,
    readonly errors: FieldProblem[] = [],
    readonly requestId?: string,
  ) {
    super(detail ?? title);
  }

  /** Whether asking again could help. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

export const unreachable = () =>
  new ProblemError(
    0,
    "unreachable",
    "The control plane does not answer",
    "Check that it runs, then try again.",
  );

/** Reads a refusal; a proxy in between may have answered with something that is no problem document. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const requestId = response.headers.get("x-request-id") ?? undefined;
  const text = await response.text().catch(() => "");
  const body = parsed(text);
  if (!body) {
    return new ProblemError(
      response.status,
      "unknown",
      `The answer was ${response.status}`,
      undefined,
      [],
      requestId,
    );
  }
  return new ProblemError(
    response.status,
    string(body.code) ?? "unknown",
    string(body.title) ?? `The answer was ${response.status}`,
    string(body.detail),
    Array.isArray(body.errors) ? body.errors.flatMap(fieldProblem) : [],
    string(body.request_id) ?? requestId,
  );
}

/** Any thrown value as a problem that can be shown. */
export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  return new ProblemError(
    -1,
    "broken",
    "Something broke in this page",
    error instanceof Error ? error.message : undefined,
  );
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value && typeof value === "object" ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function fieldProblem(entry: unknown): FieldProblem[] {
  if (!entry || typeof entry !== "object") return [];
  const { pointer, code, detail } = entry as Record<string, unknown>;
  return [
    {
      pointer: string(pointer) ?? "",
      code: string(code) ?? "invalid",
      detail: string(detail) ?? "is not valid",
    },
  ];
}

function string(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
