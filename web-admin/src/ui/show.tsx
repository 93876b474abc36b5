// Small ways to show one value.
import { Tooltip } from "@mantine/core";
import type { ReactNode } from "react";
import { CopyButton } from "./CopyButton.tsx";
import { exact, relative, useNow } from "./time.ts";

export type Tone = "good" | "warn" | "bad" | "info" | "quiet";

/** A word with a colour that says how it stands; the word alone must be enough. */
export function Status({ tone, dot, children }: { tone: Tone; dot?: boolean; children: ReactNode }) {
  return (
    <span className="tone" data-tone={tone}>
      {dot && <i className="dot" />}
      {children}
    </span>
  );
}

export function Mono({ children }: { children: ReactNode }) {
  return <span className="mono">{children}</span>;
}

export function Nothing({ children = "none" }: { children?: ReactNode }) {
  return <span style={{ color: "var(--mantine-color-dimmed)" }}>{children}</span>;
}

/** A time as "3 m ago", with the exact one on hover. */
export function Time({ at, never = "never" }: { at?: string | null; never?: string }) {
  const now = useNow();
  if (!at) return <Nothing>{never}</Nothing>;
  const then = new Date(at);
  if (Number.isNaN(then.getTime())) return <>{at}</>;
  return (
    <Tooltip label={exact(then)}>
      <time dateTime={at} style={{ whiteSpace: "nowrap" }}>
        {relative(then, now)}
      </time>
    </Tooltip>
  );
}

export function Id({ id, what = "id" }: { id: string; what?: string }) {
  return (
    <span style={{ display: "inline-flex", alignItems: "center", gap: 4, maxWidth: "100%" }}>
      <span className="mono wrap" style={{ fontSize: "0.75rem", color: "var(--mantine-color-dimmed)" }}>
        {id}
      </span>
      <CopyButton text={id} what={what} />
    </span>
  );
}

export function Tags({ tags }: { tags?: string[] }) {
  if (!tags?.length) return <Nothing />;
  return (
    <span style={{ display: "inline-flex", flexWrap: "wrap", gap: 4 }}>
      {tags.map((tag) => (
        <Status key={tag} tone="quiet">
          {tag}
        </Status>
      ))}
    </span>
  );
}

/** Names and values of one thing. */
export function Facts({ facts }: { facts: [name: string, value: ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt className="label">{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
