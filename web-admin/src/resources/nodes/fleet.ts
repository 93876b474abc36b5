import { api, client } from "../../api/client.ts";
import type { GatewayNode } from "../../api/types.ts";
import type { Tone } from "../../ui/show.tsx";

/** All nodes, read again every two seconds: this page is watched while a change arrives. */
export const nodes = () =>
  api.queryOptions("get", "/v1/nodes", { params: { query: { limit: 1000 } } }, { refetchInterval: 2_000 });

export async function retire(node: GatewayNode): Promise<void> {
  await client.DELETE("/v1/nodes/{ref}", { params: { path: { ref: node.id } } });
}

export const tones: Record<GatewayNode["status"], Tone> = {
  current: "good",
  behind: "warn",
  rejected: "bad",
  silent: "quiet",
};

export const meanings: Record<GatewayNode["status"], string> = {
  current: "It serves the newest revision",
  behind: "It is on its way to the newest revision",
  rejected: "It refused a revision and serves the last good one",
  silent: "It has not been heard from; it goes on serving what it has",
};
