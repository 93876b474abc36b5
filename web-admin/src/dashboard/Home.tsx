import { Button, Skeleton, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { status } from "../api/status.ts";
import type { Status as GatewayStatus } from "../api/types.ts";
import { ChangeList } from "../resources/revisions/ChangeWords.tsx";
import { revisions } from "../resources/revisions/log.ts";
import { Page } from "../ui/Page.tsx";
import { Panel } from "../ui/Panel.tsx";
import { ProblemAlert } from "../ui/ProblemAlert.tsx";
import { Nothing, Status, Time } from "../ui/show.tsx";
import { counted } from "../ui/words.ts";
import { FirstSteps } from "./FirstSteps.tsx";

const kinds: [kind: string, page: string, words: [one: string, many: string]][] = [
  ["service", "/services", ["service", "services"]],
  ["route", "/routes", ["route", "routes"]],
  ["upstream", "/upstreams", ["upstream", "upstreams"]],
  ["consumer", "/consumers", ["consumer", "consumers"]],
  ["consumer-group", "/consumer-groups", ["consumer group", "consumer groups"]],
  ["policy", "/policies", ["policy", "policies"]],
];

const recentChanges = () => ({ ...revisions(undefined, 8), refetchInterval: 5_000 });

export function Home() {
  const now = useQuery(status());
  return (
    <Page
      title="Home"
      badges={now.data && <Status tone="quiet">{now.data.mode}</Status>}
      lead={now.data && `Tidegate ${now.data.version}`}
    >
      {now.error && <ProblemAlert error={now.error} again={() => now.refetch()} />}
      {!now.data && !now.error && <Skeleton h={150} radius="md" />}
      {now.data && <Overview now={now.data} />}
    </Page>
  );
}

function Overview({ now }: { now: GatewayStatus }) {
  return (
    <Stack gap="lg">
      <div className="stats">
        <Panel>
          <span className="label">Revision</span>
          <div className="stat-number">r{now.revision}</div>
          <Newest />
        </Panel>
        <Panel>
          <span className="label">Nodes on it</span>
          <div className="stat-number">
            {now.nodes.current}
            <span style={{ color: "var(--mantine-color-dimmed)" }}> / {now.nodes.total}</span>
          </div>
          <Fleet current={now.nodes.current} total={now.nodes.total} />
        </Panel>
      </div>
      <FirstSteps counts={now.counts} />
      <Panel title="Configuration" flush>
        <nav className="counts" aria-label="Configuration">
          {kinds.map(([kind, page, [one, many]]) => {
            const count = now.counts[kind] ?? 0;
            return (
              <Link key={kind} to={page as never}>
                <b>{count.toLocaleString("en")}</b>
                <span style={{ color: "var(--mantine-color-dimmed)" }}>{count === 1 ? one : many}</span>
              </Link>
            );
          })}
        </nav>
      </Panel>
      <RecentChanges />
    </Stack>
  );
}

/** What the newest revision was about. */
function Newest() {
  const newest = useQuery(recentChanges()).data?.data[0];
  if (!newest) return null;
  return (
    <div style={{ marginTop: 8 }}>
      <ChangeList changes={newest.changes.slice(0, 1)} />
      <Text size="xs" c="dimmed" mt={4}>
        {newest.actor}, <Time at={newest.at} />
      </Text>
    </div>
  );
}

/** Up to this many nodes each has a mark of its own. */
const marksMax = 60;

function Fleet({ current, total }: { current: number; total: number }) {
  const words =
    total === 0
      ? "No node has joined yet"
      : current === total
        ? total === 1
          ? "The node serves it"
          : `All ${total} nodes serve it`
        : `${counted(total - current, "node")} not yet`;
  return (
    <div style={{ marginTop: 10 }}>
      {total > 0 && total <= marksMax && (
        <div className="fleet" aria-hidden="true">
          {Array.from({ length: total }, (_, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: marks are all alike
            <span key={index} data-on={index < current} />
          ))}
        </div>
      )}
      <Text size="sm" mt={6} c={current < total ? "var(--warn)" : "dimmed"}>
        <Link className="link" to="/nodes">
          {words}
        </Link>
      </Text>
    </div>
  );
}

function RecentChanges() {
  const recent = useQuery(recentChanges());
  return (
    <Panel
      title="Recent changes"
      flush
      aside={
        <Button size="compact-sm" variant="subtle" renderRoot={(props) => <Link {...props} to="/changes" />}>
          All changes
        </Button>
      }
    >
      {recent.error && <ProblemAlert error={recent.error} again={() => recent.refetch()} />}
      {recent.data?.data.length === 0 && (
        <div className="panel-body">
          <Nothing>Nothing has been changed yet.</Nothing>
        </div>
      )}
      <ul className="feed">
        {recent.data?.data.map((each) => (
          <li key={each.revision}>
            <Link className="link mono" to="/changes/$revision" params={{ revision: String(each.revision) }}>
              r{each.revision}
            </Link>
            <div>
              <ChangeList changes={each.changes} />
              {each.message && (
                <Text size="xs" c="dimmed" mt={3} className="wrap">
                  {each.message}
                </Text>
              )}
            </div>
            <Text size="xs" c="dimmed" ta="right">
              {each.actor}
              <br />
              <Time at={each.at} />
            </Text>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
