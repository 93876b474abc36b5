import { api } from "../api/client.ts";

/** The policy kinds that this gateway has; they change only with its version. */
export const policyKinds = () =>
  api.queryOptions("get", "/v1/policy-kinds", {}, { staleTime: Number.POSITIVE_INFINITY });
