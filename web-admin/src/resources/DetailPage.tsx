import { Button, Skeleton, Stack, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import type { Noun } from "../api/noun.ts";
import { useReadOnly } from "../api/session.ts";
import type { Resource } from "../api/types.ts";
import { EditIcon, TrashIcon } from "../ui/icons.tsx";
import { Page } from "../ui/Page.tsx";
import { Panel } from "../ui/Panel.tsx";
import { ProblemAlert } from "../ui/ProblemAlert.tsx";
import { Facts, Id, Mono, Tags, Time } from "../ui/show.tsx";
import { capital } from "../ui/words.ts";
import { DeleteDialog } from "./DeleteDialog.tsx";

interface Props<T extends Resource> {
  noun: Noun<T>;
  name: string;
  badges?: (resource: T) => ReactNode;
  facts: (resource: T) => [string, ReactNode][];
  children?: (resource: T) => ReactNode;
}

export function DetailPage<T extends Resource>({ noun, name, badges, facts, children }: Props<T>) {
  const found = useQuery(noun.read(name));
  const [deleting, setDeleting] = useState(false);
  const crumbs = [{ label: capital(noun.many), to: noun.page as never }];
  const resource = found.data;

  if (!resource) {
    return (
      <Page title={name} crumbs={crumbs}>
        {found.error ? (
          <ProblemAlert error={found.error} again={() => found.refetch()} />
        ) : (
          <Skeleton h={180} radius="md" />
        )}
      </Page>
    );
  }
  return (
    <Page
      title={resource.name}
      lead={resource.description}
      crumbs={crumbs}
      badges={badges?.(resource)}
      actions={<Actions noun={noun} resource={resource} onDelete={() => setDeleting(true)} />}
    >
      <Stack gap="lg">
        <Panel title={capital(noun.one)} aside={<Id id={resource.id} />}>
          <Facts
            facts={[
              ...facts(resource),
              ["Tags", <Tags key="tags" tags={resource.tags} />],
              [
                "Changed",
                <span key="changed">
                  <Time at={resource.updated_at} /> in{" "}
                  <Link
                    className="link"
                    to="/changes/$revision"
                    params={{ revision: String(resource.revision) }}
                  >
                    <Mono>r{resource.revision}</Mono>
                  </Link>
                </span>,
              ],
            ]}
          />
        </Panel>
        {children?.(resource)}
      </Stack>
      {deleting && <DeleteDialog noun={noun} resource={resource} onClose={() => setDeleting(false)} />}
    </Page>
  );
}

function Actions({ noun, resource, onDelete }: { noun: Noun; resource: Resource; onDelete: () => void }) {
  const reason = useReadOnly();
  if (reason) {
    return (
      <Tooltip label={reason}>
        <Button variant="default" leftSection={<EditIcon size={15} />} data-disabled aria-disabled>
          Edit
        </Button>
      </Tooltip>
    );
  }
  return (
    <>
      <Button
        variant="default"
        leftSection={<EditIcon size={15} />}
        renderRoot={(props) => (
          <Link {...props} to={`${noun.page}/$ref/edit` as never} params={{ ref: resource.name } as never} />
        )}
      >
        Edit
      </Button>
      <Button variant="default" leftSection={<TrashIcon size={15} />} onClick={onDelete}>
        Delete
      </Button>
    </>
  );
}
