import { Skeleton, Stack } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { DataTable } from "../../ui/DataTable.tsx";
import { Diff } from "../../ui/Diff.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { ChangesIcon } from "../../ui/icons.tsx";
import { Page } from "../../ui/Page.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { Facts, Id, Mono, Nothing, Status, Time } from "../../ui/show.tsx";
import { counted } from "../../ui/words.ts";
import { Pager } from "../ListPage.tsx";
import { ChangeList, ChangeWords } from "./ChangeWords.tsx";
import { revision, revisions } from "./log.ts";

export function RevisionList() {
  const search = useSearch({ from: "/in/changes" });
  const list = useQuery({ ...revisions(search.cursor), placeholderData: keepPreviousData });
  return (
    <Page title="Changes" lead="Every change to anything is one revision: who, when, and what it was before.">
      {list.error ? (
        <ProblemAlert error={list.error} again={() => list.refetch()} />
      ) : (
        <section className="panel" aria-label="Changes">
          {list.data?.data.length === 0 ? (
            <Empty icon={<ChangesIcon size={30} />} title="No change yet">
              The first thing you create is the first revision.
            </Empty>
          ) : (
            <DataTable
              label="Changes"
              rows={list.data?.data}
              rowKey={(each) => String(each.revision)}
              columns={[
                {
                  title: "Revision",
                  cell: (each) => (
                    <Link
                      className="link mono"
                      to="/changes/$revision"
                      params={{ revision: String(each.revision) }}
                    >
                      r{each.revision}
                    </Link>
                  ),
                },
                { title: "Changes", cell: (each) => <ChangeList changes={each.changes} /> },
                { title: "By", wide: true, cell: (each) => each.actor },
                { title: "Message", wide: true, cell: (each) => each.message || <Nothing>–</Nothing> },
                { title: "When", end: true, cell: (each) => <Time at={each.at} /> },
              ]}
            />
          )}
          {(search.cursor || list.data?.next) && (
            <Pager noun={{ page: "/changes" }} search={search} next={list.data?.next} />
          )}
        </section>
      )}
    </Page>
  );
}

export function RevisionDetail() {
  const { revision: number } = useParams({ from: "/in/changes/$revision" });
  const found = useQuery({
    ...revision(number),
    refetchInterval: (query) => (query.state.data?.nodes?.behind.length ? 2_000 : false),
  });
  const detail = found.data;
  return (
    <Page
      title={`Revision ${number}`}
      crumbs={[{ label: "Changes", to: "/changes" }]}
      lead={detail?.message}
      badges={detail?.nodes && <Arrival applied={detail.nodes.applied} behind={detail.nodes.behind} />}
    >
      {found.error && <ProblemAlert error={found.error} again={() => found.refetch()} />}
      {!detail && !found.error && <Skeleton h={180} radius="md" />}
      {detail && (
        <Stack gap="lg">
          <Panel title="Revision" aside={detail.change_id && <Id id={detail.change_id} what="change id" />}>
            <Facts
              facts={[
                ["By", detail.actor],
                ["When", <Time key="at" at={detail.at} />],
                ["Changes", String(detail.changes.length)],
              ]}
            />
          </Panel>
          {detail.changes.map((change) => (
            <Panel
              key={`${change.kind} ${change.id}`}
              title={<ChangeWords change={change} />}
              aside={<Mono>{change.id.slice(0, 8)}</Mono>}
              flush
            >
              <Diff
                before={change.before}
                after={change.after}
                label={`${change.op} ${change.kind} ${change.name}`}
              />
            </Panel>
          ))}
        </Stack>
      )}
    </Page>
  );
}

function Arrival({ applied, behind }: { applied: string[]; behind: string[] }) {
  const total = applied.length + behind.length;
  if (total === 0) return null;
  if (behind.length === 0)
    return <Status tone="good">on {total === 1 ? "the node" : `all ${counted(total, "node")}`}</Status>;
  return (
    <Status tone="warn">
      on {applied.length} of {counted(total, "node")}
    </Status>
  );
}
