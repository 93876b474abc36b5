// Between a route's document and what its form holds.
import type { Route, RouteWrite } from "../../api/types.ts";
import { type Common, common } from "../CommonFields.tsx";
import { compact, overlaid } from "../document.ts";
import { type PathRow, pathDocument, pathRows, type TestRow, testDocument, testRows } from "./match.ts";

export type RouteValues = Common & {
  leadsTo: "service" | "redirect" | "compose";
  service: string;
  redirect: {
    status: string;
    scheme: string | null;
    host: string;
    port: number | string;
    path: string;
    dropQuery: boolean;
  };
  /** JSON, as it is written. */
  compose: string;
  hosts: string[];
  paths: PathRow[];
  methods: string[];
  headers: TestRow[];
  query: TestRow[];
  stripPrefix: boolean;
  rewritePath: string;
  rewriteHost: string;
  allowPathParameters: boolean;
  priority: number | string;
};

/** What a new composition begins with. */
const sample = { steps: { first: { service: "", path: "/" } } };

/** Why a text is no composition; the gateway says more of what is in it. */
export function composeProblem(text: string): string | null {
  try {
    const read: unknown = JSON.parse(text);
    return read !== null && typeof read === "object" && !Array.isArray(read)
      ? null
      : "write an object with steps";
  } catch (error) {
    return error instanceof Error ? error.message : "this is no JSON";
  }
}

export function values(base?: Route): RouteValues {
  const paths = pathRows(base?.match?.path);
  return {
    ...common(base),
    leadsTo: base?.compose ? "compose" : base?.redirect ? "redirect" : "service",
    service: base?.service ?? "",
    redirect: {
      status: String(base?.redirect?.status ?? 302),
      scheme: base?.redirect?.scheme ?? null,
      host: base?.redirect?.host ?? "",
      port: base?.redirect?.port ?? "",
      path: base?.redirect?.path ?? "",
      dropQuery: base?.redirect?.query === "drop",
    },
    compose: JSON.stringify(base?.compose ?? sample, null, 2),
    hosts: base?.match?.hosts ?? [],
    paths: paths.length ? paths : [{ how: "prefix", path: "" }],
    methods: base?.match?.methods ?? [],
    headers: testRows(base?.match?.headers),
    query: testRows(base?.match?.query),
    stripPrefix: base?.strip_prefix ?? false,
    rewritePath: base?.rewrite?.path ?? "",
    rewriteHost: base?.rewrite?.host ?? "",
    allowPathParameters: base?.allow_path_parameters ?? false,
    priority: base?.priority ?? 0,
  };
}

export function document(v: RouteValues, base?: Route): RouteWrite {
  const { hosts: _h, path: _p, methods: _m, headers: _a, query: _q, ...unknown } = base?.match ?? {};
  const forwards = v.leadsTo === "service";
  return overlaid(base, {
    name: v.name,
    service: forwards ? v.service : undefined,
    redirect: v.leadsTo === "redirect" ? redirectDocument(v, base) : undefined,
    compose: v.leadsTo === "compose" ? JSON.parse(v.compose) : undefined,
    match: {
      ...unknown,
      ...compact({
        hosts: v.hosts,
        path: pathDocument(v.paths),
        methods: v.methods,
        headers: testDocument(v.headers),
        query: testDocument(v.query),
      }),
    },
    strip_prefix: (forwards && v.stripPrefix) || undefined,
    rewrite: forwards ? rewriteDocument(v, base) : undefined,
    allow_path_parameters: v.allowPathParameters || undefined,
    priority: Number(v.priority) || undefined,
    description: v.description,
    tags: v.tags,
  }) as RouteWrite;
}

function rewriteDocument(v: RouteValues, base?: Route) {
  const { path: _p, host: _h, ...unknown } = base?.rewrite ?? {};
  return { ...unknown, ...compact({ path: v.rewritePath.trim(), host: v.rewriteHost.trim() }) };
}

function redirectDocument({ redirect: r }: RouteValues, base?: Route) {
  const {
    status: _s,
    scheme: _c,
    host: _h,
    port: _o,
    path: _p,
    query: _q,
    ...unknown
  } = base?.redirect ?? {};
  const set = {
    // the default is left to the gateway
    status: r.status === "302" ? base?.redirect?.status && 302 : Number(r.status),
    scheme: r.scheme,
    host: r.host.trim(),
    port: Number(r.port) || undefined,
    path: r.path.trim(),
    query: r.dropQuery ? "drop" : undefined,
  };
  return { ...unknown, ...compact(set) };
}
