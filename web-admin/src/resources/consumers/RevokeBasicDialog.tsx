import { Button, Group, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { changed } from "../../api/cache.ts";
import type { Key } from "../../api/types.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { revokeBasic } from "./keys.ts";

interface Props {
  consumer: string;
  basic: Key;
  onClose: () => void;
}

export function RevokeBasicDialog({ consumer, basic, onClose }: Props) {
  const revoke = useMutation({
    mutationFn: () => revokeBasic(consumer, basic.id),
    onSuccess: () => {
      onClose();
      return changed();
    },
  });
  return (
    <Dialog onClose={onClose} title={`Revoke ${basic.username}?`}>
      <Stack>
        {revoke.error && <ProblemAlert error={revoke.error} />}
        <Text size="sm">
          Calls of {consumer} with this username are refused from then on. This cannot be taken back.
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus>
            Keep it
          </Button>
          <Button color="red.8" loading={revoke.isPending} onClick={() => revoke.mutate()}>
            Revoke username
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
