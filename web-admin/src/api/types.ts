// The nouns of the Admin API as the pages name them. The one file that knows what the document calls them.
import type { components } from "../api.d.ts";

type Schemas = components["schemas"];

export type Session = Schemas["Session"];
export type Status = Schemas["Status"];
export type Service = Schemas["Service"];
export type Route = Schemas["Route"];
export type RouteWrite = Schemas["RouteWrite"];
export type PathMatch = Schemas["PathMatch"];
export type HeaderMatch = Schemas["HeaderMatch"];
export type QueryMatch = Schemas["QueryMatch"];
export type Upstream = Schemas["Upstream"];
export type Consumer = Schemas["Consumer"];
export type ConsumerGroup = Schemas["ConsumerGroup"];
export type Policy = Schemas["Policy"];
export type PolicyKind = Schemas["PolicyKind"];
export type Key = Schemas["Credential"];
export type IssuedKey = Schemas["IssuedKey"];
export type RotatedKey = Schemas["RotatedKey"];
export type GatewayNode = Schemas["Node"];
export type Revision = Schemas["Revision"];
export type RevisionDetail = Schemas["RevisionDetail"];
export type Change = Schemas["Change"];
export type Applied = Schemas["Applied"];

/** What every resource answers beside its own fields. */
export interface Resource {
  id: string;
  name: string;
  revision: number;
  created_at: string;
  updated_at: string;
  description?: string;
  tags?: string[];
}

export interface Page<T> {
  data: T[];
  next?: string | null;
}
