import { Button, Group, Select, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { changed } from "../../api/cache.ts";
import type { Key } from "../../api/types.ts";
import { CurlPanel } from "../../ui/CurlPanel.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { consumers } from "../nouns.ts";
import { ShownOnce } from "./IssueKeyDialog.tsx";
import { rotateKey } from "./keys.ts";

const overlaps = [
  { value: "0s", label: "none: the old key ends at once" },
  { value: "1h", label: "1 hour" },
  { value: "24h", label: "1 day" },
  { value: "7d", label: "7 days" },
  { value: "30d", label: "30 days" },
];

/** A new key while the old one still works: callers change over without an outage. */
export function RotateKeyDialog({
  consumer,
  old,
  onClose,
}: {
  consumer: string;
  old: Key;
  onClose: () => void;
}) {
  const [overlap, setOverlap] = useState("24h");
  const rotate = useMutation({
    mutationFn: () => rotateKey(consumer, old.id, { overlap }),
    onSuccess: () => changed(),
  });
  if (rotate.data) return <ShownOnce issued={rotate.data} consumer={consumer} onClose={onClose} />;
  return (
    <Dialog onClose={onClose} title={`Rotate ${old.label || old.hint}`} wide>
      <Stack>
        {rotate.error && <ProblemAlert error={rotate.error} />}
        <Text size="sm">
          A new key is issued, and <span className="mono">{old.hint}</span> goes on working until the overlap
          is over. Then it ends by itself.
        </Text>
        <Select
          label="Overlap"
          description="How long both keys work."
          data={overlaps}
          value={overlap}
          allowDeselect={false}
          onChange={(value) => value && setOverlap(value)}
        />
        <CurlPanel
          call={{
            method: "POST",
            url: `${consumers.item(consumer)}/keys/${old.id}/rotate?wait=all`,
            body: { overlap },
          }}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button loading={rotate.isPending} onClick={() => rotate.mutate()}>
            Rotate key
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
