import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ProblemError } from "./problem.ts";
import type { Session } from "./types.ts";

export const sessionKey = ["session"] as const;

/** The query cache holds all server state of this page; nothing else does. */
export const cache = new QueryClient({
  queryCache: new QueryCache({ onError: signedOut }),
  mutationCache: new MutationCache({ onError: signedOut }),
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (count, error) => count < 2 && error instanceof ProblemError && error.passing,
    },
  },
});

/** The token against forged requests, kept in memory only. */
export function csrfToken(): string | undefined {
  return cache.getQueryData<Session | null>(sessionKey)?.csrf;
}

/** Everything read may have changed after a write; what is on the screen is read again. */
export function changed(): Promise<void> {
  return cache.invalidateQueries({ predicate: (query) => query.queryKey[0] !== sessionKey[0] });
}

function signedOut(error: unknown) {
  if (error instanceof ProblemError && error.status === 401 && cache.getQueryData(sessionKey)) {
    cache.setQueryData(sessionKey, null);
  }
}
