import type { HeaderMatch, PathMatch, QueryMatch, Route } from "../../api/types.ts";

export interface PathRow {
  how: "prefix" | "exact" | "template" | "regex";
  path: string;
}

/** A header or a parameter of the query that a request must or must not have. */
export interface TestRow {
  name: string;
  how: "exact" | "regex" | "present" | "absent";
  value: string;
}

/** The paths of a match as rows; a bare string is a prefix. */
export function pathRows(path: PathMatch | PathMatch[] | undefined): PathRow[] {
  if (path === undefined) return [];
  const all = Array.isArray(path) ? path : [path];
  return all.map(pathRow);
}

function pathRow(path: PathMatch): PathRow {
  if (typeof path === "string") return { how: "prefix", path };
  if ("exact" in path) return { how: "exact", path: path.exact };
  if ("template" in path) return { how: "template", path: path.template };
  if ("regex" in path) return { how: "regex", path: path.regex };
  return { how: "prefix", path: path.prefix };
}

/** The shortest document that says the same. */
export function pathDocument(rows: PathRow[]): PathMatch | PathMatch[] | undefined {
  const all = rows
    .map((row) => ({ ...row, path: row.path.trim() }))
    .filter((row) => row.path !== "")
    .map((row): PathMatch => (row.how === "prefix" ? row.path : ({ [row.how]: row.path } as PathMatch)));
  return all.length > 1 ? all : all[0];
}

/** The tests of headers, or of the query, as rows. */
export function testRows(tests: (HeaderMatch | QueryMatch)[] | undefined): TestRow[] {
  return (tests ?? []).map((test) => {
    if (test.regex !== undefined) return { name: test.name, how: "regex", value: test.regex };
    if (test.exact !== undefined) return { name: test.name, how: "exact", value: test.exact };
    return { name: test.name, how: test.present === false ? "absent" : "present", value: "" };
  });
}

/** A row without a name says nothing yet. */
export function testDocument(rows: TestRow[]): HeaderMatch[] {
  return rows
    .filter((row) => row.name.trim() !== "")
    .map(({ name, how, value }) => {
      if (how === "present" || how === "absent") return { name: name.trim(), present: how === "present" };
      return { name: name.trim(), [how]: value };
    });
}

const pathMarks = { prefix: "", exact: "= ", template: "", regex: "~ " };

/** A match in a line, for lists. */
export function matchWords(match: Route["match"]): {
  methods: string;
  hosts: string;
  paths: string[];
  headers: string[];
  query: string[];
} {
  const rows = pathRows(match?.path);
  return {
    methods: match?.methods?.join(" ") ?? "",
    hosts: match?.hosts?.join(", ") ?? "",
    paths: rows.length ? rows.map((row) => pathMarks[row.how] + row.path) : ["/"],
    headers: testRows(match?.headers).map(testWords),
    query: testRows(match?.query).map(testWords),
  };
}

function testWords({ name, how, value }: TestRow): string {
  if (how === "present") return name;
  if (how === "absent") return `no ${name}`;
  return how === "exact" ? `${name} = ${value}` : `${name} ~ ${value}`;
}

/** Where a route leads, in words. */
export function redirectWords(redirect: NonNullable<Route["redirect"]>): string {
  const { scheme, host, port, path } = redirect;
  const place = scheme || host || port ? `${scheme ? `${scheme}:` : ""}//${host ?? "(same host)"}` : "";
  return `${redirect.status ?? 302} ${place}${port ? `:${port}` : ""}${path ?? (place ? "" : "(same path)")}`;
}

/** A path under which the route can be tried: a parameter is taken for itself. An expression gives none. */
export function samplePath(match: Route["match"]): string {
  const row = pathRows(match?.path).find(({ how }) => how !== "regex");
  if (!row) return "/";
  return row.how === "template" ? row.path.replace(/\{\*?([a-z0-9_]+)\}/g, "$1") : row.path;
}
