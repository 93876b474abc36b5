import { Link } from "@tanstack/react-router";
import type { Change } from "../../api/types.ts";
import { Status } from "../../ui/show.tsx";
import { pageOf } from "../nouns.ts";
import { tones, verbs } from "./log.ts";

type Summary = Pick<Change, "kind" | "name" | "op">;

/** "created service orders"; what still exists and has a page is a link to it. */
export function ChangeWords({ change }: { change: Summary }) {
  const page = pageOf[change.kind];
  return (
    <span className="wrap">
      <Status tone={tones[change.op] ?? "quiet"}>{verbs[change.op] ?? change.op}</Status>{" "}
      <span style={{ color: "var(--mantine-color-dimmed)" }}>{change.kind}</span>{" "}
      {page && change.op !== "delete" ? (
        <Link className="link" to={`${page}/$ref` as never} params={{ ref: change.name } as never}>
          {change.name}
        </Link>
      ) : (
        <b style={{ fontWeight: 560 }}>{change.name}</b>
      )}
    </span>
  );
}

const shown = 3;

export function ChangeList({ changes }: { changes: Summary[] }) {
  return (
    <span style={{ display: "flex", flexDirection: "column", gap: 4 }}>
      {changes.slice(0, shown).map((change) => (
        <ChangeWords key={`${change.kind} ${change.name} ${change.op}`} change={change} />
      ))}
      {changes.length > shown && (
        <span style={{ color: "var(--mantine-color-dimmed)" }}>and {changes.length - shown} more</span>
      )}
    </span>
  );
}
