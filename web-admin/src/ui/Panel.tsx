import { Title } from "@mantine/core";
import { type ReactNode, useId } from "react";

interface Props {
  title?: ReactNode;
  aside?: ReactNode;
  /** Leaves the inside without padding, for tables and code. */
  flush?: boolean;
  children: ReactNode;
}

export function Panel({ title, aside, flush, children }: Props) {
  const heading = useId();
  return (
    <section className="panel" aria-labelledby={title ? heading : undefined}>
      {title && (
        <div className="panel-head">
          <Title order={2} id={heading} style={{ flex: 1 }}>
            {title}
          </Title>
          {aside}
        </div>
      )}
      <div className={flush ? undefined : "panel-body"}>{children}</div>
    </section>
  );
}
