import { expect, test } from "vitest";
import type { Route } from "../../api/types.ts";
import { composeProblem, document, values } from "./values.ts";

const read = { id: "1", revision: 1, created_at: "", updated_at: "" };

test("what a form does not change stays as it was", () => {
  for (const said of [
    { name: "a", service: "s" },
    {
      name: "b",
      service: "s",
      match: {
        path: { template: "/a/{id}" },
        headers: [{ name: "x-a", present: false }],
        query: [{ name: "q", exact: "" }],
      },
      rewrite: { path: "/b/{id}", host: "c.example" },
      allow_path_parameters: true,
    },
    {
      name: "c",
      redirect: { status: 308, scheme: "https", host: "d.example", port: 8443, path: "/e", query: "drop" },
    },
    { name: "d", redirect: { status: 302, path: "/e" } },
    { name: "e", redirect: { path: "/e" } },
    { name: "f", compose: { steps: { a: { service: "s", on_error: { default: [] } } }, partial: "refuse" } },
  ]) {
    const base = { ...read, ...said } as unknown as Route;
    expect(document(values(base), base)).toEqual(said);
  }
});

test("a route leads to a service or elsewhere, never both", () => {
  const form = { ...values(), name: "r", service: "s", stripPrefix: true, rewritePath: "/x" };
  expect(document(form)).toEqual({ name: "r", service: "s", strip_prefix: true, rewrite: { path: "/x" } });
  const elsewhere = { ...form, leadsTo: "redirect" as const, redirect: { ...form.redirect, path: "/y" } };
  expect(document(elsewhere)).toEqual({ name: "r", redirect: { path: "/y" } });
  const composed = { ...form, leadsTo: "compose" as const, compose: '{"steps": {"a": {"service": "s"}}}' };
  expect(document(composed)).toEqual({ name: "r", compose: { steps: { a: { service: "s" } } } });
  expect([composeProblem("{"), composeProblem("[]"), composeProblem("{}")].map(Boolean)).toEqual([
    true,
    true,
    false,
  ]);
});
