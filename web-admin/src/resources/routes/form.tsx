import { MultiSelect, NumberInput, SimpleGrid, Stack, Switch, TagsInput } from "@mantine/core";
import type { Route, RouteWrite } from "../../api/types.ts";
import { CommonFields, commonChecks, commonPlaces } from "../CommonFields.tsx";
import type { FormSpec } from "../FormPage.tsx";
import { routes } from "../nouns.ts";
import { ActionFields, RewriteFields } from "./action.tsx";
import { PathRows, TestRows } from "./rows.tsx";
import { composeProblem, document, type RouteValues, values } from "./values.ts";

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

export const routeForm: FormSpec<Route, RouteWrite, RouteValues> = {
  noun: routes,
  lead: "Which requests go to a service, or elsewhere. Everything that is set must match; what is left empty matches all.",
  values,
  document,
  places: {
    ...commonPlaces,
    "/service": "service",
    "/compose": "compose",
    "/redirect": "redirect.path",
    "/redirect/status": "redirect.status",
    "/redirect/scheme": "redirect.scheme",
    "/redirect/host": "redirect.host",
    "/redirect/port": "redirect.port",
    "/redirect/path": "redirect.path",
    "/match/hosts": "hosts",
    "/match/path": "paths.0.path",
    "/match/path/*": "paths.*.path",
    "/match/path/prefix": "paths.0.path",
    "/match/path/exact": "paths.0.path",
    "/match/path/template": "paths.0.path",
    "/match/path/regex": "paths.0.path",
    "/match/methods": "methods",
    "/match/headers/*": "headers.*.value",
    "/match/headers/*/name": "headers.*.name",
    "/match/query/*": "query.*.value",
    "/match/query/*/name": "query.*.name",
    "/strip_prefix": "stripPrefix",
    "/rewrite": "rewritePath",
    "/rewrite/path": "rewritePath",
    "/rewrite/host": "rewriteHost",
    "/allow_path_parameters": "allowPathParameters",
    "/priority": "priority",
  },
  validate: {
    ...commonChecks,
    service: (service, all) => (all.leadsTo !== "service" || service ? null : "choose a service"),
    compose: (compose, all) => (all.leadsTo === "compose" ? composeProblem(compose) : null),
    paths: {
      path: (path, all, place) => {
        const how = all.paths[Number(place.split(".")[1])]?.how;
        if (how === "regex" || !path) return null;
        if (!path.startsWith("/")) return "a path starts with /";
        return how !== "template" && path.includes("{") ? "with parameters it is a template" : null;
      },
    },
  },
  fields: (form) => (
    <>
      <CommonFields form={form as never} like="orders" />
      <div className="section">
        <ActionFields form={form} />
      </div>
      <div className="section">
        <Stack>
          <PathRows form={form} />
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
          <TestRows
            form={form}
            list="headers"
            what="header"
            label="Headers"
            description="All of them must fit. Of a repeated header any value may."
            example="x-tenant"
          />
          <TestRows
            form={form}
            list="query"
            what="parameter"
            label="Query"
            description="Names and values are compared decoded. Of a repeated parameter any value may fit."
            example="version"
          />
        </Stack>
      </div>
      <div className="section">
        <Stack>
          {form.values.leadsTo === "service" && (
            <>
              <Switch
                label="Strip prefix"
                description="Take the matched prefix off before passing on."
                {...form.getInputProps("stripPrefix", { type: "checkbox" })}
              />
              <RewriteFields form={form} />
            </>
          )}
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            <Switch
              label="Allow path parameters"
              description="Take paths with a ; in them. Some servers read them as another path."
              mt={4}
              {...form.getInputProps("allowPathParameters", { type: "checkbox" })}
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
        </Stack>
      </div>
    </>
  ),
};
