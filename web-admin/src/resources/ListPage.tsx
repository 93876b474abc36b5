import { Button, Group, Loader, TextInput, Tooltip } from "@mantine/core";
import { useDebouncedCallback, useHotkeys } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useRouter } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";
import type { Noun, Search } from "../api/noun.ts";
import { useReadOnly } from "../api/session.ts";
import type { Resource } from "../api/types.ts";
import { type Column, DataTable } from "../ui/DataTable.tsx";
import { Empty } from "../ui/Empty.tsx";
import { PlusIcon, SearchIcon } from "../ui/icons.tsx";
import { Page } from "../ui/Page.tsx";
import { ProblemAlert } from "../ui/ProblemAlert.tsx";
import { Time } from "../ui/show.tsx";
import { capital } from "../ui/words.ts";

interface Props<T extends Resource> {
  noun: Noun<T>;
  search: Search;
  lead: string;
  icon: ReactNode;
  columns: Column<T>[];
  /** What the empty list teaches. */
  teaches: ReactNode;
  tabs?: ReactNode;
}

export function ListPage<T extends Resource>({ noun, search, lead, icon, columns, teaches, tabs }: Props<T>) {
  const list = useQuery({ ...noun.list(search), placeholderData: keepPreviousData });
  const nothing = list.data?.data.length === 0;
  const untouched = nothing && !search.q && !search.cursor;

  const all: Column<T>[] = [
    { title: "Name", cell: (row) => <NameCell noun={noun} row={row} /> },
    ...columns,
    { title: "Changed", wide: true, end: true, cell: (row) => <Time at={row.updated_at} /> },
  ];

  return (
    <Page title={capital(noun.many)} lead={lead} actions={!untouched && <CreateButton noun={noun} />}>
      {tabs}
      {list.error ? (
        <ProblemAlert error={list.error} again={() => list.refetch()} />
      ) : (
        <section className="panel" aria-label={capital(noun.many)}>
          {!untouched && (
            <div className="panel-head">
              <SearchBox noun={noun} q={search.q} />
              {list.isFetching && <Loader size={14} aria-label="Loading" />}
            </div>
          )}
          {untouched && (
            <Empty icon={icon} title={`No ${noun.many} yet`} action={<CreateButton noun={noun} />}>
              {teaches}
            </Empty>
          )}
          {nothing && !untouched && (
            <Empty
              title={`No ${noun.one} matches`}
              action={
                <Button variant="default" renderRoot={(props) => <Link {...props} to={noun.page as never} />}>
                  Show all
                </Button>
              }
            >
              {search.q
                ? `Nothing has “${search.q}” in its name or description.`
                : "This page of the list is empty."}
            </Empty>
          )}
          {!nothing && (
            <DataTable
              label={capital(noun.many)}
              columns={all}
              rows={list.data?.data}
              rowKey={(row) => row.id}
            />
          )}
          {(search.cursor || list.data?.next) && <Pager noun={noun} search={search} next={list.data?.next} />}
        </section>
      )}
    </Page>
  );
}

function NameCell({ noun, row }: { noun: Noun; row: Resource }) {
  return (
    <>
      <Link className="link wrap" to={`${noun.page}/$ref` as never} params={{ ref: row.name } as never}>
        {row.name}
      </Link>
      {row.description && <span className="under">{row.description}</span>}
    </>
  );
}

export function CreateButton({ noun }: { noun: Pick<Noun, "one" | "page"> }) {
  const reason = useReadOnly();
  const label = `Create ${noun.one}`;
  if (reason) {
    return (
      <Tooltip label={reason}>
        <Button
          leftSection={<PlusIcon size={15} />}
          data-disabled
          aria-disabled
          onClick={(event) => event.preventDefault()}
        >
          {label}
        </Button>
      </Tooltip>
    );
  }
  return (
    <Button
      leftSection={<PlusIcon size={15} />}
      renderRoot={(props) => <Link {...props} to={`${noun.page}/new` as never} />}
    >
      {label}
    </Button>
  );
}

function SearchBox({ noun, q }: { noun: Noun; q?: string }) {
  const navigate = useNavigate();
  const [text, setText] = useState(q ?? "");
  const input = useRef<HTMLInputElement>(null);
  const told = useRef(q ?? "");
  const tell = useDebouncedCallback((value: string) => {
    told.current = value;
    navigate({ to: noun.page as never, search: (value ? { q: value } : {}) as never, replace: true });
  }, 250);

  // The address is the truth: going back puts its text into the box again.
  useEffect(() => {
    if ((q ?? "") !== told.current) {
      told.current = q ?? "";
      setText(q ?? "");
    }
  }, [q]);
  useHotkeys([["/", () => input.current?.focus()]]);

  return (
    <TextInput
      ref={input}
      type="search"
      role="searchbox"
      aria-label={`Search ${noun.many}`}
      placeholder={`Search ${noun.many}`}
      leftSection={<SearchIcon size={15} />}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        tell(event.currentTarget.value);
      }}
      variant="unstyled"
      className="search"
    />
  );
}

/** Lists page by key: there is a next page, and the way back is the way one came. */
export function Pager({
  noun,
  search,
  next,
}: {
  noun: { page: string };
  search: Search;
  next?: string | null;
}) {
  const router = useRouter();
  return (
    <Group justify="flex-end" gap="xs" p="sm" style={{ borderTop: "1px solid var(--line)" }}>
      {search.cursor && (
        <>
          <Button
            variant="subtle"
            size="compact-sm"
            renderRoot={(props) => (
              <Link {...props} to={noun.page as never} search={{ ...search, cursor: undefined } as never} />
            )}
          >
            First page
          </Button>
          <Button variant="default" size="compact-sm" onClick={() => router.history.back()}>
            Back
          </Button>
        </>
      )}
      {next && (
        <Button
          variant="default"
          size="compact-sm"
          renderRoot={(props) => (
            <Link {...props} to={noun.page as never} search={{ ...search, cursor: next } as never} />
          )}
        >
          Next page
        </Button>
      )}
    </Group>
  );
}
