import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { useEffect, useState } from "react";
import { copyText } from "./copy.ts";
import { CheckIcon, CopyIcon } from "./icons.tsx";

interface Props {
  text: string;
  /** What is copied, for those who hear the button instead of seeing where it stands. */
  what: string;
  /** A button with a word on it rather than an icon. */
  wide?: boolean;
}

export function CopyButton({ text, what, wide }: Props) {
  const [outcome, setOutcome] = useState<"copied" | "failed">();
  useEffect(() => {
    if (!outcome) return;
    const timer = setTimeout(() => setOutcome(undefined), 2_000);
    return () => clearTimeout(timer);
  }, [outcome]);

  const copy = async () => setOutcome((await copyText(text)) ? "copied" : "failed");
  const said = outcome === "copied" ? "Copied" : outcome === "failed" ? "Copy it by hand" : `Copy ${what}`;
  const mark = outcome === "copied" ? <CheckIcon size={15} /> : <CopyIcon size={15} />;

  if (wide) {
    return (
      <Button variant="default" leftSection={mark} onClick={copy} aria-label={said}>
        {outcome ? said : "Copy"}
      </Button>
    );
  }
  return (
    <Tooltip label={said}>
      <ActionIcon aria-label={said} onClick={copy} size="sm">
        {mark}
      </ActionIcon>
    </Tooltip>
  );
}
