import { Button } from "@mantine/core";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import type { Service } from "../../api/types.ts";
import { ServiceIcon } from "../../ui/icons.tsx";
import { Mono, Nothing, Tags } from "../../ui/show.tsx";
import { DetailPage } from "../DetailPage.tsx";
import { EditPage, NewPage } from "../FormPage.tsx";
import { ListPage } from "../ListPage.tsx";
import { policies, routes, routesOf, services } from "../nouns.ts";
import { KindNote } from "../policies/show.tsx";
import { RelatedPanel } from "../RelatedPanel.tsx";
import { Match } from "../routes/Match.tsx";
import { serviceForm } from "./form.tsx";

export function ServiceList() {
  return (
    <ListPage
      noun={services}
      search={useSearch({ from: "/in/services" })}
      lead="The APIs behind the gateway."
      icon={<ServiceIcon size={30} />}
      columns={[
        { title: "Leads to", cell: (service) => <LeadsTo service={service} /> },
        { title: "Tags", wide: true, cell: (service) => <Tags tags={service.tags} /> },
      ]}
      teaches="A service is an API behind the gateway: a url, or a pool of targets. Create one, then lead a route to it."
    />
  );
}

export function ServiceDetail() {
  const { ref } = useParams({ from: "/in/services/$ref" });
  return (
    <DetailPage
      noun={services}
      name={ref}
      facts={(service) => [
        ["Leads to", <LeadsTo key="to" service={service} />],
        ["Path", service.path ? <Mono key="path">{service.path}</Mono> : <Nothing key="path" />],
        ["Protocol", service.protocol === "h2c" ? "HTTP/2 (h2c)" : "HTTP/1.1"],
        ["Host header", service.preserve_host ? "the caller's" : "the target's"],
        ["Time-outs", <Timeouts key="timeouts" service={service} />],
      ]}
    >
      {(service) => (
        <>
          <RelatedPanel
            title="Routes"
            noun={routes}
            list={routesOf(service.name)}
            note={(route) => <Match route={route} />}
            none={`No route leads to ${service.name}: nothing reaches it yet.`}
            action={
              <Button
                size="compact-sm"
                variant="default"
                renderRoot={(props) => (
                  <Link {...props} to="/routes/new" search={{ service: service.name }} />
                )}
              >
                Create route
              </Button>
            }
          />
          <RelatedPanel
            title="Policies"
            noun={policies}
            related={(policy) => policy.scope?.service === service.name}
            note={(policy) => <KindNote policy={policy} />}
            none="No policy is attached to this service. Global ones act all the same."
            action={
              <Button
                size="compact-sm"
                variant="default"
                renderRoot={(props) => (
                  <Link {...props} to="/policies/new" search={{ service: service.name }} />
                )}
              >
                Attach policy
              </Button>
            }
          />
        </>
      )}
    </DetailPage>
  );
}

export function ServiceNew() {
  return <NewPage spec={serviceForm} />;
}

export function ServiceEdit() {
  const { ref } = useParams({ from: "/in/services/$ref/edit" });
  return <EditPage spec={serviceForm} name={ref} />;
}

function LeadsTo({ service }: { service: Service }) {
  if (service.upstream) {
    return (
      <>
        upstream{" "}
        <Link className="link" to="/upstreams/$ref" params={{ ref: service.upstream }}>
          {service.upstream}
        </Link>
      </>
    );
  }
  return service.url ? <span className="mono wrap">{service.url}</span> : <Nothing />;
}

function Timeouts({ service }: { service: Service }) {
  const set = Object.entries(service.timeouts ?? {}).filter(([, value]) => value);
  if (set.length === 0) return <Nothing>defaults</Nothing>;
  return <Mono>{set.map(([name, value]) => `${name} ${value}`).join(", ")}</Mono>;
}
