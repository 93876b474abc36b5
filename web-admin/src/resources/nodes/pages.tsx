import { Alert, Button, Group, Stack, Text, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { changed } from "../../api/cache.ts";
import { useReadOnly } from "../../api/session.ts";
import { status } from "../../api/status.ts";
import type { GatewayNode } from "../../api/types.ts";
import { DataTable } from "../../ui/DataTable.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { AlertIcon, NodeIcon } from "../../ui/icons.tsx";
import { Page } from "../../ui/Page.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { Mono, Nothing, Status, Time } from "../../ui/show.tsx";
import { counted } from "../../ui/words.ts";
import { meanings, nodes, retire, tones } from "./fleet.ts";
import { lag } from "./lag.ts";

export function NodeList() {
  const list = useQuery(nodes());
  const head = useQuery(status()).data;
  const readOnly = useReadOnly();
  const [retiring, setRetiring] = useState<GatewayNode>();
  const rows = list.data?.data;
  const troubled = rows?.filter((node) => node.problems.length > 0) ?? [];

  return (
    <Page
      title="Nodes"
      lead="The processes that carry the traffic, and which revision each of them serves."
      actions={
        <span className="live">
          <i /> live
        </span>
      }
    >
      {list.error && <ProblemAlert error={list.error} again={() => list.refetch()} />}
      {troubled.map((node) => (
        <Problems key={node.id} node={node} />
      ))}
      {!list.error && (
        <section className="panel" aria-label="Nodes">
          {rows?.length === 0 ? (
            <Empty icon={<NodeIcon size={30} />} title="No node has joined yet">
              Start one with{" "}
              <span className="mono">
                tidegate data-plane --control-plane https://…:8005 --join-token-file …
              </span>
              . It asks for a certificate, takes the configuration and appears here.
            </Empty>
          ) : (
            <DataTable
              label="Nodes"
              rows={rows}
              rowKey={(node) => node.id}
              columns={[
                { title: "Name", cell: (node) => <NodeName node={node} /> },
                {
                  title: "Status",
                  cell: (node) => (
                    <Tooltip label={meanings[node.status]}>
                      <span>
                        <Status tone={tones[node.status] ?? "quiet"} dot>
                          {node.status}
                        </Status>
                      </span>
                    </Tooltip>
                  ),
                },
                { title: "Revision", cell: (node) => <Position node={node} /> },
                { title: "Lag", wide: true, cell: (node) => <Lag node={node} head={head?.revision} /> },
                { title: "Version", wide: true, cell: (node) => <Mono>{node.version || "–"}</Mono> },
                { title: "Last seen", cell: (node) => <Time at={node.last_seen} /> },
                {
                  title: "Actions",
                  untitled: true,
                  end: true,
                  wide: true,
                  cell: (node) => (
                    <Tooltip label={readOnly} disabled={!readOnly}>
                      <span>
                        <Button
                          size="compact-xs"
                          variant="default"
                          aria-label={`Retire ${node.name}`}
                          disabled={Boolean(readOnly)}
                          onClick={() => setRetiring(node)}
                        >
                          Retire
                        </Button>
                      </span>
                    </Tooltip>
                  ),
                },
              ]}
            />
          )}
        </section>
      )}
      {retiring && <RetireDialog node={retiring} onClose={() => setRetiring(undefined)} />}
    </Page>
  );
}

function NodeName({ node }: { node: GatewayNode }) {
  const labels = Object.entries(node.labels ?? {});
  return (
    <>
      <span style={{ fontWeight: 560 }} className="wrap">
        {node.name}
      </span>
      <span className="under mono">
        {[node.address, ...labels.map(([key, value]) => `${key}=${value}`)].filter(Boolean).join("  ")}
      </span>
    </>
  );
}

/** Traffic and identity are taken apart from each other; one number is enough while they agree. */
function Position({ node }: { node: GatewayNode }) {
  if (node.identity_revision === node.traffic_revision) return <Mono>r{node.traffic_revision}</Mono>;
  return (
    <Tooltip label="Routes and policies, then consumers and keys: they are taken apart from each other">
      <span className="mono" style={{ whiteSpace: "nowrap" }}>
        r{node.traffic_revision} · r{node.identity_revision}
      </span>
    </Tooltip>
  );
}

function Lag({ node, head }: { node: GatewayNode; head?: number }) {
  if (head === undefined) return <Nothing>–</Nothing>;
  const behind = lag(node, head);
  return behind === 0 ? <Nothing>none</Nothing> : <Mono>{counted(behind, "revision")}</Mono>;
}

function Problems({ node }: { node: GatewayNode }) {
  return (
    <Alert
      role="alert"
      color="red"
      icon={<AlertIcon />}
      title={`${node.name} refused part of the configuration`}
    >
      <Stack gap={4}>
        {node.problems.map((problem) => (
          <Text
            size="sm"
            key={`${problem.kind} ${problem.id} ${problem.pointer} ${problem.detail}`}
            className="wrap"
          >
            {problem.kind && (
              <>
                {problem.kind} <b>{problem.name ?? problem.id}</b>{" "}
              </>
            )}
            {problem.pointer && <span className="mono">{problem.pointer} </span>}
            {problem.detail}
          </Text>
        ))}
      </Stack>
    </Alert>
  );
}

function RetireDialog({ node, onClose }: { node: GatewayNode; onClose: () => void }) {
  const gone = useMutation({
    mutationFn: () => retire(node),
    onSuccess: async () => {
      notifications.show({ message: `The node ${node.name} is retired` });
      onClose();
      await changed();
    },
  });
  return (
    <Dialog onClose={onClose} title={`Retire ${node.name}?`}>
      <Stack>
        {gone.error && <ProblemAlert error={gone.error} />}
        <Text size="sm">
          Its certificate is no longer accepted, and nothing waits for it any more. A process that still runs
          gets no further change; to come back it must join anew.
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus>
            Keep it
          </Button>
          <Button color="red.8" loading={gone.isPending} onClick={() => gone.mutate()}>
            Retire node
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
