//! From one snapshot to the next: rebuilds what a change touches and shares the rest.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;
use tidegate_model::{
    Change, Class, Compose, Delta, GatewayConfig, Id, Kind, Policy, Problem, Problems, Reference, Resource, Route,
    Scope, Service, Spec,
};
use tidegate_policy::{Chain, RouteFacts};

use crate::attachments::{Place, attach, attach_closed};
use crate::compiled::{compile_service, of, readable_match, route_of};
use crate::compose::Composition;
use crate::rewrite::CompiledRedirect;
use crate::{Action, CompiledRoute, Snapshot};

/// The snapshot after a delta. The one function by which nodes take a change and control planes judge one.
///
/// # Errors
/// All that could not be built; nothing of the delta is taken then.
pub fn advance(now: &Snapshot, delta: &Delta) -> Result<Snapshot, Vec<Problem>> {
    let (mut next, problems) = apply(now, delta, Mode::Strict);
    if !problems.is_empty() {
        return Err(problems);
    }
    next.moved_to(delta.class, delta.to);
    Ok(next)
}

/// What happens to what can't be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is a problem; the result is not used.
    Strict,
    /// It is a problem, and what it would have served answers 503.
    CloseWhatFails,
}

pub(crate) fn apply(now: &Snapshot, delta: &Delta, mode: Mode) -> (Snapshot, Vec<Problem>) {
    let changes = &delta.changes;
    let (config, mut problems) = now.config.with_what_reads(changes);
    if mode == Mode::Strict {
        if problems.is_empty() {
            problems = config.dangling(changes, &[Class::Traffic]);
        }
        if !problems.is_empty() {
            return (now.clone(), problems);
        }
    }
    let mut next = now.clone();
    if changes.iter().any(|change| change.kind.class() == Class::Identity) {
        let (identity, found) = now.identity.advance(&now.config, &config, changes);
        next.identity = Arc::new(identity);
        // a node that is sent two of one custom id, from before that was refused, must still take what else comes
        let is_told = |problem: &Problem| delta.class.is_none() || problem.pointer != "/custom_id";
        problems.extend(found.into_iter().filter(is_told));
    }
    next.config = config;
    let mut step = Step { next, changes, mode, problems, dirty: BTreeSet::new() };
    step.services();
    step.policies();
    step.routes();
    (step.next, step.problems)
}

struct Step<'a> {
    next: Snapshot,
    changes: &'a [Change],
    mode: Mode,
    problems: Vec<Problem>,
    /// Routes to build anew.
    dirty: BTreeSet<Id>,
}

impl Step<'_> {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.kind == kind)
    }

    fn routes_of(config: &GatewayConfig, service: Id) -> impl Iterator<Item = Id> + '_ {
        config.referrers_of(Kind::Route, service).map(|route| route.id)
    }

    fn services(&mut self) {
        let mut touched: BTreeSet<Id> = self.of(Kind::Service).map(|change| change.id).collect();
        for change in self.of(Kind::Upstream) {
            touched.extend(self.next.config.referrers_of(Kind::Service, change.id).map(|service| service.id));
        }
        for id in touched {
            let compiled = match self.next.config.get(Kind::Service, id).cloned() {
                None => None,
                Some(resource) => match &resource.spec {
                    Spec::Service(service) => self.service(&resource, service),
                    _ => None,
                },
            };
            match compiled {
                Some(service) => self.next.services.insert(id, service),
                None => self.next.services.remove(&id),
            };
            self.dirty.extend(Self::routes_of(&self.next.config, id));
        }
    }

    fn service(&mut self, resource: &Resource, service: &Service) -> Option<Arc<crate::CompiledService>> {
        match compile_service(&self.next.config, resource, service) {
            Ok(service) => Some(Arc::new(service)),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    fn policies(&mut self) {
        let changed: Vec<&Change> = self.changes.iter().filter(|change| change.kind == Kind::Policy).collect();
        for change in &changed {
            if let Some(spot) = self.next.attachments.remove(change.id) {
                self.touch(spot.place, spot.who);
            }
        }
        for change in &changed {
            let Some(state) = &change.after else { continue };
            let attached = match self.next.config.get(Kind::Policy, change.id).cloned() {
                // its document could not be read, which was told already
                None if self.mode == Mode::CloseWhatFails => Some(attach_closed(
                    change.id,
                    state.name.as_ref().map_or("", |n| n.as_str()),
                    &readable_scope(&state.document),
                )),
                None => None,
                Some(resource) => match &resource.spec {
                    Spec::Policy(policy) if policy.enabled != Some(false) => self.policy(&resource, policy),
                    _ => None,
                },
            };
            if let Some(attached) = attached {
                self.touch(attached.spot.place, attached.spot.who);
                self.next.attachments.insert(attached);
            }
        }
    }

    fn policy(&mut self, resource: &Resource, policy: &Policy) -> Option<crate::attachments::Attached> {
        let problems = match attach(&self.next.registry, resource, policy) {
            Ok(attached) => match self.next.attachments.rival(&attached) {
                None => return Some(attached),
                Some(rival) => {
                    let mut problems = Problems::new();
                    let detail = format!(
                        "policy `{}` is a `{}` with the very same scope; one of them would never act",
                        rival.name, rival.kind
                    );
                    problems.add_at("scope", "conflict", detail);
                    problems.into_vec()
                }
            },
            Err(problems) => problems,
        };
        self.problems.extend(problems.into_iter().map(|problem| of(problem, resource)));
        (self.mode == Mode::CloseWhatFails).then(|| attach_closed(resource.id, &resource.label(), &policy.scope))
    }

    /// Marks the routes that a policy reaches. Those for consumers and groups are found at the request and touch none.
    fn touch(&mut self, place: Place, who: Option<Id>) {
        if who.is_some() {
            return;
        }
        match place {
            Place::Everywhere => self.dirty.extend(self.next.routes.keys().copied()),
            Place::Service(id) => self.dirty.extend(Self::routes_of(&self.next.config, id)),
            Place::Route(id) => {
                self.dirty.insert(id);
            }
        }
    }

    fn routes(&mut self) {
        let changed: Vec<Id> = self.of(Kind::Route).map(|change| change.id).collect();
        self.dirty.extend(changed);
        let mut chains: HashMap<Option<Id>, Arc<Chain>> = HashMap::new();
        for id in std::mem::take(&mut self.dirty) {
            if let Some(old) = self.next.routes.remove(&id) {
                self.next.router.remove(&old);
            }
            let compiled = match self.next.config.get(Kind::Route, id).cloned() {
                Some(resource) => self.route(&resource, &mut chains),
                None if self.mode == Mode::CloseWhatFails => self.unreadable_route(id),
                None => None,
            };
            if let Some(route) = compiled {
                let route = Arc::new(route);
                self.next.router.insert(&route);
                self.next.routes.insert(id, route);
            }
        }
    }

    /// `Err` is the route as it is served in the place of one that can't be built, if at all.
    fn composition(
        &mut self,
        resource: &Resource,
        route: &Route,
        compose: &Compose,
    ) -> Result<Composition, Option<Box<CompiledRoute>>> {
        for (name, step) in &compose.steps {
            if step.service.id().and_then(|id| self.next.services.get(&id)).is_none() {
                return Err(self
                    .without_service(resource, route, &step.service, &format!("compose/steps/{name}/service"))
                    .map(Box::new));
            }
        }
        Composition::compile(compose, &self.next.services).map_err(|problems| {
            self.problems.extend(problems.into_iter().map(|problem| of(problem, resource)));
            self.closed(resource, route, "its composition can't be built on this node").map(Box::new)
        })
    }

    /// A route that can't be built: closed, where what can be built serves.
    fn closed(&self, resource: &Resource, route: &Route, why: &str) -> Option<CompiledRoute> {
        let priority = route.priority.unwrap_or(0);
        (self.mode == Mode::CloseWhatFails)
            .then(|| CompiledRoute::closed(resource.id, &resource.label(), &route.matches, priority, why))
    }

    fn route(&mut self, resource: &Resource, chains: &mut HashMap<Option<Id>, Arc<Chain>>) -> Option<CompiledRoute> {
        let route = route_of(resource)?;
        let action = match (&route.service, &route.redirect) {
            (Some(reference), _) => match reference.id().and_then(|id| self.next.services.get(&id)) {
                Some(service) => Action::Forward(service.clone()),
                None => return self.without_service(resource, route, reference, "service"),
            },
            (None, Some(redirect)) => Action::Redirect(CompiledRedirect::new(redirect)),
            (None, None) => match &route.compose {
                Some(compose) => match self.composition(resource, route, compose) {
                    Ok(composition) => Action::Compose(composition),
                    Err(closed) => return closed.map(|route| *route),
                },
                // a document is read only if it has one of them
                None => Action::Closed("it leads nowhere".into()),
            },
        };
        let service = match &action {
            Action::Forward(service) => Some(service.id),
            Action::Redirect(_) | Action::Compose(_) | Action::Closed(_) => None,
        };
        let facts = RouteFacts { route: resource.id, service };
        let build = || Arc::new(Chain::new(self.next.attachments.of_route(facts)));
        let chain = if self.next.attachments.has_own(resource.id) {
            build()
        } else {
            chains.entry(service).or_insert_with(build).clone()
        };
        Some(CompiledRoute::new(resource, route, facts, action, chain))
    }

    /// A route of which a service is not there.
    fn without_service(
        &mut self,
        resource: &Resource,
        route: &Route,
        service: &Reference,
        at: &str,
    ) -> Option<CompiledRoute> {
        // a strict step has told by now what is wrong with the service
        if self.mode == Mode::Strict {
            return None;
        }
        let mut problems = Problems::new();
        problems.add("not_found", format!("service `{service}` is not there or can't be built"));
        for mut problem in problems.into_vec() {
            problem.pointer = format!("/{at}");
            self.problems.push(of(problem, resource));
        }
        self.closed(resource, route, "its service can't be built on this node")
    }

    fn unreadable_route(&self, id: Id) -> Option<CompiledRoute> {
        let state = self.of(Kind::Route).find(|change| change.id == id)?.after.as_ref()?;
        let document: Value = serde_json::from_str(&state.document).unwrap_or_default();
        let (matches, priority) = readable_match(&document);
        let name = state.name.as_ref().map_or("", |name| name.as_str());
        Some(CompiledRoute::closed(id, name, &matches, priority, "it can't be read on this node"))
    }
}

/// The scope of a policy whose document can't be read; everywhere if that can't be read either.
fn readable_scope(document: &str) -> Scope {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    document.get("scope").cloned().and_then(|scope| serde_json::from_value(scope).ok()).unwrap_or_default()
}
