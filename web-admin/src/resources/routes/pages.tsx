import { Button } from "@mantine/core";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Route } from "../../api/types.ts";
import { Code } from "../../ui/Code.tsx";
import { CopyButton } from "../../ui/CopyButton.tsx";
import { quoted } from "../../ui/curl.ts";
import { RouteIcon } from "../../ui/icons.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { Mono, Nothing } from "../../ui/show.tsx";
import { DetailPage } from "../DetailPage.tsx";
import { EditPage, NewPage } from "../FormPage.tsx";
import { ListPage } from "../ListPage.tsx";
import { policies, routes } from "../nouns.ts";
import { KindNote } from "../policies/show.tsx";
import { RelatedPanel } from "../RelatedPanel.tsx";
import { routeForm } from "./form.tsx";
import { Match } from "./Match.tsx";
import { matchWords, redirectWords, samplePath } from "./match.ts";

export function RouteList() {
  return (
    <ListPage
      noun={routes}
      search={useSearch({ from: "/in/routes" })}
      lead="Which requests lead to which service."
      icon={<RouteIcon size={30} />}
      columns={[
        { title: "Matches", cell: (route) => <Match route={route} /> },
        {
          title: "Leads to",
          cell: (route) => <LeadsTo route={route} />,
        },
        {
          title: "Priority",
          wide: true,
          cell: (route) => (route.priority ? <Mono>{route.priority}</Mono> : <Nothing>0</Nothing>),
        },
      ]}
      teaches="A route takes requests by host, path and method, and leads them to a service. Have a service first, then create its route."
    />
  );
}

export function RouteDetail() {
  const { ref } = useParams({ from: "/in/routes/$ref" });
  return (
    <DetailPage
      noun={routes}
      name={ref}
      facts={(route) => {
        const words = matchWords(route.match);
        return [
          [
            route.redirect ? "Redirect" : route.compose ? "Composes" : "Service",
            <LeadsTo key="leads-to" route={route} />,
          ],
          [
            "Hosts",
            words.hosts ? <Mono key="hosts">{words.hosts}</Mono> : <Nothing key="hosts">any</Nothing>,
          ],
          ["Paths", <Mono key="paths">{words.paths.join(", ")}</Mono>],
          [
            "Methods",
            words.methods ? <Mono key="methods">{words.methods}</Mono> : <Nothing key="methods">any</Nothing>,
          ],
          ...fact("Headers", words.headers.join(", ")),
          ...fact("Query", words.query.join(", ")),
          ...fact("Path upstream", route.rewrite?.path),
          ...fact("Host upstream", route.rewrite?.host),
          ["Strip prefix", route.strip_prefix ? "yes" : "no"],
          ["Priority", <Mono key="priority">{route.priority ?? 0}</Mono>],
        ];
      }}
    >
      {(route) => (
        <>
          <TryIt route={route} />
          <RelatedPanel
            title="Policies"
            noun={policies}
            related={(policy) => policy.scope?.route === route.name}
            note={(policy) => <KindNote policy={policy} />}
            none="No policy is attached to this route. Those of its service and the global ones act all the same."
            action={
              <Button
                size="compact-sm"
                variant="default"
                renderRoot={(props) => <Link {...props} to="/policies/new" search={{ route: route.name }} />}
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

/** A fact that few routes have. */
function fact(title: string, text: string | undefined): [string, ReactNode][] {
  return text ? [[title, <Mono key={title}>{text}</Mono>]] : [];
}

function LeadsTo({ route }: { route: Route }) {
  if (route.redirect) return <Mono>{redirectWords(route.redirect)}</Mono>;
  if (route.compose) return <Mono>{Object.keys(route.compose.steps).join(", ")}</Mono>;
  if (!route.service) return <Nothing>nowhere</Nothing>;
  return (
    <Link className="link wrap" to="/services/$ref" params={{ ref: route.service }}>
      {route.service}
    </Link>
  );
}

function TryIt({ route }: { route: Route }) {
  const host = route.match?.hosts?.[0]?.replace("*", "www");
  const method = route.match?.methods?.[0];
  const text = [
    "curl",
    method && method !== "GET" ? `-X ${quoted(method)}` : "",
    host ? `-H ${quoted(`Host: ${host}`)}` : "",
    `"$GATEWAY"${quoted(samplePath(route.match))}`,
  ]
    .filter(Boolean)
    .join(" ");
  return (
    <Panel title="Try it" aside={<CopyButton text={text} what="command" />} flush>
      <Code label="curl command">
        {`# GATEWAY is the address of a node, like http://127.0.0.1:8000\n${text}`}
      </Code>
    </Panel>
  );
}

export function RouteNew() {
  const { service } = useSearch({ from: "/in/routes/new" });
  return <NewPage spec={routeForm} start={service ? { service } : undefined} />;
}

export function RouteEdit() {
  const { ref } = useParams({ from: "/in/routes/$ref/edit" });
  return <EditPage spec={routeForm} name={ref} />;
}
