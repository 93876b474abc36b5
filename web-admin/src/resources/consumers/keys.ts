import { api, body, client } from "../../api/client.ts";
import type { Applied, IssuedKey } from "../../api/types.ts";

/** Long enough for nodes to confirm, short enough for someone who waits for a dialog. */
const wait = { wait: "all", timeout: "5s" } as const;

export const keys = (consumer: string) =>
  api.queryOptions("get", "/v1/consumers/{ref}/keys", {
    params: { path: { ref: consumer }, query: { limit: 1000 } },
  });

export interface KeyRequest {
  label?: string;
  expires_at?: string;
}

/** The one time that the key itself is told. */
export async function issueKey(consumer: string, request: KeyRequest): Promise<IssuedKey> {
  return body(
    await client.POST("/v1/consumers/{ref}/keys", {
      params: { path: { ref: consumer }, query: wait },
      body: request,
    }),
  );
}

/** Answers once all nodes refuse the key, or tells which do not yet. */
export async function revokeKey(consumer: string, key: string): Promise<Applied | undefined> {
  const answer = await client.DELETE("/v1/consumers/{ref}/keys/{key}", {
    params: { path: { ref: consumer, key }, query: wait },
  });
  return answer.data?.applied;
}
