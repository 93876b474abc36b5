import type { paths } from "../api.d.ts";
import { client } from "./client.ts";
import type { Page, Resource } from "./types.ts";

type Collection =
  | "/v1/services"
  | "/v1/routes"
  | "/v1/upstreams"
  | "/v1/consumers"
  | "/v1/consumer-groups"
  | "/v1/policies";
type Item<P extends Collection> = `${P}/{ref}`;

/** The document as the API answers it, and as it takes it. */
type Read<P extends Collection> = paths[Item<P>]["get"]["responses"][200]["content"]["application/json"];
type Write<P extends Collection> = paths[P]["post"]["requestBody"]["content"]["application/json"];

export interface Search {
  q?: string;
  cursor?: string;
}

/** What a query of the cache is made of. */
export interface Query<T> {
  queryKey: readonly unknown[];
  queryFn: (context: { signal: AbortSignal }) => Promise<T>;
}

export const pageSize = 50;

/** The largest page the API gives; what is picked from a list here is picked from at most this many. */
export const pageMax = 1000;

/** A kind of resource: its words, where it lives in the API and in this admin, and how it is read and written. */
export interface Noun<T extends Resource = Resource, W = unknown> {
  kind: string;
  one: string;
  many: string;
  /** What a deletion takes along. */
  takesAlong?: string;
  /** Where its pages are. */
  page: string;
  collection: string;
  item(ref: string): string;
  list(search: Search, limit?: number): Query<Page<T>>;
  read(ref: string): Query<T>;
  create(document: W): Promise<T>;
  replace(ref: string, document: W, etag: string): Promise<T>;
  remove(ref: string, etag: string): Promise<void>;
}

interface Answer {
  data?: unknown;
}
type Verb = (path: string, init: object) => Promise<Answer>;

// The paths are typed where a noun is declared; below they are one shape, which the client's types cannot say.
const verbs = client as unknown as Record<"GET" | "POST" | "PUT" | "DELETE", Verb>;

export function noun<P extends Collection>(
  collection: P,
  words: Pick<Noun, "kind" | "one" | "many" | "takesAlong">,
): Noun<Read<P> & Resource, Write<P>> {
  type T = Read<P> & Resource;
  const item: Item<P> = `${collection}/{ref}`;
  const at = (ref: string) => ({ path: { ref } });
  return {
    ...words,
    page: collection.slice("/v1".length),
    collection,
    item: (ref) => `${collection}/${encodeURIComponent(ref)}`,
    list: (search, limit = pageSize) => ({
      queryKey: [words.kind, "list", search, limit],
      queryFn: async ({ signal }) => {
        const query = { ...search, limit };
        return (await verbs.GET(collection, { params: { query }, signal })).data as Page<T>;
      },
    }),
    read: (ref) => ({
      queryKey: [words.kind, "one", ref],
      queryFn: async ({ signal }) => (await verbs.GET(item, { params: at(ref), signal })).data as T,
    }),
    create: async (body) => (await verbs.POST(collection, { body })).data as T,
    replace: async (ref, body, etag) =>
      (await verbs.PUT(item, { params: { ...at(ref), header: { "If-Match": etag } }, body })).data as T,
    remove: async (ref, etag) => {
      await verbs.DELETE(item, { params: { ...at(ref), header: { "If-Match": etag } } });
    },
  };
}

/** What a write meant for this version of a resource must carry. */
export function etag(resource: { revision: number }): string {
  return `"${resource.revision}"`;
}
