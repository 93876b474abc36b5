//! The snapshot: a value.

use std::fmt::Write;
use std::sync::Arc;

use imbl::HashMap;
use tidegate_model::{Change, Class, Delta, GatewayConfig, Id, Problem};
use tidegate_policy::Registry;

use crate::advance::{Mode, apply};
use crate::attachments::Attachments;
use crate::router::{Requested, Router};
use crate::{CompiledRoute, CompiledService, Identity, Lookup, OverlayMap};

/// How far in the log a snapshot is, by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revisions {
    /// Consumers, groups, credentials.
    pub identity: u64,
    /// Services, routes, upstreams, policies.
    pub traffic: u64,
}

/// All resources at a revision, compiled. Immutable; shares with its predecessor what did not change.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) registry: Registry,
    pub(crate) config: GatewayConfig,
    pub(crate) revisions: Revisions,
    pub(crate) identity: Arc<Identity>,
    pub(crate) services: HashMap<Id, Arc<CompiledService>>,
    pub(crate) routes: HashMap<Id, Arc<CompiledRoute>>,
    pub(crate) router: Router,
    pub(crate) attachments: Attachments,
}

impl Snapshot {
    /// Nothing at all: every request finds no route.
    pub fn empty(registry: Registry) -> Snapshot {
        Snapshot {
            config: GatewayConfig::knowing(registry.schemas()),
            registry,
            revisions: Revisions::default(),
            identity: Arc::default(),
            services: HashMap::new(),
            routes: HashMap::new(),
            router: Router::default(),
            attachments: Attachments::default(),
        }
    }

    /// Builds from nothing all that can be built. A route that can't, or that a policy which can't be built would reach,
    /// answers 503 and is told; the others serve. For a node that boots with nothing better.
    pub fn compile(changes: &[Change], revisions: Revisions, registry: Registry) -> (Snapshot, Vec<Problem>) {
        let delta = Delta { class: None, from: 0, to: 0, changes: changes.to_vec() };
        let (mut snapshot, problems) = apply(&Snapshot::empty(registry), &delta, Mode::CloseWhatFails);
        snapshot.revisions = revisions;
        (snapshot, problems)
    }

    /// The resources it was made of.
    pub fn config(&self) -> &GatewayConfig {
        &self.config
    }

    /// How far in the log it is.
    pub fn revisions(&self) -> Revisions {
        self.revisions
    }

    pub(crate) fn moved_to(&mut self, class: Option<Class>, revision: u64) {
        match class {
            Some(Class::Identity) => self.revisions.identity = revision,
            Some(Class::Traffic) => self.revisions.traffic = revision,
            Some(Class::Control) => {}
            None => self.revisions = Revisions { identity: revision, traffic: revision },
        }
    }

    /// The route of a request. Of all routes that take its host, path, method, headers and query, the one that comes first by:
    ///
    /// 1. `priority`, the higher one;
    /// 2. host: exact, then the longest wildcard, then any host;
    /// 3. path: exact, then a template without `{*rest}`, then an expression, then a prefix or a template with `{*rest}`, then any
    ///    path. Templates and prefixes are compared segment by segment from the left: literal, then parameter, then the rest;
    ///    expressions by their length, the longer one first;
    /// 4. method: routes that name methods before those that take any;
    /// 5. the one that asks more of headers;
    /// 6. the one that asks more of the query;
    /// 7. the older one.
    ///
    /// A preflight of the fetch standard leads to the route that the request would take which it asks about, where that route answers
    /// preflights ([`Chain::answers_preflights`](tidegate_policy::Chain::answers_preflights)), whatever methods it takes.
    ///
    /// A route that takes `GET` takes `HEAD`. Costs by the length of path and host, not by the number of routes.
    pub fn route(&self, requested: &Requested<'_>) -> Lookup<'_> {
        self.router.find(requested)
    }

    /// A route by its id.
    pub fn route_by_id(&self, id: Id) -> Option<&Arc<CompiledRoute>> {
        self.routes.get(&id)
    }

    /// Who is known.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Policies scoped to consumers and groups.
    pub fn overlays(&self) -> &Arc<OverlayMap> {
        self.attachments.overlays()
    }

    /// All of it as text, in a fixed order: for tests that compare, and for people.
    pub fn describe(&self) -> String {
        let mut lines: Vec<String> = self.routes.values().map(|route| route.describe()).collect();
        lines.extend(self.attachments.describe());
        lines.extend(self.identity.describe());
        lines.sort();
        let mut text = String::new();
        for line in lines {
            let written = writeln!(text, "{line}");
            debug_assert!(written.is_ok(), "a String takes all");
        }
        text
    }
}
