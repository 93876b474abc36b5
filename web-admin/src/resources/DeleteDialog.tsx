import { Button, Group, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { changed } from "../api/cache.ts";
import { etag, type Noun } from "../api/noun.ts";
import type { Resource } from "../api/types.ts";
import { Dialog } from "../ui/Dialog.tsx";
import { ProblemAlert } from "../ui/ProblemAlert.tsx";

interface Props {
  noun: Noun;
  resource: Resource;
  onClose: () => void;
}

/** Asks once; the server refuses while something still points at the resource, and says what does. */
export function DeleteDialog({ noun, resource, onClose }: Props) {
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: () => noun.remove(resource.id, etag(resource)),
    onSuccess: async () => {
      notifications.show({ message: `The ${noun.one} ${resource.name} is deleted` });
      await navigate({ to: noun.page as never });
      await changed();
    },
  });
  return (
    <Dialog onClose={onClose} title={`Delete ${resource.name}?`}>
      <Stack>
        {remove.error ? (
          <ProblemAlert error={remove.error} />
        ) : (
          <Text size="sm">
            The {noun.one} <b className="wrap">{resource.name}</b>
            {noun.takesAlong ? ` and ${noun.takesAlong} are` : " is"} taken out at the next revision, on all
            nodes. What was there stays in the changes.
          </Text>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus>
            Keep it
          </Button>
          <Button color="red.8" loading={remove.isPending} onClick={() => remove.mutate()}>
            Delete {noun.one}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
