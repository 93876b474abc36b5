// What only its author knows the form of is written as JSON: a config within a config (`x-policy-config`), of a kind that the
// field beside it says, and any object that may hold anything, such as a JSON Schema.
import { Textarea } from "@mantine/core";
import { getDefaultRegistry } from "@rjsf/core";
import type { FieldProps } from "@rjsf/utils";
import { useState } from "react";
import { fieldWords, isFree, readObject } from "./schema.ts";

const Plain = getDefaultRegistry().fields.ObjectField as React.ComponentType<FieldProps>;

/** Objects as rjsf draws them, but for those whose form nobody knows. */
export function ObjectField(props: FieldProps) {
  return isFree(props.schema) ? <NestedConfig {...props} /> : <Plain {...props} />;
}

function NestedConfig({
  name,
  schema,
  formData,
  onChange,
  fieldPathId,
  disabled,
  readonly,
  rawErrors,
}: FieldProps) {
  // As it is being typed: nothing is written otherwise under the operator's hands.
  const [typed, setTyped] = useState<string | null>(null);
  const shown = typed ?? (formData && Object.keys(formData).length ? JSON.stringify(formData, null, 2) : "");
  const broken = typed !== null && !read(typed);
  const problems = broken ? ["must be a JSON object"] : rawErrors;
  return (
    <Textarea
      id={fieldPathId.$id}
      label={fieldWords(name)}
      description={schema.description}
      autosize
      minRows={2}
      maxRows={16}
      className="mono"
      spellCheck={false}
      placeholder="{}"
      disabled={disabled || readonly}
      error={problems?.length ? problems.join("; ") : undefined}
      value={shown}
      onChange={(event) => {
        const text = event.currentTarget.value;
        const config = read(text);
        setTyped(text);
        if (config) onChange(config, fieldPathId.path);
      }}
      onBlur={() => broken || setTyped(null)}
    />
  );
}

/** Nothing written is nothing set. */
function read(text: string): object | undefined {
  return text.trim() === "" ? {} : readObject(text);
}
