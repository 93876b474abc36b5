import { SegmentedControl, SimpleGrid, Skeleton, Stack, Switch, Tabs, Text, Textarea } from "@mantine/core";
import type { UseFormReturnType } from "@mantine/form";
import { lazy, Suspense, useState } from "react";
import type { FieldProblem } from "../../api/problem.ts";
import type { Policy, PolicyKind } from "../../api/types.ts";
import { steps } from "../../policies/pointer.ts";
import { type Common, CommonFields, common, commonChecks, commonPlaces } from "../CommonFields.tsx";
import { overlaid } from "../document.ts";
import type { FormSpec } from "../FormPage.tsx";
import { policies } from "../nouns.ts";
import { ScopePicker } from "./ScopePicker.tsx";
import { type ScopeValues, scopeDocument, scopeValues } from "./scope.ts";

const ConfigForm = lazy(() =>
  import("../../policies/ConfigForm.tsx").then((room) => ({ default: room.ConfigForm })),
);

export type PolicyValues = Common &
  ScopeValues & {
    kind: string;
    enabled: boolean;
    onError: string;
    mode: string;
    when: string;
    config: object;
    /** The config as it is being typed, while it is no JSON yet. */
    unfinished: string | null;
  };

type Written = Parameters<typeof policies.create>[0];
type Form = UseFormReturnType<PolicyValues>;

export const values = (base?: Policy): PolicyValues => ({
  ...common(base),
  ...scopeValues(base?.scope),
  kind: base?.kind ?? "",
  enabled: base?.enabled ?? true,
  onError: base?.on_error ?? "deny",
  mode: base?.mode ?? "enforce",
  when: base?.when ?? "",
  config: base?.config ?? {},
  unfinished: null,
});

export function document(v: PolicyValues, base?: Policy): Written {
  return {
    ...overlaid(base, {
      name: v.name,
      kind: v.kind,
      scope: scopeDocument(v),
      enabled: v.enabled ? undefined : false,
      // Deny is the default; one that was written stays written.
      on_error: v.onError === "deny" && !base?.on_error ? undefined : v.onError,
      when: v.when.trim() || undefined,
      mode: v.mode === "enforce" && !base?.mode ? undefined : v.mode,
      config: undefined,
      description: v.description,
      tags: v.tags,
    }),
    // Written also when it is empty: that a kind works as it is should be seen.
    config: v.config,
  } as Written;
}

/** The form of a policy of this kind. */
export function policyForm(kind: PolicyKind | undefined): FormSpec<Policy, Written, PolicyValues> {
  return {
    noun: policies,
    lead: kind?.summary,
    values,
    document,
    places: {
      ...commonPlaces,
      "/kind": "kind",
      "/scope": "targetRef",
      "/scope/service": "targetRef",
      "/scope/route": "targetRef",
      "/scope/consumer": "callerRef",
      "/scope/group": "callerRef",
      "/enabled": "enabled",
      "/on_error": "onError",
      "/mode": "mode",
      "/when": "when",
      "/config": "config",
    },
    validate: {
      ...commonChecks,
      targetRef: (ref, all) => (all.target !== "any" && !ref ? `choose a ${all.target}` : null),
      callerRef: (ref, all) => (all.caller !== "anyone" && !ref ? `choose a ${all.caller}` : null),
      unfinished: (text) => (text === null ? null : "this is not a JSON object"),
    },
    fields: (form, problems) => (
      <>
        <CommonFields form={form as never} like="orders-key" />
        <div className="section">
          <ScopePicker form={form} kind={kind} />
        </div>
        <div className="section">
          <Config form={form} kind={kind} problems={problems} />
        </div>
        <div className="section">
          <Textarea
            label="Acts only when"
            description="A condition in CEL over request, route, captures and principal. Empty: always."
            placeholder={'request.method == "POST" && !("staff" in principal.groups)'}
            autosize
            maxRows={8}
            spellCheck={false}
            classNames={{ input: "mono" }}
            {...form.getInputProps("when")}
          />
        </div>
        <div className="section">
          <SimpleGrid cols={{ base: 1, sm: 3 }}>
            <Switch
              label="Enabled"
              description="Turned off, it stays but does nothing."
              {...form.getInputProps("enabled", { type: "checkbox" })}
            />
            <div>
              <Text size="sm" fw={500} id="on-error">
                When it cannot decide
              </Text>
              <SegmentedControl
                aria-labelledby="on-error"
                size="xs"
                mt={4}
                data={[
                  { value: "deny", label: "Deny" },
                  { value: "skip", label: "Skip" },
                ]}
                {...form.getInputProps("onError")}
              />
              {form.errors.onError && (
                <Text size="xs" c="var(--bad)">
                  {form.errors.onError}
                </Text>
              )}
            </div>
            <div>
              <Text size="sm" fw={500} id="mode">
                What it refuses
              </Text>
              <SegmentedControl
                aria-labelledby="mode"
                size="xs"
                mt={4}
                disabled={kind?.decides === false}
                data={[
                  { value: "enforce", label: "Is refused" },
                  { value: "shadow", label: "Is only told" },
                ]}
                {...form.getInputProps("mode")}
              />
              <Text size="xs" c={form.errors.mode ? "var(--bad)" : "dimmed"}>
                {form.errors.mode ??
                  (kind?.decides === false
                    ? "This kind refuses nothing."
                    : "Told in the access log (would_refuse) and in metrics.")}
              </Text>
            </div>
          </SimpleGrid>
        </div>
      </>
    ),
  };
}

function Config({ form, kind, problems }: { form: Form; kind?: PolicyKind; problems: FieldProblem[] }) {
  const [tab, setTab] = useState(kind ? "form" : "json");
  const about = problems.filter((problem) => `${problem.pointer}/`.startsWith("/config/"));
  // The generated form marks what it draws; what it has no field for is told below it.
  const told = tab === "form" ? about.filter((problem) => !found(form.values, problem.pointer)) : about;
  return (
    <>
      <Tabs value={tab} onChange={(next) => setTab(next ?? "json")}>
        <Tabs.List mb="md">
          <Tabs.Tab value="form" disabled={!kind || form.values.unfinished !== null}>
            Config
          </Tabs.Tab>
          <Tabs.Tab value="json">JSON</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="form">
          {kind && (
            <Suspense fallback={<Skeleton h={120} />}>
              <ConfigForm
                schema={kind.schema}
                config={form.values.config}
                onChange={(config) => form.setFieldValue("config", config)}
                problems={problems}
              />
            </Suspense>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="json">
          <JsonConfig form={form} />
        </Tabs.Panel>
      </Tabs>
      {told.length > 0 && (
        <Stack gap={2} mt="sm" role="alert">
          {told.map((problem) => (
            <Text key={problem.pointer + problem.detail} size="sm" c="var(--bad)">
              <span className="mono">{problem.pointer}</span> {problem.detail}
            </Text>
          ))}
        </Stack>
      )}
    </>
  );
}

/** Whether a pointer leads to something inside the document's config. */
function found(document: { config: object }, pointer: string): boolean {
  let at: unknown = document;
  for (const step of steps(pointer)) {
    if (typeof at !== "object" || at === null || !(step in at)) return false;
    at = (at as Record<string, unknown>)[step];
  }
  return at !== document.config;
}

function JsonConfig({ form }: { form: Form }) {
  const [text, setText] = useState(
    () => form.values.unfinished ?? JSON.stringify(form.values.config, null, 2),
  );
  const typed = (text: string) => {
    setText(text);
    const parsed = objectOf(text);
    if (parsed) form.setFieldValue("config", parsed);
    form.setFieldValue("unfinished", parsed ? null : text);
  };
  return (
    <Textarea
      label="Config as JSON"
      autosize
      minRows={8}
      maxRows={26}
      spellCheck={false}
      classNames={{ input: "mono" }}
      value={text}
      onChange={(event) => typed(event.currentTarget.value)}
      error={form.errors.unfinished}
    />
  );
}

function objectOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
