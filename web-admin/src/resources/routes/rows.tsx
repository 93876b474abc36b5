import { ActionIcon, Button, Group, Input, Select, Stack, TextInput } from "@mantine/core";
import type { UseFormReturnType } from "@mantine/form";
import type { ReactNode } from "react";
import { PlusIcon, TrashIcon } from "../../ui/icons.tsx";
import type { PathRow, TestRow } from "./match.ts";
import type { RouteValues } from "./values.ts";

type Form = UseFormReturnType<RouteValues>;

function Rows({
  form,
  list,
  label,
  description,
  what,
  added,
  keepsOne,
  row,
}: {
  form: Form;
  list: "paths" | "headers" | "query";
  label: string;
  description: string;
  /** What one row is, for names of buttons. */
  what: string;
  added: PathRow | TestRow;
  keepsOne?: boolean;
  row: (index: number) => ReactNode;
}) {
  return (
    <Input.Wrapper label={label} description={description}>
      <Stack gap={8} mt={6}>
        {form.values[list].map((_, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other identity
          <Group key={index} gap="xs" align="flex-start" wrap="nowrap">
            {row(index)}
            <ActionIcon
              size={34}
              aria-label={`Remove ${what} ${index + 1}`}
              disabled={keepsOne && form.values[list].length === 1}
              onClick={() => form.removeListItem(list, index)}
            >
              <TrashIcon size={15} />
            </ActionIcon>
          </Group>
        ))}
        <div>
          <Button
            size="compact-sm"
            variant="default"
            leftSection={<PlusIcon size={13} />}
            onClick={() => form.insertListItem(list, added)}
          >
            Add {what}
          </Button>
        </div>
      </Stack>
    </Input.Wrapper>
  );
}

const mono = { autoComplete: "off", spellCheck: false, classNames: { input: "mono" } };

const examples = {
  prefix: "/orders",
  exact: "/orders",
  template: "/orders/{id}/{*rest}",
  regex: "/v[0-9]+/(?<item>[^/]+)",
};

export function PathRows({ form }: { form: Form }) {
  return (
    <Rows
      form={form}
      list="paths"
      label="Paths"
      description="A prefix matches by segment: /orders takes /orders and /orders/1, not /orders2. In a template {id} takes a segment, {*rest} at the end the rest. A regex fits the whole path."
      what="path"
      added={{ how: "prefix", path: "" }}
      keepsOne
      row={(index) => (
        <>
          <Select
            aria-label={`How path ${index + 1} matches`}
            data={[
              { value: "prefix", label: "Prefix" },
              { value: "exact", label: "Exact" },
              { value: "template", label: "Template" },
              { value: "regex", label: "Regex" },
            ]}
            allowDeselect={false}
            w={116}
            {...form.getInputProps(`paths.${index}.how`)}
          />
          <TextInput
            aria-label={`Path ${index + 1}`}
            placeholder={examples[form.values.paths[index]?.how ?? "prefix"]}
            style={{ flex: 1 }}
            {...mono}
            {...form.getInputProps(`paths.${index}.path`)}
          />
        </>
      )}
    />
  );
}

export function TestRows({
  form,
  list,
  what,
  label,
  description,
  example,
}: {
  form: Form;
  list: "headers" | "query";
  what: string;
  label: string;
  description: string;
  example: string;
}) {
  return (
    <Rows
      form={form}
      list={list}
      label={label}
      description={description}
      what={what}
      added={{ name: "", how: "exact", value: "" }}
      row={(index) => (
        <>
          <TextInput
            aria-label={`Name of ${what} ${index + 1}`}
            placeholder={example}
            style={{ flex: 1 }}
            {...mono}
            {...form.getInputProps(`${list}.${index}.name`)}
          />
          <Select
            aria-label={`How ${what} ${index + 1} matches`}
            data={[
              { value: "exact", label: "is" },
              { value: "regex", label: "fits regex" },
              { value: "present", label: "is there" },
              { value: "absent", label: "is not there" },
            ]}
            allowDeselect={false}
            w={132}
            {...form.getInputProps(`${list}.${index}.how`)}
          />
          {["exact", "regex"].includes(form.values[list][index]?.how ?? "") ? (
            <TextInput
              aria-label={`Value of ${what} ${index + 1}`}
              style={{ flex: 1 }}
              {...mono}
              {...form.getInputProps(`${list}.${index}.value`)}
            />
          ) : (
            <div style={{ flex: 1 }} />
          )}
        </>
      )}
    />
  );
}
