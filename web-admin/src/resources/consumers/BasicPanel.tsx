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
import { Mono, Nothing, Time } from "../../ui/show.tsx";
import { BasicDialog } from "./BasicDialog.tsx";
import { basicCredentials } from "./keys.ts";
import { RevokeBasicDialog } from "./RevokeBasicDialog.tsx";

type Open = { add: true } | { change: Key } | { revoke: Key };

/** Usernames and passwords, for callers that can't send a key. */
export function BasicPanel({ consumer }: { consumer: string }) {
  const list = useQuery(basicCredentials(consumer));
  const [open, setOpen] = useState<Open>();
  const readOnly = useReadOnly();
  const rows = list.data?.data;
  const close = () => setOpen(undefined);

  const add = (
    <Tooltip label={readOnly} disabled={!readOnly}>
      <Button
        size="compact-sm"
        variant="default"
        leftSection={<PlusIcon size={13} />}
        data-disabled={readOnly ? true : undefined}
        aria-disabled={Boolean(readOnly)}
        onClick={() => !readOnly && setOpen({ add: true })}
      >
        Add username
      </Button>
    </Tooltip>
  );

  return (
    <Panel title="Usernames and passwords" aside={add} flush>
      {list.error && <ProblemAlert error={list.error} again={() => list.refetch()} />}
      {rows?.length === 0 ? (
        <Empty icon={<KeyIcon size={26} />} title="None yet">
          For callers that know HTTP basic authentication and nothing else. A basic-auth policy asks for them.
        </Empty>
      ) : (
        !list.error && (
          <DataTable
            label="Usernames and passwords"
            rows={rows}
            rowKey={(basic) => basic.id}
            columns={[
              { title: "Username", cell: (basic) => <Mono>{basic.username}</Mono> },
              { title: "Label", cell: (basic) => basic.label || <Nothing /> },
              { title: "Expires", cell: (basic) => <Time at={basic.expires_at} /> },
              { title: "Last used", cell: (basic) => <Time at={basic.last_used} never="not seen" /> },
              {
                title: "Actions",
                untitled: true,
                end: true,
                cell: (basic) => (
                  <Group gap={6} wrap="nowrap" justify="flex-end">
                    <Button
                      size="compact-xs"
                      variant="default"
                      aria-label={`Change the password of ${basic.username}`}
                      disabled={Boolean(readOnly)}
                      onClick={() => setOpen({ change: basic })}
                    >
                      Change password
                    </Button>
                    <Button
                      size="compact-xs"
                      variant="default"
                      aria-label={`Revoke ${basic.username}`}
                      disabled={Boolean(readOnly)}
                      onClick={() => setOpen({ revoke: basic })}
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
      {open && "add" in open && <BasicDialog consumer={consumer} onClose={close} />}
      {open && "change" in open && <BasicDialog consumer={consumer} basic={open.change} onClose={close} />}
      {open && "revoke" in open && (
        <RevokeBasicDialog consumer={consumer} basic={open.revoke} onClose={close} />
      )}
    </Panel>
  );
}
