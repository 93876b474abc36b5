import { CopyButton } from "./CopyButton.tsx";
import { type Call, curl } from "./curl.ts";
import { Panel } from "./Panel.tsx";

/** The call that a form is about to make. */
export function CurlPanel({ call }: { call: Call }) {
  const text = curl({ ...call, url: window.location.origin + call.url });
  return (
    <Panel title="As a command" aside={<CopyButton text={text} what="command" />} flush>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre className="code" tabIndex={0} aria-label="curl command">
        {text}
      </pre>
    </Panel>
  );
}
