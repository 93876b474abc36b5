import { noun } from "../api/noun.ts";

export const services = noun("/v1/services", { kind: "service", one: "service", many: "services" });
export const routes = noun("/v1/routes", { kind: "route", one: "route", many: "routes" });
export const upstreams = noun("/v1/upstreams", { kind: "upstream", one: "upstream", many: "upstreams" });
export const consumers = noun("/v1/consumers", { kind: "consumer", one: "consumer", many: "consumers" });
export const consumerGroups = noun("/v1/consumer-groups", {
  kind: "consumer-group",
  one: "consumer group",
  many: "consumer groups",
});
export const policies = noun("/v1/policies", { kind: "policy", one: "policy", many: "policies" });

/** The page of a resource of this kind, for those kinds that have one. */
export const pageOf: Record<string, string | undefined> = Object.fromEntries(
  [services, routes, upstreams, consumers, consumerGroups, policies].map((each) => [each.kind, each.page]),
);
