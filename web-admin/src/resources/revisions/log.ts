import { api } from "../../api/client.ts";
import type { Change } from "../../api/types.ts";
import type { Tone } from "../../ui/show.tsx";

export const revisions = (cursor?: string, limit = 50) =>
  api.queryOptions("get", "/v1/revisions", { params: { query: { limit, cursor } } });

export const revision = (number: string) =>
  api.queryOptions("get", "/v1/revisions/{revision}", { params: { path: { revision: Number(number) } } });

export const tones: Record<Change["op"], Tone> = { create: "good", update: "info", delete: "bad" };

export const verbs: Record<Change["op"], string> = {
  create: "created",
  update: "updated",
  delete: "deleted",
};
