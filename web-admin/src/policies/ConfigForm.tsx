import { withTheme } from "@rjsf/core";
import { useMemo } from "react";
import type { FieldProblem } from "../api/problem.ts";
import { formSchema } from "./schema.ts";
import { mantine } from "./theme.tsx";
import { configErrors, validator } from "./validator.ts";

const Form = withTheme(mantine);

interface Props {
  schema: unknown;
  config: object;
  onChange: (config: object) => void;
  /** What the server refused; entries below `/config` land on their fields. */
  problems: FieldProblem[];
}

/** The form of a policy kind, drawn from the schema that its room publishes. */
export function ConfigForm({ schema, config, onChange, problems }: Props) {
  const drawn = useMemo(() => formSchema(schema), [schema]);
  const extraErrors = useMemo(() => configErrors(problems), [problems]);
  return (
    <Form
      // It stands inside the policy's own form, and forms do not nest.
      tagName="div"
      idPrefix="config"
      schema={drawn}
      validator={validator}
      formData={config}
      onChange={(event) => onChange(event.formData ?? {})}
      liveValidate="onBlur"
      extraErrors={extraErrors}
      showErrorList={false}
      uiSchema={{ "ui:submitButtonOptions": { norender: true } }}
      experimental_defaultFormStateBehavior={{
        emptyObjectFields: "skipDefaults",
        arrayMinItems: { populate: "never" },
      }}
    />
  );
}
