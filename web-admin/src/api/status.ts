import { api } from "./client.ts";

/** What the gateway is at, read again every few seconds while the page is looked at. */
export const status = () => api.queryOptions("get", "/v1/status", {}, { refetchInterval: 5_000 });
