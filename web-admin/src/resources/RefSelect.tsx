import { MultiSelect, Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import type { Noun } from "../api/noun.ts";

interface Props {
  noun: Pick<Noun, "list" | "one" | "many">;
  label: string;
  description?: ReactNode;
  required?: boolean;
  error?: ReactNode;
}

const shown = 20;

/** Picks a resource by name. The server searches, so that ten thousand of them are no more work than ten. */
export function RefSelect({
  noun,
  value,
  onChange,
  ...input
}: Props & { value?: string; onChange: (name: string) => void }) {
  const { names, search, setSearch, nothing } = useNames(noun, value ? [value] : []);
  return (
    <Select
      {...input}
      data={names}
      value={value || null}
      onChange={(name) => onChange(name ?? "")}
      searchable
      searchValue={search}
      onSearchChange={setSearch}
      clearable
      placeholder={`Choose a ${noun.one}`}
      nothingFoundMessage={nothing}
      maxDropdownHeight={280}
    />
  );
}

export function RefMultiSelect({
  noun,
  value = [],
  onChange,
  ...input
}: Props & { value?: string[]; onChange: (names: string[]) => void }) {
  const { names, search, setSearch, nothing } = useNames(noun, value);
  return (
    <MultiSelect
      {...input}
      data={names}
      value={value}
      onChange={onChange}
      searchable
      searchValue={search}
      onSearchChange={setSearch}
      clearable
      placeholder={value.length ? undefined : `Choose ${noun.many}`}
      nothingFoundMessage={nothing}
      maxDropdownHeight={280}
    />
  );
}

function useNames(noun: Props["noun"], chosen: string[]) {
  const [search, setSearch] = useState("");
  const [q] = useDebouncedValue(search, 200);
  // A chosen name stands in the box as if it had been searched for.
  const asked = q && !chosen.includes(q) ? { q } : {};
  const list = useQuery({ ...noun.list(asked, shown), placeholderData: keepPreviousData });
  const names = [...new Set([...chosen, ...(list.data?.data.map((each) => each.name) ?? [])])];
  return { names, search, setSearch, nothing: list.isFetching ? "Searching…" : `No ${noun.one} like that` };
}
