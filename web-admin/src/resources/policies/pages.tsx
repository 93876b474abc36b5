import { SimpleGrid, Skeleton, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import type { PolicyKind } from "../../api/types.ts";
import { policyKinds } from "../../policies/kinds.ts";
import { Code } from "../../ui/Code.tsx";
import { CopyButton } from "../../ui/CopyButton.tsx";
import { PolicyIcon } from "../../ui/icons.tsx";
import { Page } from "../../ui/Page.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { Mono, Status } from "../../ui/show.tsx";
import { DetailPage } from "../DetailPage.tsx";
import { EditPage, NewPage } from "../FormPage.tsx";
import { ListPage } from "../ListPage.tsx";
import { policies } from "../nouns.ts";
import { type PolicyValues, policyForm } from "./form.tsx";
import { Scope, State } from "./show.tsx";

export function PolicyList() {
  return (
    <ListPage
      noun={policies}
      search={useSearch({ from: "/in/policies" })}
      lead="Behaviour attached to traffic: who may call, how often, how much."
      icon={<PolicyIcon size={30} />}
      columns={[
        { title: "Kind", cell: (policy) => <Mono>{policy.kind}</Mono> },
        { title: "Scope", cell: (policy) => <Scope scope={policy.scope} /> },
        { title: "State", wide: true, cell: (policy) => <State policy={policy} /> },
      ]}
      teaches="A policy adds behaviour to a service, a route or everything: key-auth asks callers for a key, rate-limit bounds how often they call."
    />
  );
}

export function PolicyDetail() {
  const { ref } = useParams({ from: "/in/policies/$ref" });
  const kinds = useQuery(policyKinds());
  return (
    <DetailPage
      noun={policies}
      name={ref}
      badges={(policy) => <State policy={policy} />}
      facts={(policy) => {
        const kind = kinds.data?.data.find((each) => each.kind === policy.kind);
        return [
          ["Kind", <Mono key="kind">{policy.kind}</Mono>],
          ["Phase", kind?.phase ?? "unknown"],
          ["Scope", <Scope key="scope" scope={policy.scope} linked />],
          ["Acts only when", policy.when ? <Mono key="when">{policy.when}</Mono> : "always"],
          ["Mode", policy.mode ?? "enforce"],
          ["When it cannot decide", policy.on_error ?? "deny"],
        ];
      }}
    >
      {(policy) => {
        const text = JSON.stringify(policy.config ?? {}, null, 2);
        return (
          <Panel title="Config" aside={<CopyButton text={text} what="config" />} flush>
            <Code label="Config as JSON">{text}</Code>
          </Panel>
        );
      }}
    </DetailPage>
  );
}

export function PolicyNew() {
  const search = useSearch({ from: "/in/policies/new" });
  const kinds = useQuery(policyKinds());
  const kind = kinds.data?.data.find((each) => each.kind === search.kind);
  if (kind) return <NewPage key={kind.kind} spec={policyForm(kind)} start={start(kind, search)} />;
  return (
    <Page
      title="Create policy"
      lead="Which behaviour? What each kind takes is drawn from its own schema."
      crumbs={[{ label: "Policies", to: "/policies" }]}
    >
      {kinds.error && <ProblemAlert error={kinds.error} again={() => kinds.refetch()} />}
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
        {kinds.isPending && [1, 2, 3].map((each) => <Skeleton key={each} h={110} radius="md" />)}
        {kinds.data?.data.map((each) => (
          <Link key={each.kind} className="choice" to="/policies/new" search={{ ...search, kind: each.kind }}>
            <Title order={2}>{each.title}</Title>
            <Text size="sm" c="dimmed" mt={4} mb={10}>
              {each.summary}
            </Text>
            <Mono>{each.kind}</Mono> <Status tone="quiet">{each.phase}</Status>
          </Link>
        ))}
      </SimpleGrid>
    </Page>
  );
}

interface Start {
  service?: string;
  route?: string;
}

/** A first policy that can be saved as it stands. */
function start(kind: PolicyKind, { service, route }: Start): Partial<PolicyValues> {
  const required = (kind.schema as { required?: string[] }).required;
  return {
    kind: kind.kind,
    name: `${route ?? service ?? "all"}-${kind.kind}`,
    target: route ? "route" : service ? "service" : "any",
    targetRef: route ?? service ?? "",
    config: required?.length ? (kind.example as object) : {},
  };
}

export function PolicyEdit() {
  const { ref } = useParams({ from: "/in/policies/$ref/edit" });
  const policy = useQuery(policies.read(ref));
  const kinds = useQuery(policyKinds());
  if (kinds.isPending || policy.isPending) return <Skeleton h={320} radius="md" />;
  const kind = kinds.data?.data.find((each) => each.kind === policy.data?.kind);
  return <EditPage spec={policyForm(kind)} name={ref} />;
}
