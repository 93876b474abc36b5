import { Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

/** Where there is nothing yet: what belongs here and the step that brings the first one. */
export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon?: ReactNode;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <Stack align="center" gap={10} px="md" py={48} ta="center">
      {icon && <span style={{ color: "var(--accent)", lineHeight: 0 }}>{icon}</span>}
      <Title order={3} fz="md">
        {title}
      </Title>
      <Text size="sm" c="dimmed" maw={460}>
        {children}
      </Text>
      {action}
    </Stack>
  );
}
