import { Divider, Radio, SimpleGrid, Stack, Switch, Text, TextInput } from "@mantine/core";
import type { Service } from "../../api/types.ts";
import { type Common, CommonFields, common, commonChecks, commonPlaces } from "../CommonFields.tsx";
import { compact, overlaid } from "../document.ts";
import type { FormSpec } from "../FormPage.tsx";
import { services, upstreams } from "../nouns.ts";
import { RefSelect } from "../RefSelect.tsx";

export type ServiceValues = Common & {
  leadsTo: "url" | "upstream";
  url: string;
  upstream: string;
  path: string;
  protocol: "http1" | "h2c";
  preserveHost: boolean;
  connect: string;
  firstByte: string;
  idle: string;
  request: string;
};

type Written = Parameters<typeof services.create>[0];

export const values = (base?: Service): ServiceValues => ({
  ...common(base),
  leadsTo: base?.upstream ? "upstream" : "url",
  url: base?.url ?? "",
  upstream: base?.upstream ?? "",
  path: base?.path ?? "",
  protocol: base?.protocol ?? "http1",
  preserveHost: base?.preserve_host ?? false,
  connect: base?.timeouts?.connect ?? "",
  firstByte: base?.timeouts?.first_byte ?? "",
  idle: base?.timeouts?.idle ?? "",
  request: base?.timeouts?.request ?? "",
});

export function document(v: ServiceValues, base?: Service): Written {
  const pooled = v.leadsTo === "upstream";
  return overlaid(base, {
    name: v.name,
    url: pooled ? undefined : v.url.trim(),
    upstream: pooled ? v.upstream : undefined,
    path: pooled ? v.path.trim() : undefined,
    protocol: v.protocol === "http1" ? undefined : v.protocol,
    preserve_host: v.preserveHost || undefined,
    timeouts: {
      ...unknownTimeouts(base),
      ...compact({ connect: v.connect, first_byte: v.firstByte, idle: v.idle, request: v.request }),
    },
    description: v.description,
    tags: v.tags,
  }) as Written;
}

function unknownTimeouts(base?: Service) {
  const { connect: _c, first_byte: _f, idle: _i, request: _r, ...rest } = base?.timeouts ?? {};
  return rest;
}

export const serviceForm: FormSpec<Service, Written, ServiceValues> = {
  noun: services,
  lead: "An API behind the gateway: where requests go once a route has taken them.",
  values,
  document,
  places: {
    ...commonPlaces,
    "/url": "url",
    "/upstream": "upstream",
    "/path": "path",
    "/protocol": "protocol",
    "/preserve_host": "preserveHost",
    "/timeouts/connect": "connect",
    "/timeouts/first_byte": "firstByte",
    "/timeouts/idle": "idle",
    "/timeouts/request": "request",
  },
  validate: {
    ...commonChecks,
    url: (url, all) => (all.leadsTo === "url" && !url.trim() ? "a url is needed" : null),
    upstream: (upstream, all) => (all.leadsTo === "upstream" && !upstream ? "choose an upstream" : null),
  },
  fields: (form) => (
    <>
      <CommonFields form={form as never} like="orders" />
      <div className="section">
        <Stack>
          <Radio.Group label="Leads to" {...form.getInputProps("leadsTo")}>
            <Stack gap={8} mt={6}>
              <Radio value="url" label="A url: one address" />
              <Radio value="upstream" label="An upstream: a pool of targets with weights" />
            </Stack>
          </Radio.Group>
          {form.values.leadsTo === "url" ? (
            <TextInput
              label="Url"
              required
              placeholder="http://10.0.4.17:9000/base"
              inputMode="url"
              autoComplete="off"
              spellCheck={false}
              classNames={{ input: "mono" }}
              {...form.getInputProps("url")}
            />
          ) : (
            <SimpleGrid cols={{ base: 1, sm: 2 }}>
              <RefSelect noun={upstreams} label="Upstream" required {...form.getInputProps("upstream")} />
              <TextInput
                label="Path"
                placeholder="/base"
                description="Put before the path of each request."
                inputWrapperOrder={["label", "input", "description", "error"]}
                classNames={{ input: "mono" }}
                {...form.getInputProps("path")}
              />
            </SimpleGrid>
          )}
          <Radio.Group label="Protocol" {...form.getInputProps("protocol")}>
            <Stack gap={8} mt={6}>
              <Radio value="http1" label="HTTP/1.1" />
              <Radio value="h2c" label="HTTP/2 without TLS (h2c), as gRPC needs it" />
            </Stack>
          </Radio.Group>
          <Switch
            label="Preserve host"
            description="Pass on the Host header that the caller sent."
            {...form.getInputProps("preserveHost", { type: "checkbox" })}
          />
        </Stack>
      </div>
      <div className="section">
        <Divider label="Time-outs" labelPosition="left" mb="xs" />
        <Text size="sm" c="dimmed" mb="sm">
          Like <span className="mono">250ms</span>, <span className="mono">30s</span> or{" "}
          <span className="mono">1m</span>. Left empty, the gateway's default holds.
        </Text>
        <SimpleGrid cols={{ base: 2, sm: 4 }}>
          <TextInput
            label="Connect"
            placeholder="5s"
            classNames={{ input: "mono" }}
            {...form.getInputProps("connect")}
          />
          <TextInput
            label="First byte"
            placeholder="60s"
            classNames={{ input: "mono" }}
            {...form.getInputProps("firstByte")}
          />
          <TextInput
            label="Idle"
            placeholder="60s"
            classNames={{ input: "mono" }}
            {...form.getInputProps("idle")}
          />
          <TextInput
            label="Whole request"
            placeholder="none"
            classNames={{ input: "mono" }}
            {...form.getInputProps("request")}
          />
        </SimpleGrid>
      </div>
    </>
  ),
};
