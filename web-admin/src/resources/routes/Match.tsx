import type { Route } from "../../api/types.ts";
import { Nothing, Status } from "../../ui/show.tsx";
import { matchWords } from "./match.ts";

/** What a route matches, in a line. */
export function Match({ route }: { route: Route }) {
  const words = matchWords(route.match);
  return (
    <span style={{ display: "inline-flex", flexWrap: "wrap", gap: "2px 8px", alignItems: "center" }}>
      {words.methods && <Status tone="info">{words.methods}</Status>}
      <span className="mono wrap">
        {words.hosts && <Nothing>{words.hosts} </Nothing>}
        {words.paths.join(", ")}
        {words.query.length > 0 && <Nothing> ? {words.query.join(" & ")}</Nothing>}
        {words.headers.length > 0 && <Nothing> with {words.headers.join(", ")}</Nothing>}
      </span>
    </span>
  );
}
