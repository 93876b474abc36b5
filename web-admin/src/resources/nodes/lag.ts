import type { GatewayNode } from "../../api/types.ts";

/** How many revisions a node has yet to take, by the class that is further back. */
export function lag(
  node: Pick<GatewayNode, "status" | "identity_revision" | "traffic_revision">,
  head: number,
): number {
  if (node.status === "current") return 0;
  return Math.max(0, head - Math.min(node.identity_revision, node.traffic_revision));
}
