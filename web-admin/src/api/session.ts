import { queryOptions, useQuery } from "@tanstack/react-query";
import { cache, sessionKey } from "./cache.ts";
import { body, client } from "./client.ts";
import { ProblemError } from "./problem.ts";
import type { Session } from "./types.ts";

/** Who is signed in; `null` is nobody. */
export const session = queryOptions({
  queryKey: sessionKey,
  staleTime: Number.POSITIVE_INFINITY,
  gcTime: Number.POSITIVE_INFINITY,
  queryFn: async (): Promise<Session | null> => {
    try {
      return body(await client.GET("/v1/session"));
    } catch (error) {
      if (error instanceof ProblemError && error.status === 401) return null;
      throw error;
    }
  },
});

/** Trades an operator token for a session; the token itself is kept nowhere. */
export async function signIn(token: string): Promise<void> {
  const answer = await client.POST("/v1/session", { body: { token } });
  cache.setQueryData(sessionKey, body(answer));
}

export async function signOut(): Promise<void> {
  try {
    await client.DELETE("/v1/session");
  } finally {
    cache.setQueryData(sessionKey, null);
    cache.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionKey[0] });
  }
}

/** Why the operator may not write, or `undefined` when they may. The server judges again. */
export function useReadOnly(): string | undefined {
  const role = useQuery(session).data?.role;
  return role === "viewer" ? "Your role is viewer: it may read, not change" : undefined;
}
