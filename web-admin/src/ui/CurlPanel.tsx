import { Code } from "./Code.tsx";
import { CopyButton } from "./CopyButton.tsx";
import { type Call, curl } from "./curl.ts";
import { Panel } from "./Panel.tsx";

/** The call that a form is about to make. */
export function CurlPanel({ call }: { call: Call }) {
  const text = curl({ ...call, url: window.location.origin + call.url });
  return (
    <Panel title="As a command" aside={<CopyButton text={text} what="command" />} flush>
      <Code label="curl command">{text}</Code>
    </Panel>
  );
}
