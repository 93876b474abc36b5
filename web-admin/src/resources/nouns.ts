import { body, client } from "../api/client.ts";
import { noun, pageMax, type Query } from "../api/noun.ts";
import type { Page, Route } from "../api/types.ts";

export const services = noun("/v1/services", {
  kind: "service",
  one: "service",
  many: "services",
  takesAlong: "the policies scoped to it",
});
export const routes = noun("/v1/routes", {
  kind: "route",
  one: "route",
  many: "routes",
  takesAlong: "the policies scoped to it",
});
export const upstreams = noun("/v1/upstreams", { kind: "upstream", one: "upstream", many: "upstreams" });
export const consumers = noun("/v1/consumers", {
  kind: "consumer",
  one: "consumer",
  many: "consumers",
  takesAlong: "its keys and the policies scoped to it",
});
export const consumerGroups = noun("/v1/consumer-groups", {
  kind: "consumer-group",
  one: "consumer group",
  many: "consumer groups",
  takesAlong: "the policies scoped to it",
});
export const policies = noun("/v1/policies", { kind: "policy", one: "policy", many: "policies" });

/** The routes that lead to a service. */
export const routesOf = (service: string): Query<Page<Route>> => ({
  queryKey: ["route", "of", service],
  queryFn: async ({ signal }) =>
    body(
      await client.GET("/v1/services/{ref}/routes", {
        params: { path: { ref: service }, query: { limit: pageMax } },
        signal,
      }),
    ),
});

/** The page of a resource of this kind, for those kinds that have one. */
export const pageOf: Record<string, string | undefined> = Object.fromEntries(
  [services, routes, upstreams, consumers, consumerGroups, policies].map((each) => [each.kind, each.page]),
);
