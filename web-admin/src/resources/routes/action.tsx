import { JsonInput, NumberInput, Radio, Select, SimpleGrid, Stack, Switch, TextInput } from "@mantine/core";
import type { UseFormReturnType } from "@mantine/form";
import { services } from "../nouns.ts";
import { RefSelect } from "../RefSelect.tsx";
import type { RouteValues } from "./values.ts";

type Form = UseFormReturnType<RouteValues>;

const mono = { autoComplete: "off", spellCheck: false, classNames: { input: "mono" } };
const below: ["label", "input", "description", "error"] = ["label", "input", "description", "error"];

const statuses = [
  { value: "301", label: "301 moved for good" },
  { value: "302", label: "302 found elsewhere" },
  { value: "303", label: "303 see other, by GET" },
  { value: "307", label: "307 for now, same method" },
  { value: "308", label: "308 for good, same method" },
];

/** Where a route leads: to a service, or elsewhere. */
export function ActionFields({ form }: { form: Form }) {
  return (
    <Stack>
      <Radio.Group label="Leads to" {...form.getInputProps("leadsTo")}>
        <Stack gap={8} mt={6}>
          <Radio value="service" label="A service: it answers" />
          <Radio value="compose" label="Several services: the gateway makes one answer of theirs" />
          <Radio value="redirect" label="A redirect: callers are sent elsewhere" />
        </Stack>
      </Radio.Group>
      {form.values.leadsTo === "service" && (
        <RefSelect noun={services} label="Service" required {...form.getInputProps("service")} />
      )}
      {form.values.leadsTo === "compose" && (
        <JsonInput
          label="Composition"
          description="Steps by name, each with a service, a path, and what becomes of the answer if it fails; and the answer that is made of them. See docs/guide/aggregation.md."
          inputWrapperOrder={below}
          autosize
          minRows={8}
          maxRows={30}
          required
          {...mono}
          {...form.getInputProps("compose")}
        />
      )}
      {form.values.leadsTo === "redirect" && (
        <>
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            <Select
              label="Status"
              data={statuses}
              allowDeselect={false}
              {...form.getInputProps("redirect.status")}
            />
            <Select
              label="Scheme"
              data={["http", "https"]}
              clearable
              placeholder="The caller's"
              {...form.getInputProps("redirect.scheme")}
            />
            <TextInput
              label="Host"
              placeholder="The one asked for"
              {...mono}
              {...form.getInputProps("redirect.host")}
            />
            <NumberInput
              label="Port"
              placeholder="The scheme's own"
              min={1}
              max={65535}
              allowDecimal={false}
              {...form.getInputProps("redirect.port")}
            />
          </SimpleGrid>
          <TextInput
            label="Path"
            placeholder="The one asked for"
            description="{name} stands for what a template or regex captured."
            inputWrapperOrder={below}
            {...mono}
            {...form.getInputProps("redirect.path")}
          />
          <Switch
            label="Drop query"
            description="Leave out the query of the request."
            {...form.getInputProps("redirect.dropQuery", { type: "checkbox" })}
          />
        </>
      )}
    </Stack>
  );
}

/** What a request is called upstream. */
export function RewriteFields({ form }: { form: Form }) {
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }}>
      <TextInput
        label="Rewrite path"
        placeholder="/v2/items/{id}"
        description="Takes the place of the request's path. {name} stands for what a template or regex captured."
        inputWrapperOrder={below}
        {...mono}
        {...form.getInputProps("rewritePath")}
      />
      <TextInput
        label="Rewrite host"
        placeholder="orders.internal"
        description="What the API sees as Host."
        inputWrapperOrder={below}
        {...mono}
        {...form.getInputProps("rewriteHost")}
      />
    </SimpleGrid>
  );
}
