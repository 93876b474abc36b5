import {
  ActionIcon,
  Button,
  Group,
  Input,
  MultiSelect,
  NumberInput,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  TagsInput,
  TextInput,
} from "@mantine/core";
import type { Route } from "../../api/types.ts";
import { PlusIcon, TrashIcon } from "../../ui/icons.tsx";
import { type Common, CommonFields, common, commonChecks, commonPlaces } from "../CommonFields.tsx";
import { compact, overlaid } from "../document.ts";
import type { FormSpec } from "../FormPage.tsx";
import { routes, services } from "../nouns.ts";
import { RefSelect } from "../RefSelect.tsx";
import { type PathRow, pathDocument, pathRows } from "./match.ts";

export type RouteValues = Common & {
  service: string;
  hosts: string[];
  paths: PathRow[];
  methods: string[];
  stripPrefix: boolean;
  priority: number | string;
};

type Written = Parameters<typeof routes.create>[0];

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

export function values(base?: Route): RouteValues {
  const paths = pathRows(base?.match?.path);
  return {
    ...common(base),
    service: base?.service ?? "",
    hosts: base?.match?.hosts ?? [],
    paths: paths.length ? paths : [{ how: "prefix", path: "" }],
    methods: base?.match?.methods ?? [],
    stripPrefix: base?.strip_prefix ?? false,
    priority: base?.priority ?? 0,
  };
}

export function document(v: RouteValues, base?: Route): Written {
  const { hosts: _h, path: _p, methods: _m, ...unknown } = base?.match ?? {};
  return overlaid(base, {
    name: v.name,
    service: v.service,
    match: { ...unknown, ...compact({ hosts: v.hosts, path: pathDocument(v.paths), methods: v.methods }) },
    strip_prefix: v.stripPrefix || undefined,
    priority: Number(v.priority) || undefined,
    description: v.description,
    tags: v.tags,
  }) as Written;
}

export const routeForm: FormSpec<Route, Written, RouteValues> = {
  noun: routes,
  lead: "Which requests go to a service. Everything that is set must match; what is left empty matches all.",
  values,
  document,
  places: {
    ...commonPlaces,
    "/service": "service",
    "/match/hosts": "hosts",
    "/match/path": "paths.0.path",
    "/match/path/*": "paths.*.path",
    "/match/path/prefix": "paths.0.path",
    "/match/path/exact": "paths.0.path",
    "/match/methods": "methods",
    "/strip_prefix": "stripPrefix",
    "/priority": "priority",
  },
  validate: {
    ...commonChecks,
    service: (service) => (service ? null : "choose a service"),
    paths: { path: (path) => (path && !path.startsWith("/") ? "a path starts with /" : null) },
  },
  fields: (form) => (
    <>
      <CommonFields form={form as never} like="orders">
        <RefSelect noun={services} label="Service" required {...form.getInputProps("service")} />
      </CommonFields>
      <div className="section">
        <Stack>
          <Input.Wrapper
            label="Paths"
            description="A prefix matches by segment: /orders takes /orders and /orders/1, not /orders2."
          >
            <Stack gap={8} mt={6}>
              {form.values.paths.map((_, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other identity
                <Group key={index} gap="xs" align="flex-start" wrap="nowrap">
                  <Select
                    aria-label={`How path ${index + 1} matches`}
                    data={[
                      { value: "prefix", label: "Prefix" },
                      { value: "exact", label: "Exact" },
                    ]}
                    allowDeselect={false}
                    w={108}
                    {...form.getInputProps(`paths.${index}.how`)}
                  />
                  <TextInput
                    aria-label={`Path ${index + 1}`}
                    placeholder="/orders"
                    autoComplete="off"
                    spellCheck={false}
                    classNames={{ input: "mono" }}
                    style={{ flex: 1 }}
                    {...form.getInputProps(`paths.${index}.path`)}
                  />
                  <ActionIcon
                    size={34}
                    aria-label={`Remove path ${index + 1}`}
                    disabled={form.values.paths.length === 1}
                    onClick={() => form.removeListItem("paths", index)}
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
                  onClick={() => form.insertListItem("paths", { how: "prefix", path: "" })}
                >
                  Add path
                </Button>
              </div>
            </Stack>
          </Input.Wrapper>
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            <TagsInput
              label="Hosts"
              description="Exact, or *.example.com. Empty: any host."
              placeholder={form.values.hosts.length ? undefined : "api.example.com"}
              acceptValueOnBlur
              {...form.getInputProps("hosts")}
            />
            <MultiSelect
              label="Methods"
              description="Empty: any method."
              data={[...new Set([...methods, ...form.values.methods])]}
              placeholder={form.values.methods.length ? undefined : "Any"}
              {...form.getInputProps("methods")}
            />
          </SimpleGrid>
        </Stack>
      </div>
      <div className="section">
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          <Switch
            label="Strip prefix"
            description="Take the matched prefix off before passing on."
            mt={4}
            {...form.getInputProps("stripPrefix", { type: "checkbox" })}
          />
          <NumberInput
            label="Priority"
            description="The higher one wins where several routes match."
            min={-1_000_000}
            max={1_000_000}
            allowDecimal={false}
            {...form.getInputProps("priority")}
          />
        </SimpleGrid>
      </div>
    </>
  ),
};
