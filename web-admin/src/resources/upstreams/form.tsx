import { ActionIcon, Button, Group, Input, NumberInput, Stack, TextInput } from "@mantine/core";
import type { Upstream } from "../../api/types.ts";
import { PlusIcon, TrashIcon } from "../../ui/icons.tsx";
import { type Common, CommonFields, common, commonChecks, commonPlaces } from "../CommonFields.tsx";
import { overlaid } from "../document.ts";
import type { FormSpec } from "../FormPage.tsx";
import { upstreams } from "../nouns.ts";

export type UpstreamValues = Common & { targets: TargetRow[] };

type TargetRow = { address: string; weight: number | string; base?: object };
type Written = Parameters<typeof upstreams.create>[0];

const blank: TargetRow = { address: "", weight: 1 };

export const values = (base?: Upstream): UpstreamValues => ({
  ...common(base),
  targets: base?.targets?.map((target) => ({
    address: target.address,
    weight: target.weight ?? 1,
    base: target,
  })) ?? [blank],
});

export function document(v: UpstreamValues, base?: Upstream): Written {
  return overlaid(base, {
    name: v.name,
    targets: v.targets.map((target) => ({
      ...target.base,
      address: target.address.trim(),
      // One is the default; a weight that was written stays written.
      weight: weight(target),
    })),
    description: v.description,
    tags: v.tags,
  }) as Written;
}

function weight(target: TargetRow): number | undefined {
  const weight = target.weight === "" ? 1 : Number(target.weight);
  return weight === 1 && !(target.base && "weight" in target.base) ? undefined : weight;
}

export const upstreamForm: FormSpec<Upstream, Written, UpstreamValues> = {
  noun: upstreams,
  lead: "A pool of targets. Requests are shared among them by weight.",
  values,
  document,
  places: {
    ...commonPlaces,
    "/targets": "targets.0.address",
    "/targets/*": "targets.*.address",
    "/targets/*/weight": "targets.*.weight",
  },
  validate: {
    ...commonChecks,
    targets: { address: (address) => (address.trim() ? null : "an address is needed") },
  },
  fields: (form) => (
    <>
      <CommonFields form={form as never} like="orders-pool" />
      <div className="section">
        <Input.Wrapper
          label="Targets"
          description="A weight of 0 lets a target run dry: it gets no new requests."
        >
          <Stack gap={8} mt={8}>
            {form.values.targets.map((_, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other identity
              <Group key={index} gap="xs" align="flex-start" wrap="nowrap">
                <TextInput
                  aria-label={`Address of target ${index + 1}`}
                  placeholder="10.0.4.17:9000"
                  autoComplete="off"
                  spellCheck={false}
                  classNames={{ input: "mono" }}
                  style={{ flex: 1 }}
                  {...form.getInputProps(`targets.${index}.address`)}
                />
                <NumberInput
                  aria-label={`Weight of target ${index + 1}`}
                  min={0}
                  max={65535}
                  allowDecimal={false}
                  w={96}
                  {...form.getInputProps(`targets.${index}.weight`)}
                />
                <ActionIcon
                  size={34}
                  aria-label={`Remove target ${index + 1}`}
                  disabled={form.values.targets.length === 1}
                  onClick={() => form.removeListItem("targets", index)}
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
                onClick={() => form.insertListItem("targets", blank)}
              >
                Add target
              </Button>
            </div>
          </Stack>
        </Input.Wrapper>
      </div>
    </>
  ),
};
