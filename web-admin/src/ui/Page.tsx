import { Anchor, Breadcrumbs, Group, Stack, Text, Title } from "@mantine/core";
import { Link, type LinkProps } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";

export interface Crumb {
  label: string;
  to: LinkProps["to"];
  params?: Record<string, string>;
}

interface Props {
  title: string;
  /** What stands in the browser's tab, when the title alone would not say it. */
  tab?: string;
  /** Set in the typeface of identifiers. */
  mono?: boolean;
  lead?: ReactNode;
  crumbs?: Crumb[];
  badges?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

export function Page({ title, tab, mono, lead, crumbs, badges, actions, children }: Props) {
  useEffect(() => {
    document.title = `${tab ?? title} · Tidegate`;
  }, [tab, title]);

  return (
    <Stack gap="lg">
      <header>
        {crumbs && (
          <nav aria-label="Breadcrumb">
            <Breadcrumbs separatorMargin={7} mb={6} fz="sm">
              {crumbs.map((crumb) => (
                <Anchor
                  key={crumb.label}
                  size="sm"
                  c="dimmed"
                  renderRoot={(props) => <Link {...props} to={crumb.to} params={crumb.params as never} />}
                >
                  {crumb.label}
                </Anchor>
              ))}
            </Breadcrumbs>
          </nav>
        )}
        <Group justify="space-between" align="flex-start" gap="sm">
          <div style={{ minWidth: 0, flex: "1 1 260px" }}>
            <Group gap={10}>
              <Title order={1} className={mono ? "mono wrap" : "wrap"} fz={mono ? "1.25rem" : undefined}>
                {title}
              </Title>
              {badges}
            </Group>
            {lead && (
              <Text c="dimmed" size="sm" mt={3} maw={680} className="wrap">
                {lead}
              </Text>
            )}
          </div>
          {actions && <Group gap="xs">{actions}</Group>}
        </Group>
      </header>
      {children}
    </Stack>
  );
}
