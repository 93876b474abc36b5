import { Input, SegmentedControl, SimpleGrid, Stack, Text } from "@mantine/core";
import type { UseFormReturnType } from "@mantine/form";
import type { PolicyKind } from "../../api/types.ts";
import { consumerGroups, consumers, routes, services } from "../nouns.ts";
import { RefSelect } from "../RefSelect.tsx";
import type { PolicyValues } from "./form.tsx";

interface Props {
  form: UseFormReturnType<PolicyValues>;
  kind?: PolicyKind;
}

/** What a policy acts on: some requests, of some callers. The most specific policy of a kind wins whole. */
export function ScopePicker({ form, kind }: Props) {
  const { target, caller } = form.values;
  const may = (scope: string) => !kind?.scopes?.length || kind.scopes.includes(scope);
  const mayGroup = may("group") || may("consumer-group");
  const barred = kind && (!may("consumer") || !mayGroup || !may("route") || !may("service"));
  return (
    <Input.Wrapper
      label="Scope"
      description="Where it acts. Of one kind, the most specific policy wins whole."
    >
      <SimpleGrid cols={{ base: 1, sm: 2 }} mt={8} spacing="md">
        <Stack gap={8}>
          <SegmentedControl
            aria-label="Which requests"
            fullWidth
            data={[
              { value: "any", label: "All requests" },
              { value: "service", label: "A service", disabled: !may("service") },
              { value: "route", label: "A route", disabled: !may("route") },
            ]}
            value={target}
            onChange={(next) => form.setValues({ target: next as PolicyValues["target"], targetRef: "" })}
          />
          {target === "service" && (
            <RefSelect noun={services} label="Service" required {...form.getInputProps("targetRef")} />
          )}
          {target === "route" && (
            <RefSelect noun={routes} label="Route" required {...form.getInputProps("targetRef")} />
          )}
        </Stack>
        <Stack gap={8}>
          <SegmentedControl
            aria-label="Which callers"
            fullWidth
            data={[
              { value: "anyone", label: "Everyone" },
              { value: "consumer", label: "A consumer", disabled: !may("consumer") },
              { value: "group", label: "A group", disabled: !mayGroup },
            ]}
            value={caller}
            onChange={(next) => form.setValues({ caller: next as PolicyValues["caller"], callerRef: "" })}
          />
          {caller === "consumer" && (
            <RefSelect noun={consumers} label="Consumer" required {...form.getInputProps("callerRef")} />
          )}
          {caller === "group" && (
            <RefSelect noun={consumerGroups} label="Group" required {...form.getInputProps("callerRef")} />
          )}
        </Stack>
      </SimpleGrid>
      {barred && (
        <Text size="xs" c="dimmed" mt={6}>
          A {kind.kind} policy acts in the phase {kind.phase}: it can be attached to {kind.scopes.join(", ")}.
        </Text>
      )}
    </Input.Wrapper>
  );
}
