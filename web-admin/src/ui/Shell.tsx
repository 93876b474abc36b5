import {
  ActionIcon,
  AppShell,
  Burger,
  Group,
  Menu,
  Text,
  Tooltip,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, type LinkProps, Outlet, useNavigate } from "@tanstack/react-router";
import { type ComponentType, Suspense } from "react";
import { session, signOut } from "../api/session.ts";
import { status } from "../api/status.ts";
import {
  ChangesIcon,
  ChevronIcon,
  ConsumerIcon,
  DocsIcon,
  HomeIcon,
  MarkIcon,
  MoonIcon,
  NodeIcon,
  PolicyIcon,
  RouteIcon,
  ServiceIcon,
  SignOutIcon,
  SunIcon,
  SystemIcon,
  UpstreamIcon,
} from "./icons.tsx";
import { Status } from "./show.tsx";

interface Entry {
  to: LinkProps["to"];
  label: string;
  icon: ComponentType;
  kind?: string;
}

const groups: [title: string, entries: Entry[]][] = [
  ["", [{ to: "/", label: "Home", icon: HomeIcon }]],
  [
    "Traffic",
    [
      { to: "/services", label: "Services", icon: ServiceIcon, kind: "service" },
      { to: "/routes", label: "Routes", icon: RouteIcon, kind: "route" },
      { to: "/upstreams", label: "Upstreams", icon: UpstreamIcon, kind: "upstream" },
      { to: "/policies", label: "Policies", icon: PolicyIcon, kind: "policy" },
    ],
  ],
  ["Identity", [{ to: "/consumers", label: "Consumers", icon: ConsumerIcon, kind: "consumer" }]],
  [
    "Gateway",
    [
      { to: "/nodes", label: "Nodes", icon: NodeIcon },
      { to: "/changes", label: "Changes", icon: ChangesIcon },
    ],
  ],
];

/** The frame around every page: where one can go, how the gateway stands, who one is. */
export function Shell() {
  const [open, { toggle, close }] = useDisclosure();
  return (
    <AppShell
      layout="alt"
      header={{ height: 56 }}
      navbar={{ width: 228, breakpoint: "sm", collapsed: { mobile: !open } }}
      padding={{ base: "md", md: "xl" }}
    >
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <AppShell.Header>
        <Group h="100%" px={{ base: "sm", md: "xl" }} gap="sm" wrap="nowrap">
          <Burger
            opened={open}
            onClick={toggle}
            hiddenFrom="sm"
            size="sm"
            aria-label={open ? "Close navigation" : "Open navigation"}
          />
          <Pulse />
          <Group gap={4} ml="auto" wrap="nowrap">
            <Theme />
            <Account />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar aria-label="Main">
        <Group justify="space-between" wrap="nowrap">
          <Link to="/" className="brand" onClick={close}>
            <MarkIcon size={22} />
            Tidegate
          </Link>
          <Burger
            opened={open}
            onClick={toggle}
            hiddenFrom="sm"
            size="sm"
            mr="sm"
            aria-label="Close navigation"
          />
        </Group>
        <Navigation onGo={close} />
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <div style={{ maxWidth: 1180, margin: "0 auto" }}>
          <Suspense>
            <Outlet />
          </Suspense>
        </div>
      </AppShell.Main>
    </AppShell>
  );
}

function Navigation({ onGo }: { onGo: () => void }) {
  const counts = useQuery(status()).data?.counts;
  return (
    <>
      {groups.map(([title, entries]) => (
        <div key={title}>
          {title && <div className="label nav-title">{title}</div>}
          <ul className="nav">
            {entries.map(({ to, label, icon: Icon, kind }) => (
              <li key={label}>
                <Link to={to} onClick={onGo} activeOptions={{ exact: to === "/", includeSearch: false }}>
                  <Icon />
                  {label}
                  {kind && counts?.[kind] ? (
                    <span className="count" aria-hidden="true">
                      {counts[kind].toLocaleString("en")}
                    </span>
                  ) : null}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
      <ul className="nav" style={{ marginTop: "auto", paddingBottom: 14 }}>
        <li>
          <a href="/docs" target="_blank" rel="noreferrer">
            <DocsIcon />
            API reference
          </a>
        </li>
      </ul>
    </>
  );
}

/** The newest revision and how many nodes have it, always in sight. */
function Pulse() {
  const now = useQuery(status());
  if (now.error) {
    return (
      <Status tone="bad" dot>
        control plane not reached
      </Status>
    );
  }
  if (!now.data) return null;
  const { revision, nodes } = now.data;
  const all = nodes.current === nodes.total;
  return (
    <Tooltip
      label={all ? "All nodes serve the newest revision" : "Some nodes do not serve the newest revision yet"}
    >
      <Link to="/nodes" className="link" style={{ textDecoration: "none" }}>
        <Status tone={nodes.total === 0 ? "quiet" : all ? "good" : "warn"} dot>
          <span className="mono">r{revision}</span>
          <span>
            {nodes.current}/{nodes.total} nodes
          </span>
        </Status>
      </Link>
    </Tooltip>
  );
}

const schemes = { light: SunIcon, dark: MoonIcon, auto: SystemIcon } as const;
const schemeWords = { light: "Light", dark: "Dark", auto: "As the system" } as const;

function Theme() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const Icon = schemes[colorScheme];
  return (
    <Menu position="bottom-end" width={180}>
      <Menu.Target>
        <ActionIcon size={34} aria-label="Theme">
          <Icon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {(["light", "dark", "auto"] as const).map((scheme) => {
          const SchemeIcon = schemes[scheme];
          return (
            <Menu.Item
              key={scheme}
              leftSection={<SchemeIcon size={15} />}
              onClick={() => setColorScheme(scheme)}
              fw={scheme === colorScheme ? 600 : undefined}
            >
              {schemeWords[scheme]}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}

function Account() {
  const who = useQuery(session).data;
  const navigate = useNavigate();
  const leave = async () => {
    await signOut().catch(() => undefined);
    await navigate({ to: "/sign-in" });
  };
  return (
    <Menu position="bottom-end" width={200}>
      <Menu.Target>
        <ActionIcon size={34} w="auto" px={8} aria-label={`Operator ${who?.operator ?? ""}`}>
          <Text size="sm" fw={540} c="var(--mantine-color-text)" maw={160} truncate mr={6}>
            {who?.operator}
          </Text>
          <ChevronIcon size={13} style={{ rotate: "90deg" }} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>role {who?.role}</Menu.Label>
        <Menu.Item leftSection={<SignOutIcon size={15} />} onClick={leave}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
