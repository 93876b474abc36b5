import { Button, Group, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useMutation } from "@tanstack/react-query";
import { changed } from "../../api/cache.ts";
import { asProblem } from "../../api/problem.ts";
import type { Key } from "../../api/types.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { placed } from "../document.ts";
import { addBasic, changePassword } from "./keys.ts";

const places = { "/username": "username", "/password": "password", "/label": "label" };

interface Props {
  consumer: string;
  /** Whose password is changed; a new one is made without. */
  basic?: Key;
  onClose: () => void;
}

export function BasicDialog({ consumer, basic, onClose }: Props) {
  const form = useForm({ initialValues: { username: basic?.username ?? "", password: "", label: "" } });
  const save = useMutation({
    mutationFn: ({ username, password, label }: typeof form.values) =>
      basic
        ? changePassword(consumer, basic.id, password)
        : addBasic(consumer, { username, password, ...(label.trim() ? { label: label.trim() } : {}) }),
    onSuccess: () => {
      onClose();
      return changed();
    },
    onError: (error) => form.setErrors(placed(asProblem(error).errors, places).fields),
  });
  const rest = save.error ? placed(asProblem(save.error).errors, places).rest : [];
  const title = basic ? `Change the password of ${basic.username}` : `Add a username for ${consumer}`;
  return (
    <Dialog onClose={onClose} title={title} wide>
      <form onSubmit={form.onSubmit((values) => save.mutate(values))}>
        <Stack>
          {save.error && <ProblemAlert error={save.error} entries={rest} />}
          {!basic && (
            <TextInput
              label="Username"
              description="Nobody else has it, in the whole gateway."
              autoComplete="off"
              data-autofocus
              classNames={{ input: "mono" }}
              {...form.getInputProps("username")}
            />
          )}
          <PasswordInput
            label="Password"
            description="12 to 256 bytes that are hard to guess. It is never shown again."
            autoComplete="new-password"
            {...form.getInputProps("password")}
          />
          {!basic && (
            <TextInput
              label="Label"
              description="To tell it from others later: where it is used."
              autoComplete="off"
              {...form.getInputProps("label")}
            />
          )}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={save.isPending}>
              {basic ? "Change password" : "Add username"}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
