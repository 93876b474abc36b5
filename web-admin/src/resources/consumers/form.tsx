import { SimpleGrid, TextInput } from "@mantine/core";
import type { Consumer } from "../../api/types.ts";
import { type Common, CommonFields, common, commonChecks, commonPlaces } from "../CommonFields.tsx";
import { overlaid } from "../document.ts";
import type { FormSpec } from "../FormPage.tsx";
import { consumerGroups, consumers } from "../nouns.ts";
import { RefMultiSelect } from "../RefSelect.tsx";

export type ConsumerValues = Common & { groups: string[]; customId: string };

type Written = Parameters<typeof consumers.create>[0];

export const consumerForm: FormSpec<Consumer, Written, ConsumerValues> = {
  noun: consumers,
  lead: "An application that calls. What it proves itself with comes next: its keys.",
  values: (base) => ({ ...common(base), groups: base?.groups ?? [], customId: base?.custom_id ?? "" }),
  document: (v, base) =>
    overlaid(base, {
      name: v.name,
      groups: v.groups,
      custom_id: v.customId.trim(),
      description: v.description,
      tags: v.tags,
    }) as Written,
  places: { ...commonPlaces, "/groups": "groups", "/custom_id": "customId" },
  validate: commonChecks,
  fields: (form) => (
    <CommonFields form={form as never} like="acme">
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <RefMultiSelect
          noun={consumerGroups}
          label="Groups"
          value={form.values.groups}
          onChange={(groups) => form.setFieldValue("groups", groups)}
          error={form.errors.groups}
        />
        <TextInput
          label="Custom id"
          description="What your own systems call it."
          inputWrapperOrder={["label", "input", "description", "error"]}
          autoComplete="off"
          classNames={{ input: "mono" }}
          {...form.getInputProps("customId")}
        />
      </SimpleGrid>
    </CommonFields>
  ),
};
