import { Alert, List, Stack, Text } from "@mantine/core";
import type { Applied } from "../api/types.ts";
import { counted } from "../ui/words.ts";

interface Props {
  applied: Applied;
  /** What a node that confirmed does now. */
  does: string;
}

/** Which nodes have a write, and which do not yet. */
export function AppliedAlert({ applied, does }: Props) {
  const total = applied.confirmed.length + applied.behind.length;
  const title = `${applied.confirmed.length} of ${counted(total, "node")} confirmed`;
  if (applied.complete) {
    return (
      <Alert role="status" color="teal" title={title}>
        <Text size="sm">Every node {does}.</Text>
      </Alert>
    );
  }
  return (
    <Alert role="status" color="yellow" title={title}>
      <Stack gap={6}>
        <Text size="sm">These have not said so yet. They will when they are heard from again:</Text>
        <List size="sm">
          {applied.behind.map((node) => (
            <List.Item key={node.node}>
              <span className="mono">{node.node}</span>
              {node.at !== undefined && node.at !== null && ` at revision ${node.at}`}
              {node.reason && `: ${node.reason}`}
            </List.Item>
          ))}
        </List>
      </Stack>
    </Alert>
  );
}
