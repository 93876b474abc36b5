import { Button, Center, Loader } from "@mantine/core";
import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  lazyRouteComponent,
  Outlet,
  redirect,
  type SearchSchemaInput,
} from "@tanstack/react-router";
import { cache } from "./api/cache.ts";
import type { Search } from "./api/noun.ts";
import { session } from "./api/session.ts";
import { Home } from "./dashboard/Home.tsx";
import { SignIn } from "./session/SignIn.tsx";
import { Empty } from "./ui/Empty.tsx";
import { ProblemAlert } from "./ui/ProblemAlert.tsx";
import { Shell } from "./ui/Shell.tsx";

const root = createRootRoute({ component: Outlet });

const signInRoute = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search: { to?: string } & SearchSchemaInput) => texts(search, "to"),
  component: SignIn,
});

/** Everything that needs a session. */
const inside = createRoute({
  getParentRoute: () => root,
  id: "in",
  beforeLoad: async ({ location }) => {
    if (!(await cache.ensureQueryData(session))) {
      throw redirect({ to: "/sign-in", search: location.pathname === "/" ? {} : { to: location.href } });
    }
  },
  component: Shell,
});

const home = createRoute({ getParentRoute: () => inside, path: "/", component: Home });

const services = () => import("./resources/services/pages.tsx");
const routes = () => import("./resources/routes/pages.tsx");
const upstreams = () => import("./resources/upstreams/pages.tsx");
const consumers = () => import("./resources/consumers/pages.tsx");
const groups = () => import("./resources/consumer-groups/pages.tsx");
const policies = () => import("./resources/policies/pages.tsx");
const nodes = () => import("./resources/nodes/pages.tsx");
const revisions = () => import("./resources/revisions/pages.tsx");

const listSearch = (search: Search & SearchSchemaInput): Search => texts(search, "q", "cursor");

/** Only these parameters, and only as text: whatever else the address holds is dropped. */
function texts<K extends string>(search: object, ...keys: K[]): { [key in K]?: string } {
  const found: { [key in K]?: string } = {};
  for (const key of keys) {
    const value = (search as Record<string, unknown>)[key];
    if (typeof value === "string" || typeof value === "number") found[key] = String(value);
  }
  return found;
}

const tree = root.addChildren([
  signInRoute,
  inside.addChildren([
    home,
    createRoute({
      getParentRoute: () => inside,
      path: "/services",
      validateSearch: listSearch,
      component: lazyRouteComponent(services, "ServiceList"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/services/new",
      component: lazyRouteComponent(services, "ServiceNew"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/services/$ref",
      component: lazyRouteComponent(services, "ServiceDetail"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/services/$ref/edit",
      component: lazyRouteComponent(services, "ServiceEdit"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/routes",
      validateSearch: listSearch,
      component: lazyRouteComponent(routes, "RouteList"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/routes/new",
      validateSearch: (search: { service?: string } & SearchSchemaInput) => texts(search, "service"),
      component: lazyRouteComponent(routes, "RouteNew"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/routes/$ref",
      component: lazyRouteComponent(routes, "RouteDetail"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/routes/$ref/edit",
      component: lazyRouteComponent(routes, "RouteEdit"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/upstreams",
      validateSearch: listSearch,
      component: lazyRouteComponent(upstreams, "UpstreamList"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/upstreams/new",
      component: lazyRouteComponent(upstreams, "UpstreamNew"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/upstreams/$ref",
      component: lazyRouteComponent(upstreams, "UpstreamDetail"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/upstreams/$ref/edit",
      component: lazyRouteComponent(upstreams, "UpstreamEdit"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/consumers",
      validateSearch: listSearch,
      component: lazyRouteComponent(consumers, "ConsumerList"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/consumers/new",
      component: lazyRouteComponent(consumers, "ConsumerNew"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/consumers/$ref",
      component: lazyRouteComponent(consumers, "ConsumerDetail"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/consumers/$ref/edit",
      component: lazyRouteComponent(consumers, "ConsumerEdit"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/consumer-groups",
      validateSearch: listSearch,
      component: lazyRouteComponent(groups, "GroupList"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/consumer-groups/new",
      component: lazyRouteComponent(groups, "GroupNew"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/consumer-groups/$ref",
      component: lazyRouteComponent(groups, "GroupDetail"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/consumer-groups/$ref/edit",
      component: lazyRouteComponent(groups, "GroupEdit"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/policies",
      validateSearch: listSearch,
      component: lazyRouteComponent(policies, "PolicyList"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/policies/new",
      validateSearch: (search: { kind?: string; service?: string; route?: string } & SearchSchemaInput) =>
        texts(search, "kind", "service", "route"),
      component: lazyRouteComponent(policies, "PolicyNew"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/policies/$ref",
      component: lazyRouteComponent(policies, "PolicyDetail"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/policies/$ref/edit",
      component: lazyRouteComponent(policies, "PolicyEdit"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/nodes",
      component: lazyRouteComponent(nodes, "NodeList"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/changes",
      validateSearch: listSearch,
      component: lazyRouteComponent(revisions, "RevisionList"),
    }),
    createRoute({
      getParentRoute: () => inside,
      path: "/changes/$revision",
      component: lazyRouteComponent(revisions, "RevisionDetail"),
    }),
  ]),
]);

export const router = createRouter({
  routeTree: tree,
  basepath: "/ui",
  defaultPreload: "intent",
  scrollRestoration: true,
  defaultPendingComponent: () => (
    <Center h={240}>
      <Loader size="sm" aria-label="Loading" />
    </Center>
  ),
  defaultErrorComponent: ({ error, reset }) => <ProblemAlert error={error} again={reset} />,
  defaultNotFoundComponent: () => (
    <Empty
      title="There is no such page"
      action={
        <Button variant="default" renderRoot={(props) => <Link {...props} to="/" />}>
          Home
        </Button>
      }
    >
      The address may be mistyped, or from another version of Tidegate.
    </Empty>
  ),
});

// A session that ends while a page is open leads back to signing in, and from there to the page.
cache.getQueryCache().subscribe((event) => {
  if (event.type === "updated" && event.query.queryKey[0] === "session" && event.query.state.data === null) {
    router.invalidate();
  }
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
