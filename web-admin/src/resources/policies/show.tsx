import { Link } from "@tanstack/react-router";
import type { Policy } from "../../api/types.ts";
import { Mono, Status } from "../../ui/show.tsx";
import { scopeParts } from "./scope.ts";

export function State({ policy }: { policy: Policy }) {
  return policy.enabled === false ? (
    <Status tone="warn">disabled</Status>
  ) : (
    <Status tone="good">enabled</Status>
  );
}

const scopePage: Record<string, string> = {
  service: "/services",
  route: "/routes",
  consumer: "/consumers",
  group: "/consumer-groups",
};

export function Scope({ scope, linked }: { scope: Policy["scope"]; linked?: boolean }) {
  const parts = scopeParts(scope);
  if (parts.length === 0) return <Status tone="quiet">global</Status>;
  return (
    <span style={{ display: "inline-flex", flexWrap: "wrap", gap: "2px 12px" }}>
      {parts.map(([kind, name]) => (
        <span key={kind} className="wrap">
          <span style={{ color: "var(--mantine-color-dimmed)" }}>{kind} </span>
          {linked ? (
            <Link className="link" to={`${scopePage[kind]}/$ref` as never} params={{ ref: name } as never}>
              {name}
            </Link>
          ) : (
            name
          )}
        </span>
      ))}
    </span>
  );
}

/** A policy among others: its kind, and whether it is off. */
export function KindNote({ policy }: { policy: Policy }) {
  return (
    <>
      {policy.enabled === false && <State policy={policy} />} <Mono>{policy.kind}</Mono>
    </>
  );
}
