import { Alert, Button, Group, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Navigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { asProblem } from "../api/problem.ts";
import { signIn } from "../api/session.ts";
import { MarkIcon } from "../ui/icons.tsx";
import { within } from "./within.ts";

export function SignIn() {
  const { to } = useSearch({ from: "/sign-in" });
  const [token, setToken] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const attempt = useMutation({ mutationFn: signIn, onError: () => input.current?.select() });
  useEffect(() => {
    document.title = "Sign in · Tidegate";
    input.current?.focus();
  }, []);

  if (attempt.isSuccess) return <Navigate to={within(to) as never} replace />;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim()) attempt.mutate(token.trim());
    else input.current?.focus();
  };
  return (
    <main className="gate">
      <div className="panel">
        <form onSubmit={submit}>
          <Stack gap="md">
            <Group gap={10} c="var(--accent)">
              <MarkIcon size={28} />
              <Title order={1} c="var(--mantine-color-text)">
                Tidegate
              </Title>
            </Group>
            <Text size="sm" c="dimmed">
              Sign in with an operator token. The first one was written to the file{" "}
              <span className="mono">operator-token</span> in the data directory.
            </Text>
            {attempt.error && <Refused error={attempt.error} />}
            <PasswordInput
              ref={input}
              label="Operator token"
              placeholder="tgo_…"
              autoComplete="current-password"
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              visibilityToggleButtonProps={{ "aria-label": "Show the token" }}
            />
            <Button type="submit" fullWidth loading={attempt.isPending}>
              Sign in
            </Button>
          </Stack>
        </form>
      </div>
    </main>
  );
}

function Refused({ error }: { error: unknown }) {
  const problem = asProblem(error);
  const words: Record<number, [string, string]> = {
    401: ["This token is not accepted", "It may be mistyped, expired or revoked."],
    429: ["Too many attempts", "Wait a little, then try again."],
  };
  const [title, detail] = words[problem.status] ?? [problem.title, problem.detail];
  return (
    <Alert role="alert" color="red" title={title}>
      <Text size="sm">{detail}</Text>
    </Alert>
  );
}
