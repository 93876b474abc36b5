import type { ConsumerGroup } from "../../api/types.ts";
import { type Common, CommonFields, common, commonChecks, commonPlaces } from "../CommonFields.tsx";
import { overlaid } from "../document.ts";
import type { FormSpec } from "../FormPage.tsx";
import { consumerGroups } from "../nouns.ts";

type Written = Parameters<typeof consumerGroups.create>[0];

export const groupForm: FormSpec<ConsumerGroup, Written, Common> = {
  noun: consumerGroups,
  lead: "Consumers that are treated alike. Policies can be attached to the group.",
  values: common,
  document: (v, base) =>
    overlaid(base, { name: v.name, description: v.description, tags: v.tags }) as Written,
  places: commonPlaces,
  validate: commonChecks,
  fields: (form) => <CommonFields form={form} like="gold" />,
};
