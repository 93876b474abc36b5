import { diff } from "./diff.ts";
import { Nothing } from "./show.tsx";

/** Two versions of a document, one above the other where they differ. */
export function Diff({ before, after, label }: { before: unknown; after: unknown; label: string }) {
  const found = diff(before, after);
  if (found.every((line) => line.mark === " ")) return <Nothing>nothing differs</Nothing>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    // biome-ignore lint/a11y/useSemanticElements: a group of lines, not of form controls
    <div className="code diff" role="group" aria-label={label} tabIndex={0}>
      {found.map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other identity and never move
        <div key={index} data-mark={line.mark}>
          {line.text}
        </div>
      ))}
    </div>
  );
}
