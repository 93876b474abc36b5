// How a policy's config is drawn: Mantine's inputs in the shapes that rjsf asks for.
import {
  ActionIcon,
  Button,
  type ButtonProps,
  Group,
  Select,
  Stack,
  Switch,
  TagsInput,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import type { ThemeProps } from "@rjsf/core";
import {
  ADDITIONAL_PROPERTY_FLAG,
  type ArrayFieldItemTemplateProps,
  type ArrayFieldTemplateProps,
  type DescriptionFieldProps,
  type FieldErrorProps,
  type FieldTemplateProps,
  getInputProps,
  type MultiSchemaFieldTemplateProps,
  type ObjectFieldTemplateProps,
  type RJSFSchema,
  type UnsupportedFieldProps,
  type WidgetProps,
  type WrapIfAdditionalTemplateProps,
} from "@rjsf/utils";
import { DownIcon, PlusIcon, TrashIcon, UpIcon } from "../ui/icons.tsx";
import { ObjectField as PlainOrConfig } from "./NestedConfig.tsx";
import { defaultKey, fieldWords } from "./schema.ts";

function words(label: string, schema: RJSFSchema): string {
  return schema.title ?? fieldWords(label.replace(/-(\d+)$/, " $1"));
}

/** What every input of ours is told. */
function told({
  id,
  label,
  hideLabel,
  schema,
  options,
  required,
  disabled,
  readonly,
  rawErrors,
}: WidgetProps) {
  return {
    id,
    label: hideLabel ? undefined : words(label, schema),
    "aria-label": hideLabel ? words(label, schema) : undefined,
    description: options.description ?? schema.description,
    required,
    disabled: disabled || readonly,
    error: rawErrors?.length ? rawErrors.join("; ") : undefined,
  };
}

function preset(schema: RJSFSchema): unknown {
  return (schema as Record<string, unknown>)[defaultKey];
}

/** What stands in an empty field: the default, or what a value looks like. */
function hint(schema: RJSFSchema): string | undefined {
  const shown = preset(schema) ?? (Array.isArray(schema.examples) ? schema.examples[0] : undefined);
  return shown === undefined ? undefined : String(shown);
}

function Input(props: WidgetProps) {
  const { schema, options, value, type, onChange, onBlur, onFocus, id, placeholder } = props;
  const { type: inputType, step, min, max } = getInputProps(schema, type, options);
  return (
    <TextInput
      {...told(props)}
      type={inputType}
      step={step}
      min={min}
      max={max}
      value={value ?? ""}
      placeholder={placeholder || hint(schema)}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) =>
        onChange(event.currentTarget.value === "" ? options.emptyValue : event.currentTarget.value)
      }
      onBlur={(event) => onBlur(id, event.currentTarget.value)}
      onFocus={(event) => onFocus(id, event.currentTarget.value)}
    />
  );
}

function LongText(props: WidgetProps) {
  const { value, options, onChange, onBlur, id } = props;
  return (
    <Textarea
      {...told(props)}
      autosize
      minRows={3}
      maxRows={16}
      value={value ?? ""}
      onChange={(event) =>
        onChange(event.currentTarget.value === "" ? options.emptyValue : event.currentTarget.value)
      }
      onBlur={(event) => onBlur(id, event.currentTarget.value)}
    />
  );
}

function Check(props: WidgetProps) {
  const { value, schema, onChange } = props;
  const { required: _required, ...rest } = told(props);
  return (
    <Switch
      {...rest}
      label={words(props.label, schema)}
      checked={Boolean(value ?? preset(schema))}
      onChange={(event) => onChange(event.currentTarget.checked)}
    />
  );
}

function Choice(props: WidgetProps) {
  const { options, value, multiple, onChange, schema, required } = props;
  const choices = options.enumOptions ?? [];
  const fallback = preset(schema);
  if (multiple) {
    const chosen = Array.isArray(value) ? value.map(String) : [];
    const given = (names: string[]) =>
      choices.filter((choice) => names.includes(String(choice.value))).map((choice) => choice.value);
    return (
      <TagsInput
        {...told(props)}
        data={choices.map((choice) => String(choice.value))}
        value={chosen}
        onChange={(names) => onChange(given(names))}
      />
    );
  }
  const index = choices.findIndex((choice) => choice.value === value);
  const description = (choices[index]?.schema as RJSFSchema | undefined)?.description;
  return (
    <Select
      {...told(props)}
      description={description ?? options.description ?? schema.description}
      data={choices.map((choice, i) => ({ value: String(i), label: choice.label }))}
      value={index < 0 ? null : String(index)}
      placeholder={fallback === undefined ? undefined : `${String(fallback)} (default)`}
      clearable={!required}
      allowDeselect={!required}
      onChange={(chosen) => onChange(chosen === null ? undefined : choices[Number(chosen)]?.value)}
    />
  );
}

function Field({ children, errors, hidden, schema, ...rest }: FieldTemplateProps) {
  if (hidden) return <div hidden>{children}</div>;
  const Wrap = rest.registry.templates.WrapIfAdditionalTemplate;
  // Inputs tell their own errors; what holds other fields has no input to do it.
  const holds = schema.type === "object" || schema.type === "array" || schema.oneOf || schema.anyOf;
  return (
    <Wrap {...rest} schema={schema}>
      {children}
      {holds && errors}
    </Wrap>
  );
}

function ObjectField({
  title,
  description,
  properties,
  schema,
  fieldPathId,
  onAddProperty,
  disabled,
  readonly,
}: ObjectFieldTemplateProps) {
  const root = fieldPathId.path.length === 0;
  const inside = (
    <div className="parts">
      {properties.length === 0 && root && !schema.additionalProperties && (
        <Text size="sm" c="dimmed">
          Nothing to set: this kind works as it is.
        </Text>
      )}
      {properties.filter((property) => !property.hidden).map((property) => property.content)}
      {Boolean(schema.additionalProperties) && (
        <div>
          <AddButton onClick={onAddProperty} disabled={disabled || readonly}>
            Add field
          </AddButton>
        </div>
      )}
    </div>
  );
  if (root) return inside;
  return (
    <fieldset className="part">
      {title && <legend>{words(title, {})}</legend>}
      {description && (
        <Text size="xs" c="dimmed" mb="xs" component="div">
          {description}
        </Text>
      )}
      {inside}
    </fieldset>
  );
}

function ArrayField({
  title,
  items,
  canAdd,
  onAddClick,
  schema,
  rawErrors,
  disabled,
  readonly,
}: ArrayFieldTemplateProps) {
  const name = words(title, schema);
  return (
    <fieldset className="part">
      <legend>{name}</legend>
      {schema.description && (
        <Text size="xs" c="dimmed" mb="sm">
          {schema.description}
        </Text>
      )}
      <Stack gap="sm">
        {items}
        {canAdd && (
          <div>
            <AddButton onClick={onAddClick} disabled={disabled || readonly}>
              Add to {name.toLowerCase()}
            </AddButton>
          </div>
        )}
        {rawErrors && rawErrors.length > 0 && (
          <Text size="sm" c="var(--bad)" role="alert">
            {rawErrors.join("; ")}
          </Text>
        )}
      </Stack>
    </fieldset>
  );
}

function ArrayItem({ children, buttonsProps: does, index, hasToolbar }: ArrayFieldItemTemplateProps) {
  return (
    <Group align="flex-start" gap="xs" wrap="nowrap">
      <div style={{ flex: 1, minWidth: 0 }}>{children}</div>
      {hasToolbar && (
        <Group gap={2} wrap="nowrap" mt={4}>
          {does.hasMoveUp && (
            <ActionIcon
              aria-label={`Move entry ${index + 1} up`}
              onClick={does.onMoveUpItem}
              disabled={does.disabled}
            >
              <UpIcon size={15} />
            </ActionIcon>
          )}
          {does.hasMoveDown && (
            <ActionIcon
              aria-label={`Move entry ${index + 1} down`}
              onClick={does.onMoveDownItem}
              disabled={does.disabled}
            >
              <DownIcon size={15} />
            </ActionIcon>
          )}
          {does.hasRemove && (
            <ActionIcon
              aria-label={`Remove entry ${index + 1}`}
              onClick={does.onRemoveItem}
              disabled={does.disabled}
            >
              <TrashIcon size={15} />
            </ActionIcon>
          )}
        </Group>
      )}
    </Group>
  );
}

function AddButton(props: ButtonProps & { onClick: () => void }) {
  return <Button size="compact-sm" variant="default" leftSection={<PlusIcon size={13} />} {...props} />;
}

/** One of several shapes: which one, then its fields. */
function Alternatives({ selector, optionSchemaField }: MultiSchemaFieldTemplateProps) {
  return (
    <Stack gap="sm">
      {selector}
      {optionSchemaField}
    </Stack>
  );
}

/** A field whose name is the operator's to choose. */
function Additional({
  children,
  schema,
  id,
  label,
  onKeyRenameBlur,
  onRemoveProperty,
  disabled,
  readonly,
}: WrapIfAdditionalTemplateProps) {
  if (!(ADDITIONAL_PROPERTY_FLAG in schema)) return <div>{children}</div>;
  return (
    <Group align="flex-end" gap="xs" wrap="nowrap">
      <TextInput
        label="Name"
        id={`${id}-key`}
        defaultValue={label}
        onBlur={onKeyRenameBlur}
        disabled={disabled || readonly}
      />
      <div style={{ flex: 1 }}>{children}</div>
      <ActionIcon
        size={34}
        aria-label={`Remove ${label}`}
        onClick={onRemoveProperty}
        disabled={disabled || readonly}
      >
        <TrashIcon size={15} />
      </ActionIcon>
    </Group>
  );
}

function Description({ description, id }: DescriptionFieldProps) {
  return description ? (
    <Text id={id} size="xs" c="dimmed" component="div">
      {description}
    </Text>
  ) : null;
}

function Errors({ errors }: FieldErrorProps) {
  if (!errors?.length) return null;
  return (
    <Text size="sm" c="var(--bad)" role="alert" mt={4}>
      {errors.map(String).join("; ")}
    </Text>
  );
}

function Unsupported({ fieldPathId }: UnsupportedFieldProps) {
  return (
    <Text size="sm" c="dimmed">
      <span className="mono">{fieldPathId?.path.join(".") || "This part"}</span> has no form: set it in the
      JSON tab.
    </Text>
  );
}

const Nothing = () => null;

export const mantine: ThemeProps = {
  fields: { ObjectField: PlainOrConfig },
  widgets: {
    TextareaWidget: LongText,
    CheckboxWidget: Check,
    SelectWidget: Choice,
    RadioWidget: Choice,
    CheckboxesWidget: Choice,
  },
  templates: {
    BaseInputTemplate: Input,
    FieldTemplate: Field,
    ObjectFieldTemplate: ObjectField,
    ArrayFieldTemplate: ArrayField,
    ArrayFieldItemTemplate: ArrayItem,
    MultiSchemaFieldTemplate: Alternatives,
    WrapIfAdditionalTemplate: Additional,
    DescriptionFieldTemplate: Description,
    FieldErrorTemplate: Errors,
    ErrorListTemplate: Nothing,
    UnsupportedFieldTemplate: Unsupported,
  },
};
