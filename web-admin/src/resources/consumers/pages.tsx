import { Link, useParams, useSearch } from "@tanstack/react-router";
import { ConsumerIcon } from "../../ui/icons.tsx";
import { Mono, Nothing } from "../../ui/show.tsx";
import { DetailPage } from "../DetailPage.tsx";
import { EditPage, NewPage } from "../FormPage.tsx";
import { ListPage } from "../ListPage.tsx";
import { consumers, policies } from "../nouns.ts";
import { KindNote } from "../policies/show.tsx";
import { RelatedPanel } from "../RelatedPanel.tsx";
import { BasicPanel } from "./BasicPanel.tsx";
import { ConsumerTabs } from "./ConsumerTabs.tsx";
import { consumerForm } from "./form.tsx";
import { KeysPanel } from "./KeysPanel.tsx";

export function ConsumerList() {
  return (
    <ListPage
      noun={consumers}
      search={useSearch({ from: "/in/consumers" })}
      lead="The applications that call, and what they prove themselves with."
      icon={<ConsumerIcon size={30} />}
      tabs={<ConsumerTabs />}
      columns={[
        { title: "Groups", cell: (consumer) => <Groups groups={consumer.groups} /> },
        {
          title: "Custom id",
          wide: true,
          cell: (consumer) => (consumer.custom_id ? <Mono>{consumer.custom_id}</Mono> : <Nothing />),
        },
      ]}
      teaches="A consumer is an application that calls. Create one, then issue it a key; a key-auth policy asks for that key."
    />
  );
}

export function ConsumerDetail() {
  const { ref } = useParams({ from: "/in/consumers/$ref" });
  return (
    <DetailPage
      noun={consumers}
      name={ref}
      facts={(consumer) => [
        ["Groups", <Groups key="groups" groups={consumer.groups} />],
        [
          "Custom id",
          consumer.custom_id ? <Mono key="custom">{consumer.custom_id}</Mono> : <Nothing key="custom" />,
        ],
      ]}
    >
      {(consumer) => (
        <>
          <KeysPanel consumer={consumer.name} />
          <BasicPanel consumer={consumer.name} />
          <RelatedPanel
            title="Policies"
            noun={policies}
            related={(policy) => policy.scope?.consumer === consumer.name}
            note={(policy) => <KindNote policy={policy} />}
            none="No policy is attached to this consumer."
          />
        </>
      )}
    </DetailPage>
  );
}

export function ConsumerNew() {
  return <NewPage spec={consumerForm} />;
}

export function ConsumerEdit() {
  const { ref } = useParams({ from: "/in/consumers/$ref/edit" });
  return <EditPage spec={consumerForm} name={ref} />;
}

function Groups({ groups }: { groups?: string[] }) {
  if (!groups?.length) return <Nothing />;
  return (
    <span style={{ display: "inline-flex", flexWrap: "wrap", gap: 8 }}>
      {groups.map((group) => (
        <Link key={group} className="link" to="/consumer-groups/$ref" params={{ ref: group }}>
          {group}
        </Link>
      ))}
    </span>
  );
}
