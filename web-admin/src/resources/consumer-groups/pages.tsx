import { useParams, useSearch } from "@tanstack/react-router";
import { ConsumerIcon } from "../../ui/icons.tsx";
import { Tags } from "../../ui/show.tsx";
import { ConsumerTabs } from "../consumers/ConsumerTabs.tsx";
import { DetailPage } from "../DetailPage.tsx";
import { EditPage, NewPage } from "../FormPage.tsx";
import { ListPage } from "../ListPage.tsx";
import { consumerGroups, consumers, policies } from "../nouns.ts";
import { KindNote } from "../policies/show.tsx";
import { RelatedPanel } from "../RelatedPanel.tsx";
import { groupForm } from "./form.tsx";

export function GroupList() {
  return (
    <ListPage
      noun={consumerGroups}
      search={useSearch({ from: "/in/consumer-groups" })}
      lead="Consumers that are treated alike."
      icon={<ConsumerIcon size={30} />}
      tabs={<ConsumerTabs />}
      columns={[{ title: "Tags", wide: true, cell: (group) => <Tags tags={group.tags} /> }]}
      teaches="A group carries the policies that several consumers share, such as a tier's limits. Create one, then put consumers into it."
    />
  );
}

export function GroupDetail() {
  const { ref } = useParams({ from: "/in/consumer-groups/$ref" });
  return (
    <DetailPage noun={consumerGroups} name={ref} facts={() => []}>
      {(group) => (
        <>
          <RelatedPanel
            title="Consumers"
            noun={consumers}
            related={(consumer) => Boolean(consumer.groups?.includes(group.name))}
            none="No consumer is in this group. Edit a consumer to put it here."
          />
          <RelatedPanel
            title="Policies"
            noun={policies}
            related={(policy) => policy.scope?.group === group.name}
            note={(policy) => <KindNote policy={policy} />}
            none="No policy is attached to this group."
          />
        </>
      )}
    </DetailPage>
  );
}

export function GroupNew() {
  return <NewPage spec={groupForm} />;
}

export function GroupEdit() {
  const { ref } = useParams({ from: "/in/consumer-groups/$ref/edit" });
  return <EditPage spec={groupForm} name={ref} />;
}
