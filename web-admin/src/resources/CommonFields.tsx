import { SimpleGrid, Stack, TagsInput, TextInput } from "@mantine/core";
import type { UseFormReturnType } from "@mantine/form";
import type { ReactNode } from "react";
import type { Resource } from "../api/types.ts";
import { nameProblem } from "./document.ts";

/** What every noun's form holds. */
export type Common = { name: string; description: string; tags: string[] };

export const common = (base?: Resource): Common => ({
  name: base?.name ?? "",
  description: base?.description ?? "",
  tags: base?.tags ?? [],
});

export const commonPlaces = { "/name": "name", "/description": "description", "/tags": "tags" };

export const commonChecks = { name: nameProblem };

interface Props {
  form: Pick<UseFormReturnType<Common>, "getInputProps">;
  /** An example of a good name. */
  like: string;
  children?: ReactNode;
}

export function CommonFields({ form, like, children }: Props) {
  return (
    <div className="section">
      <Stack>
        <TextInput
          label="Name"
          required
          placeholder={like}
          autoComplete="off"
          spellCheck={false}
          classNames={{ input: "mono" }}
          {...form.getInputProps("name")}
        />
        {children}
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          <TextInput label="Description" autoComplete="off" {...form.getInputProps("description")} />
          <TagsInput label="Tags" {...form.getInputProps("tags")} />
        </SimpleGrid>
      </Stack>
    </div>
  );
}
