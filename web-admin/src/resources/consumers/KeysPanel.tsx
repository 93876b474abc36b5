import { Button, Group, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useReadOnly } from "../../api/session.ts";
import type { Key } from "../../api/types.ts";
import { DataTable } from "../../ui/DataTable.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { KeyIcon, PlusIcon } from "../../ui/icons.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { ProblemAlert } from "../../ui/ProblemAlert.tsx";
import { Mono, Nothing, Status, Time } from "../../ui/show.tsx";
import { useNow } from "../../ui/time.ts";
import { IssueKeyDialog } from "./IssueKeyDialog.tsx";
import { keys } from "./keys.ts";
import { RevokeKeyDialog } from "./RevokeKeyDialog.tsx";
import { RotateKeyDialog } from "./RotateKeyDialog.tsx";

export function KeysPanel({ consumer }: { consumer: string }) {
  const list = useQuery(keys(consumer));
  const [issuing, setIssuing] = useState(false);
  const [revoking, setRevoking] = useState<Key>();
  const [rotating, setRotating] = useState<Key>();
  const readOnly = useReadOnly();
  const rows = list.data?.data;

  const issue = (
    <Tooltip label={readOnly} disabled={!readOnly}>
      <Button
        size="compact-sm"
        leftSection={<PlusIcon size={13} />}
        data-disabled={readOnly ? true : undefined}
        aria-disabled={Boolean(readOnly)}
        onClick={() => !readOnly && setIssuing(true)}
      >
        Issue key
      </Button>
    </Tooltip>
  );

  return (
    <Panel title="Keys" aside={issue} flush>
      {list.error && <ProblemAlert error={list.error} again={() => list.refetch()} />}
      {rows?.length === 0 ? (
        <Empty icon={<KeyIcon size={26} />} title="No key yet">
          A key proves who calls. It is shown once, when it is issued; what is kept is its hash.
        </Empty>
      ) : (
        !list.error && (
          <DataTable
            label="Keys"
            rows={rows}
            rowKey={(key) => key.id}
            columns={[
              { title: "Key", cell: (key) => <Mono>{key.hint}</Mono> },
              { title: "Label", cell: (key) => key.label || <Nothing /> },
              { title: "Expires", cell: (key) => <Expiry at={key.expires_at} /> },
              { title: "Last used", cell: (key) => <Time at={key.last_used} never="not seen" /> },
              { title: "Issued", wide: true, cell: (key) => <Time at={key.created_at} /> },
              {
                title: "Actions",
                untitled: true,
                end: true,
                cell: (key) => (
                  <Group gap={6} wrap="nowrap" justify="flex-end">
                    <Button
                      size="compact-xs"
                      variant="default"
                      aria-label={`Rotate ${key.label || key.hint}`}
                      disabled={Boolean(readOnly)}
                      onClick={() => setRotating(key)}
                    >
                      Rotate
                    </Button>
                    <Button
                      size="compact-xs"
                      variant="default"
                      aria-label={`Revoke ${key.label || key.hint}`}
                      disabled={Boolean(readOnly)}
                      onClick={() => setRevoking(key)}
                    >
                      Revoke
                    </Button>
                  </Group>
                ),
              },
            ]}
          />
        )
      )}
      {issuing && <IssueKeyDialog consumer={consumer} onClose={() => setIssuing(false)} />}
      {rotating && (
        <RotateKeyDialog consumer={consumer} old={rotating} onClose={() => setRotating(undefined)} />
      )}
      {revoking && (
        <RevokeKeyDialog consumer={consumer} issued={revoking} onClose={() => setRevoking(undefined)} />
      )}
    </Panel>
  );
}

function Expiry({ at }: { at?: string | null }) {
  const now = useNow();
  if (at && new Date(at) <= now) {
    return (
      <Status tone="bad">
        expired <Time at={at} />
      </Status>
    );
  }
  return <Time at={at} />;
}
