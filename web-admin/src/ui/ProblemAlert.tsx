import { Alert, Button, Group, List, Stack, Text } from "@mantine/core";
import { asProblem, type FieldProblem } from "../api/problem.ts";
import { AlertIcon } from "./icons.tsx";

interface Props {
  error: unknown;
  /** The entries to tell, when some of them already stand at their fields. */
  entries?: FieldProblem[];
  again?: () => void;
}

/** Says what went wrong in the server's own words. */
export function ProblemAlert({ error, entries, again }: Props) {
  const problem = asProblem(error);
  const told = (entries ?? problem.errors).filter(
    (entry) => entry.pointer || entry.detail !== problem.detail,
  );
  return (
    <Alert role="alert" color="red" icon={<AlertIcon />} title={problem.title}>
      <Stack gap={8}>
        {problem.detail && <Text size="sm">{problem.detail}</Text>}
        {told.length > 0 && (
          <List size="sm" spacing={2}>
            {told.map((entry) => (
              <List.Item key={`${entry.pointer} ${entry.detail}`}>
                {entry.pointer && <span className="mono">{entry.pointer} </span>}
                {entry.detail}
              </List.Item>
            ))}
          </List>
        )}
        {(again || problem.requestId) && (
          <Group gap="sm">
            {again && (
              <Button size="compact-sm" variant="default" onClick={again}>
                Try again
              </Button>
            )}
            {problem.requestId && (
              <Text size="xs" c="dimmed">
                request <span className="mono">{problem.requestId}</span>
              </Text>
            )}
          </Group>
        )}
      </Stack>
    </Alert>
  );
}
