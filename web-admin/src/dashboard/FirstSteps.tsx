import { Button, Text } from "@mantine/core";
import { Link, type LinkProps } from "@tanstack/react-router";
import { CheckIcon } from "../ui/icons.tsx";
import { Panel } from "../ui/Panel.tsx";

interface Step {
  kind: string;
  title: string;
  why: string;
  to: LinkProps["to"];
  label: string;
}

const steps: Step[] = [
  {
    kind: "service",
    title: "Create a service",
    why: "The API behind the gateway, by its url.",
    to: "/services/new",
    label: "Create service",
  },
  {
    kind: "route",
    title: "Lead a route to it",
    why: "The host, path and methods whose requests it gets.",
    to: "/routes/new",
    label: "Create route",
  },
  {
    kind: "policy",
    title: "Ask callers for a key",
    why: "A key-auth policy on the service: without a key, 401.",
    to: "/policies/new",
    label: "Create policy",
  },
  {
    kind: "consumer",
    title: "Name who calls",
    why: "A consumer; its page then issues a key, shown once.",
    to: "/consumers/new",
    label: "Create consumer",
  },
];

/** The way to a first call through the gateway; gone once it is walked. */
export function FirstSteps({ counts }: { counts: Record<string, number> }) {
  const done = steps.map((step) => (counts[step.kind] ?? 0) > 0);
  if (done.every(Boolean)) return null;
  const next = done.indexOf(false);
  return (
    <Panel title="First steps" flush>
      <ol className="steps">
        {steps.map((step, index) => (
          <li key={step.kind}>
            <span className="step-mark" data-done={done[index]}>
              {done[index] ? (
                <CheckIcon size={14} aria-label="done" aria-hidden={false} role="img" />
              ) : (
                index + 1
              )}
            </span>
            <div style={{ flex: 1 }}>
              <Text fw={560} c={done[index] ? "dimmed" : undefined}>
                {step.title}
              </Text>
              <Text size="sm" c="dimmed">
                {step.why}
              </Text>
            </div>
            {!done[index] && (
              <Button
                size="compact-sm"
                variant={index === next ? "filled" : "default"}
                renderRoot={(props) => <Link {...props} to={step.to} />}
              >
                {step.label}
              </Button>
            )}
          </li>
        ))}
      </ol>
    </Panel>
  );
}
