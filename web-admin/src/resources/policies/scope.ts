import type { Policy } from "../../api/types.ts";

export type Target = "any" | "service" | "route";
export type Caller = "anyone" | "consumer" | "group";

export type ScopeValues = {
  target: Target;
  targetRef: string;
  caller: Caller;
  callerRef: string;
};

export function scopeValues(scope: Policy["scope"]): ScopeValues {
  const target: Target = scope?.route ? "route" : scope?.service ? "service" : "any";
  const caller: Caller = scope?.consumer ? "consumer" : scope?.group ? "group" : "anyone";
  return {
    target,
    targetRef: scope?.route ?? scope?.service ?? "",
    caller,
    callerRef: scope?.consumer ?? scope?.group ?? "",
  };
}

export function scopeDocument(values: ScopeValues): Record<string, string> {
  return {
    ...(values.target === "any" ? {} : { [values.target]: values.targetRef }),
    ...(values.caller === "anyone" ? {} : { [values.caller]: values.callerRef }),
  };
}

/** The scope in words, the kind of each part before its name. */
export function scopeParts(scope: Policy["scope"]): [kind: string, name: string][] {
  const entries = Object.entries(scope ?? {}).filter(([, name]) => Boolean(name)) as [string, string][];
  return entries;
}
