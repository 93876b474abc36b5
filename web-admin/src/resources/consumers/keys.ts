import { api, body, client } from "../../api/client.ts";
import type { Applied, IssuedKey, Key, RotatedKey } from "../../api/types.ts";

/** Long enough for nodes to confirm, short enough for someone who waits for a dialog. */
const wait = { wait: "all", timeout: "5s" } as const;

export const keys = (consumer: string) =>
  api.queryOptions("get", "/v1/consumers/{ref}/keys", {
    params: { path: { ref: consumer }, query: { limit: 1000 } },
  });

export interface KeyRequest {
  label?: string;
  expires_at?: string;
  key?: string;
}

export interface RotateRequest {
  overlap: string;
}

export interface BasicRequest {
  username: string;
  password: string;
  label?: string;
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

/** A new key in place of another, which ends after the overlap. */
export async function rotateKey(consumer: string, key: string, request: RotateRequest): Promise<RotatedKey> {
  return body(
    await client.POST("/v1/consumers/{ref}/keys/{key}/rotate", {
      params: { path: { ref: consumer, key }, query: wait },
      body: request,
    }),
  );
}

export const basicCredentials = (consumer: string) =>
  api.queryOptions("get", "/v1/consumers/{ref}/basic-credentials", {
    params: { path: { ref: consumer }, query: { limit: 1000 } },
  });

/** The password goes one way only. */
export async function addBasic(consumer: string, request: BasicRequest): Promise<Key> {
  return body(
    await client.POST("/v1/consumers/{ref}/basic-credentials", {
      params: { path: { ref: consumer }, query: wait },
      body: request,
    }),
  );
}

export async function changePassword(consumer: string, credential: string, password: string): Promise<Key> {
  return body(
    await client.PATCH("/v1/consumers/{ref}/basic-credentials/{credential}", {
      params: { path: { ref: consumer, credential }, query: wait },
      body: { password },
    }),
  );
}

/** Answers once all nodes refuse it. */
export async function revokeBasic(consumer: string, credential: string): Promise<Applied | undefined> {
  const answer = await client.DELETE("/v1/consumers/{ref}/basic-credentials/{credential}", {
    params: { path: { ref: consumer, credential }, query: wait },
  });
  return answer.data?.applied;
}

/** Answers once all nodes refuse the key, or tells which do not yet. */
export async function revokeKey(consumer: string, key: string): Promise<Applied | undefined> {
  const answer = await client.DELETE("/v1/consumers/{ref}/keys/{key}", {
    params: { path: { ref: consumer, key }, query: wait },
  });
  return answer.data?.applied;
}
