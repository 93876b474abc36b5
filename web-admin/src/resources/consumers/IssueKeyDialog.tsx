import { Button, Group, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useMutation } from "@tanstack/react-query";
import { changed } from "../../api/cache.ts";
import { asProblem } from "../../api/problem.ts";
import type { IssuedKey } from "../../api/types.ts";
import { CopyButton } from "../../ui/CopyButton.tsx";
import { CurlPanel } from "../../ui/CurlPanel.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { AppliedAlert } from "../AppliedAlert.tsx";
import { placed } from "../document.ts";
import { consumers } from "../nouns.ts";
import { issueKey, type KeyRequest } from "./keys.ts";

const places = { "/label": "label", "/expires_at": "expires", "/key": "own" };

export function IssueKeyDialog({ consumer, onClose }: { consumer: string; onClose: () => void }) {
  const form = useForm({ initialValues: { label: "", expires: "", own: "" } });
  const issue = useMutation({
    mutationFn: (request: KeyRequest) => issueKey(consumer, request),
    onSuccess: () => changed(),
    onError: (error) => form.setErrors(placed(asProblem(error).errors, places).fields),
  });
  const request = keyRequest(form.values);
  const rest = issue.error ? placed(asProblem(issue.error).errors, places).rest : [];

  if (issue.data) return <ShownOnce issued={issue.data} consumer={consumer} onClose={onClose} />;
  return (
    <Dialog onClose={onClose} title={`Issue a key for ${consumer}`} wide>
      <form onSubmit={form.onSubmit(() => issue.mutate(request))}>
        <Stack>
          {issue.error && <ProblemAlert error={issue.error} entries={rest} />}
          <TextInput
            label="Label"
            description="To tell it from others later: where it is used."
            placeholder="laptop"
            autoComplete="off"
            data-autofocus
            {...form.getInputProps("label")}
          />
          <TextInput
            type="datetime-local"
            label="Expires"
            description="In your time zone. Left empty, it never does."
            {...form.getInputProps("expires")}
          />
          <PasswordInput
            label="Key of your own"
            description="Left empty, one is drawn, which is better. At least 32 characters that are hard to guess."
            autoComplete="off"
            classNames={{ innerInput: "mono" }}
            {...form.getInputProps("own")}
          />
          <CurlPanel
            call={{
              method: "POST",
              url: `${consumers.item(consumer)}/keys?wait=all`,
              body: request.key ? { ...request, key: "..." } : request,
            }}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={issue.isPending}>
              Issue key
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

function keyRequest({ label, expires, own }: { label: string; expires: string; own: string }): KeyRequest {
  const at = expires ? new Date(expires) : undefined;
  return {
    ...(label.trim() ? { label: label.trim() } : {}),
    ...(at && !Number.isNaN(at.getTime()) ? { expires_at: at.toISOString() } : {}),
    ...(own ? { key: own } : {}),
  };
}

/** The key, once. Closing by a stray click would lose it, so only the button closes. */
export function ShownOnce({
  issued,
  consumer,
  onClose,
}: {
  issued: IssuedKey;
  consumer: string;
  onClose: () => void;
}) {
  return (
    <Dialog onClose={onClose} title={`The key of ${consumer}`} wide firm>
      <Stack>
        <Text size="sm">Copy it now: it is shown this once, and only its hash is kept.</Text>
        <Group gap="xs" wrap="nowrap" align="flex-end">
          <TextInput
            label="Key"
            readOnly
            value={issued.key}
            onFocus={(event) => event.currentTarget.select()}
            classNames={{ input: "mono" }}
            style={{ flex: 1 }}
          />
          <CopyButton text={issued.key} what="key" wide />
        </Group>
        {issued.applied && <AppliedAlert applied={issued.applied} does="knows this key" />}
        <Group justify="flex-end">
          <Button onClick={onClose}>I have stored it</Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
