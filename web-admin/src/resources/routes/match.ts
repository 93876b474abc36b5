import type { PathMatch, Route } from "../../api/types.ts";

export interface PathRow {
  how: "prefix" | "exact";
  path: string;
}

/** The paths of a match as rows; a bare string is a prefix. */
export function pathRows(path: PathMatch | PathMatch[] | undefined): PathRow[] {
  if (path === undefined) return [];
  const all = Array.isArray(path) ? path : [path];
  return all.map(pathRow);
}

function pathRow(path: PathMatch): PathRow {
  if (typeof path === "string") return { how: "prefix", path };
  return "exact" in path ? { how: "exact", path: path.exact } : { how: "prefix", path: path.prefix };
}

/** The shortest document that says the same. */
export function pathDocument(rows: PathRow[]): PathMatch | PathMatch[] | undefined {
  const all = rows
    .map((row) => ({ ...row, path: row.path.trim() }))
    .filter((row) => row.path !== "")
    .map((row): PathMatch => (row.how === "exact" ? { exact: row.path } : row.path));
  return all.length > 1 ? all : all[0];
}

/** A match in a line, for lists. */
export function matchWords(match: Route["match"]): { methods: string; hosts: string; paths: string[] } {
  const rows = pathRows(match?.path);
  return {
    methods: match?.methods?.join(" ") ?? "",
    hosts: match?.hosts?.join(", ") ?? "",
    paths: rows.length ? rows.map((row) => (row.how === "exact" ? `= ${row.path}` : row.path)) : ["/"],
  };
}

/** A path under which the route can be tried. */
export function samplePath(match: Route["match"]): string {
  return pathRows(match?.path)[0]?.path ?? "/";
}
