import { Button, Group, Loader, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { changed } from "../../api/cache.ts";
import type { Key } from "../../api/types.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { AppliedAlert } from "../AppliedAlert.tsx";
import { revokeKey } from "./keys.ts";

interface Props {
  consumer: string;
  issued: Key;
  onClose: () => void;
}

/** Takes a key back and says how many nodes refuse it already. */
export function RevokeKeyDialog({ consumer, issued, onClose }: Props) {
  const revoke = useMutation({
    mutationFn: () => revokeKey(consumer, issued.id),
    onSuccess: () => changed(),
  });
  const name = issued.label || issued.hint;
  return (
    <Dialog onClose={onClose} title={`Revoke ${name}?`}>
      <Stack>
        {revoke.error && <ProblemAlert error={revoke.error} />}
        {revoke.isSuccess ? (
          <>
            {revoke.data ? (
              <AppliedAlert applied={revoke.data} does="refuses the key" />
            ) : (
              <Text size="sm">The key is revoked.</Text>
            )}
            <Group justify="flex-end">
              <Button onClick={onClose}>Done</Button>
            </Group>
          </>
        ) : (
          <>
            <Text size="sm">
              Calls of {consumer} with <span className="mono">{issued.hint}</span> are refused from then on.
              This cannot be taken back; another key can be issued at any time.
            </Text>
            <Group justify="flex-end" gap="xs">
              {revoke.isPending && (
                <Group gap={8} mr="auto" role="status">
                  <Loader size={14} />
                  <Text size="sm" c="dimmed">
                    Waiting for the nodes
                  </Text>
                </Group>
              )}
              <Button variant="default" onClick={onClose} data-autofocus>
                Keep it
              </Button>
              <Button color="red.8" loading={revoke.isPending} onClick={() => revoke.mutate()}>
                Revoke key
              </Button>
            </Group>
          </>
        )}
      </Stack>
    </Dialog>
  );
}
