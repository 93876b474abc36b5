import { useParams, useSearch } from "@tanstack/react-router";
import { DataTable } from "../../ui/DataTable.tsx";
import { UpstreamIcon } from "../../ui/icons.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { Mono, Nothing } from "../../ui/show.tsx";
import { DetailPage } from "../DetailPage.tsx";
import { EditPage, NewPage } from "../FormPage.tsx";
import { ListPage } from "../ListPage.tsx";
import { services, upstreams } from "../nouns.ts";
import { RelatedPanel } from "../RelatedPanel.tsx";
import { upstreamForm } from "./form.tsx";

const shown = 2;

export function UpstreamList() {
  return (
    <ListPage
      noun={upstreams}
      search={useSearch({ from: "/in/upstreams" })}
      lead="Pools of targets that services may lead to."
      icon={<UpstreamIcon size={30} />}
      columns={[
        {
          title: "Targets",
          cell: ({ targets = [] }) =>
            targets.length === 0 ? (
              <Nothing />
            ) : (
              <span className="mono wrap">
                {targets
                  .slice(0, shown)
                  .map((target) => target.address)
                  .join(", ")}
                {targets.length > shown && <Nothing> +{targets.length - shown}</Nothing>}
              </span>
            ),
        },
      ]}
      teaches="An upstream is a pool of targets with weights. A service with a single address needs none: give it a url."
    />
  );
}

export function UpstreamDetail() {
  const { ref } = useParams({ from: "/in/upstreams/$ref" });
  return (
    <DetailPage
      noun={upstreams}
      name={ref}
      facts={(upstream) => [["Targets", String(upstream.targets?.length ?? 0)]]}
    >
      {(upstream) => {
        const targets = upstream.targets ?? [];
        const total = targets.reduce((sum, target) => sum + (target.weight ?? 1), 0);
        return (
          <>
            <Panel title="Targets" flush={targets.length > 0}>
              {targets.length === 0 ? (
                <Nothing>No target: every request is answered with 503.</Nothing>
              ) : (
                <DataTable
                  label="Targets"
                  rows={targets}
                  rowKey={(target) => target.address}
                  columns={[
                    { title: "Address", cell: (target) => <Mono>{target.address}</Mono> },
                    { title: "Weight", end: true, cell: (target) => <Mono>{target.weight ?? 1}</Mono> },
                    {
                      title: "Share",
                      end: true,
                      cell: (target) => (
                        <Mono>{total ? Math.round(((target.weight ?? 1) / total) * 100) : 0} %</Mono>
                      ),
                    },
                  ]}
                />
              )}
            </Panel>
            <RelatedPanel
              title="Services"
              noun={services}
              related={(service) => service.upstream === upstream.name}
              none="No service leads to this upstream."
            />
          </>
        );
      }}
    </DetailPage>
  );
}

export function UpstreamNew() {
  return <NewPage spec={upstreamForm} />;
}

export function UpstreamEdit() {
  const { ref } = useParams({ from: "/in/upstreams/$ref/edit" });
  return <EditPage spec={upstreamForm} name={ref} />;
}
