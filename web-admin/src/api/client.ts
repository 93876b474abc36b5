import createClient, { type Middleware } from "openapi-fetch";
import createQueryHooks from "openapi-react-query";
import type { paths } from "../api.d.ts";
import { csrfToken } from "./cache.ts";
import { problemOf, unreachable } from "./problem.ts";

const safe = new Set(["GET", "HEAD", "OPTIONS"]);

const manners: Middleware = {
  onRequest({ request }) {
    const token = csrfToken();
    if (token && !safe.has(request.method)) request.headers.set("X-CSRF-Token", token);
    return request;
  },
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
    return response;
  },
  onError: () => unreachable(),
};

/** The Admin API. Every refusal is thrown as a `ProblemError`. */
export const client = createClient<paths>({ baseUrl: window.location.origin, credentials: "same-origin" });
client.use(manners);

export const api = createQueryHooks(client);

/** The body of an answer for which the document promises one. */
export function body<T>(answer: { data?: T }): T {
  return answer.data as T;
}
