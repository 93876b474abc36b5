import { Alert, Button, Skeleton, Stack, Text } from "@mantine/core";
import { type FormValidateInput, type UseFormReturnType, useForm } from "@mantine/form";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";
import { cache, changed } from "../api/cache.ts";
import { etag, type Noun } from "../api/noun.ts";
import { asProblem, type FieldProblem } from "../api/problem.ts";
import { useReadOnly } from "../api/session.ts";
import type { Resource } from "../api/types.ts";
import { CurlPanel } from "../ui/CurlPanel.tsx";
import { Diff } from "../ui/Diff.tsx";
import { Page } from "../ui/Page.tsx";
import { Panel } from "../ui/Panel.tsx";
import { ProblemAlert } from "../ui/ProblemAlert.tsx";
import { capital } from "../ui/words.ts";
import { placed } from "./document.ts";

type Values = Record<string, unknown>;

/** How one noun is edited. */
export interface FormSpec<T extends Resource, W, V extends Values> {
  noun: Noun<T, W>;
  values: (base?: T) => V;
  document: (values: V, base?: T) => W;
  /** The form's field of each pointer into the document. */
  places: Record<string, string>;
  validate?: FormValidateInput<V>;
  fields: (form: UseFormReturnType<V>, problems: FieldProblem[]) => ReactNode;
  lead?: string;
}

export function NewPage<T extends Resource, W, V extends Values>(props: {
  spec: FormSpec<T, W, V>;
  start?: Partial<V>;
}) {
  const { noun, lead } = props.spec;
  return (
    <Page
      title={`Create ${noun.one}`}
      lead={lead}
      crumbs={[{ label: capital(noun.many), to: noun.page as never }]}
    >
      <ResourceForm {...props} />
    </Page>
  );
}

export function EditPage<T extends Resource, W, V extends Values>({
  spec,
  name,
}: {
  spec: FormSpec<T, W, V>;
  name: string;
}) {
  const { noun } = spec;
  const found = useQuery({ ...noun.read(name), refetchOnMount: "always" });
  // The version that is being edited stays the one that was opened, whatever is read meanwhile.
  const [base, setBase] = useState<T>();
  const opened = found.isFetchedAfterMount ? found.data : undefined;
  useEffect(() => setBase((now) => now ?? opened), [opened]);

  return (
    <Page
      title={`Edit ${name}`}
      lead={spec.lead}
      crumbs={[
        { label: capital(noun.many), to: noun.page as never },
        { label: name, to: `${noun.page}/$ref` as never, params: { ref: name } },
      ]}
    >
      {base ? (
        <ResourceForm key={base.revision} spec={spec} base={base} onReload={setBase} />
      ) : found.error ? (
        <ProblemAlert error={found.error} again={() => found.refetch()} />
      ) : (
        <Skeleton h={320} radius="md" />
      )}
    </Page>
  );
}

interface FormProps<T extends Resource, W, V extends Values> {
  spec: FormSpec<T, W, V>;
  base?: T;
  start?: Partial<V>;
  onReload?: (latest: T) => void;
}

function ResourceForm<T extends Resource, W, V extends Values>({
  spec,
  base,
  start,
  onReload,
}: FormProps<T, W, V>) {
  const { noun } = spec;
  const navigate = useNavigate();
  const readOnly = useReadOnly();
  const form = useForm<V>({
    initialValues: { ...spec.values(base), ...start },
    validate: spec.validate,
    clearInputErrorOnChange: true,
  });
  const [rest, setRest] = useState<FieldProblem[]>([]);
  const [latest, setLatest] = useState<T>();

  const save = useMutation({
    mutationFn: (document: W) => (base ? noun.replace(base.id, document, etag(base)) : noun.create(document)),
    onSuccess: async (saved) => {
      notifications.show({ message: `The ${noun.one} ${saved.name} is saved in revision ${saved.revision}` });
      cache.setQueryData(noun.read(saved.name).queryKey, saved);
      await navigate({ to: `${noun.page}/$ref` as never, params: { ref: saved.name } as never });
      await changed();
    },
    onError: async (error) => {
      const problem = asProblem(error);
      const found = placed(problem.errors, spec.places);
      setRest(found.rest);
      form.setErrors(found.fields);
      focusFirst(found.fields);
      if (problem.status === 412 && base)
        setLatest(await cache.fetchQuery({ ...noun.read(base.id), staleTime: 0 }));
    },
  });

  const focusFirst = (errors: Record<string, unknown>) => {
    const first = Object.keys(errors)[0];
    if (first) form.getInputNode(first)?.focus();
  };

  const document = spec.document(form.values, base);
  const problem = save.error && asProblem(save.error);
  // When every entry stands at its field and there is nothing else to say, no alert repeats it.
  const toldAtFields = problem && problem.errors.length > 0 && rest.length === 0;

  return (
    <form
      noValidate
      onSubmit={form.onSubmit((values) => save.mutate(spec.document(values, base)), focusFirst)}
    >
      <div className="form-grid">
        <Stack gap="md">
          {latest && base ? (
            <Stale base={base} latest={latest} onReload={() => onReload?.(latest)} />
          ) : (
            problem && !toldAtFields && <ProblemAlert error={problem} entries={rest} />
          )}
          <div className="panel">
            {spec.fields(form, problem?.errors ?? [])}
            <div className="form-actions">
              <Button type="submit" loading={save.isPending} disabled={Boolean(readOnly || latest)}>
                {base ? "Save changes" : `Create ${noun.one}`}
              </Button>
              <Button
                variant="subtle"
                color="gray"
                renderRoot={(props) => (
                  <Link
                    {...props}
                    to={(base ? `${noun.page}/$ref` : noun.page) as never}
                    params={(base ? { ref: base.name } : {}) as never}
                  />
                )}
              >
                Cancel
              </Button>
              {readOnly && (
                <Text size="xs" c="dimmed">
                  {readOnly}
                </Text>
              )}
              {toldAtFields && (
                <Text size="sm" c="var(--bad)" role="alert">
                  Not saved: see the marked fields
                </Text>
              )}
            </div>
          </div>
        </Stack>
        <aside className="form-aside" aria-label="The same as a command">
          <CurlPanel
            call={
              base
                ? { method: "PUT", url: noun.item(base.name), ifMatch: etag(base), body: document }
                : { method: "POST", url: noun.collection, body: document }
            }
          />
        </aside>
      </div>
    </form>
  );
}

/** Somebody else was faster: nothing was written, and nothing of theirs may be lost. */
function Stale<T extends Resource>({ base, latest, onReload }: { base: T; latest: T; onReload: () => void }) {
  return (
    <Alert role="alert" color="yellow" title={`${latest.name} was changed meanwhile`}>
      <Stack gap="sm">
        <Text size="sm">
          You opened it at revision {base.revision}; it is at revision {latest.revision} now. Nothing of yours
          was saved. Reload to work on the newest version; what you entered here is dropped.
        </Text>
        <Panel title="What changed" flush>
          <Diff before={shown(base)} after={shown(latest)} label="What changed meanwhile" />
        </Panel>
        <div>
          <Button size="compact-sm" onClick={onReload}>
            Reload the newest version
          </Button>
        </div>
      </Stack>
    </Alert>
  );
}

function shown({
  id: _id,
  revision: _revision,
  created_at: _created,
  updated_at: _updated,
  ...document
}: Resource) {
  return document;
}
