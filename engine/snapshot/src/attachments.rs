//! Policies where they are attached: by service and route, by consumer and group.

use std::sync::Arc;

use imbl::{HashMap, OrdMap};
use smallvec::SmallVec;
use tidegate_model::{Id, Mode, Policy, Problem, Problems, Resource, Scope};
use tidegate_policy::expression::{Condition, Names};
use tidegate_policy::{
    Answer, Attachment, Behaviour, Blame, Built, Combine, Link, Needs, Overlays, Phase, Principal, Registry, Reply,
    RequestContext, RequestHead, RouteFacts,
};

/// How specific a scope is; of a kind that replaces, the highest wins. Who comes before where: consumer 6, group 3,
/// everyone 0, plus route 2, service 1, everywhere 0.
pub fn specificity(scope: &Scope) -> u8 {
    let who = if scope.consumer.is_some() { 6 } else { 3 * u8::from(scope.group.is_some()) };
    let place = if scope.route.is_some() { 2 } else { u8::from(scope.service.is_some()) };
    who + place
}

/// A scope, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    /// The consumer or group.
    pub(crate) who: Option<Id>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Everywhere,
    Service(Id),
    Route(Id),
}

/// A policy, built, and where.
#[derive(Clone)]
pub(crate) struct Attached {
    pub(crate) spot: Spot,
    pub(crate) link: Arc<Link>,
}

/// All policies that act.
#[derive(Clone, Default)]
pub(crate) struct Attachments {
    all: HashMap<Id, Attached>,
    /// Those for everyone, by place.
    by_place: HashMap<Place, OrdMap<Id, Arc<Link>>>,
    overlays: Arc<OverlayMap>,
}

/// Policies scoped to consumers and groups.
#[derive(Clone, Default)]
pub struct OverlayMap(HashMap<Id, OrdMap<Id, (Place, Arc<Link>)>>);

impl Overlays for OverlayMap {
    fn reaching(&self, principal: &Principal, route: RouteFacts) -> SmallVec<[Arc<Link>; 4]> {
        let mut found = SmallVec::new();
        if self.0.is_empty() {
            return found;
        }
        for who in principal.consumer().map(|consumer| consumer.id).into_iter().chain(principal.groups()) {
            for (place, link) in self.0.get(&who).into_iter().flat_map(OrdMap::values) {
                let reaches = match place {
                    Place::Everywhere => true,
                    Place::Service(id) => Some(*id) == route.service,
                    Place::Route(id) => *id == route.route,
                };
                if reaches {
                    found.push(link.clone());
                }
            }
        }
        found
    }
}

impl Attachments {
    pub(crate) fn overlays(&self) -> &Arc<OverlayMap> {
        &self.overlays
    }

    /// Takes a policy off; tells where it was.
    pub(crate) fn remove(&mut self, policy: Id) -> Option<Spot> {
        let Attached { spot, .. } = self.all.remove(&policy)?;
        match spot.who {
            None => {
                let links = self.by_place.get_mut(&spot.place)?;
                links.remove(&policy);
                if links.is_empty() {
                    self.by_place.remove(&spot.place);
                }
            }
            Some(who) => {
                let map = &mut Arc::make_mut(&mut self.overlays).0;
                let links = map.get_mut(&who)?;
                links.remove(&policy);
                if links.is_empty() {
                    map.remove(&who);
                }
            }
        }
        Some(spot)
    }

    pub(crate) fn insert(&mut self, attached: Attached) {
        let Attached { spot, link } = &attached;
        match spot.who {
            None => {
                self.by_place.entry(spot.place).or_default().insert(link.policy, link.clone());
            }
            Some(who) => {
                let map = &mut Arc::make_mut(&mut self.overlays).0;
                map.entry(who).or_default().insert(link.policy, (spot.place, link.clone()));
            }
        }
        self.all.insert(link.policy, attached);
    }

    /// Another policy of the kind in the very same scope, where one of them would never act.
    pub(crate) fn rival(&self, attached: &Attached) -> Option<&Arc<Link>> {
        if attached.link.combine == Combine::All {
            return None;
        }
        let same = |other: &&Arc<Link>| other.kind == attached.link.kind && other.policy != attached.link.policy;
        match attached.spot.who {
            None => self.by_place.get(&attached.spot.place)?.values().find(same),
            Some(who) => {
                let links = self.overlays.0.get(&who)?.values();
                links.filter(|(place, _)| *place == attached.spot.place).map(|(_, link)| link).find(same)
            }
        }
    }

    /// Those for everyone that reach a route.
    pub(crate) fn of_route(&self, facts: RouteFacts) -> Vec<Arc<Link>> {
        let places = [Some(Place::Everywhere), facts.service.map(Place::Service), Some(Place::Route(facts.route))];
        places.iter().flatten().filter_map(|place| self.by_place.get(place)).flat_map(OrdMap::values).cloned().collect()
    }

    /// Whether a route has policies of its own; else it shares the chain of its service.
    pub(crate) fn has_own(&self, route: Id) -> bool {
        self.by_place.contains_key(&Place::Route(route))
    }

    pub(crate) fn describe(&self) -> impl Iterator<Item = String> + '_ {
        self.all.values().map(|Attached { spot, link }| {
            format!(
                "policy {} `{}` {} at {spot:?} {:?} {}",
                link.policy, link.name, link.kind, link.built.phase, link.specificity
            )
        })
    }
}

/// Builds a policy.
pub(crate) fn attach(registry: &Registry, resource: &Resource, policy: &Policy) -> Result<Attached, Vec<Problem>> {
    let mut problems = Problems::new();
    let Some(kind) = registry.get(&policy.kind) else {
        let known: Vec<String> = registry.names().map(|name| format!("`{name}`")).collect();
        problems.add_at(
            "kind",
            "unknown_kind",
            format!("there is no policy kind `{}`; known: {}", policy.kind, known.join(", ")),
        );
        return Err(problems.into_vec());
    };
    let scope = &policy.scope;
    let for_some = scope.consumer.is_some() || scope.group.is_some();
    let built = match kind.build(&policy.config, &Attachment { policy: resource.id, for_some, registry }) {
        Ok(built) => Some(built),
        Err(found) => {
            problems.within("config", |p| p.extend(found));
            None
        }
    };
    let info = kind.info();
    let field = if scope.consumer.is_some() { "consumer" } else { "group" };
    let early = built.as_ref().is_some_and(|built| built.phase <= Phase::Authenticate);
    if for_some && (!info.by_principal || early) {
        let detail =
            format!("`{}` acts here before it is known who calls, so it can't be scoped to a {field}", info.name);
        problems.within("scope", |p| p.add_at(field, "invalid_scope", detail));
    }
    let when = policy.when.as_deref().and_then(|when| {
        let read = Condition::compile(when, Names::REQUEST);
        read.map_err(|problem| problems.add_at("when", "invalid_expression", problem.to_string())).ok()
    });
    let shadow = policy.mode == Some(Mode::Shadow);
    if shadow && !info.decides {
        let detail = format!("`{}` changes what passes, so it can't run in shadow; use `enabled` or `when`", info.name);
        problems.add_at("mode", "invalid_value", detail);
    }
    let Some(built) = built else { return Err(problems.into_vec()) };
    let attached = Attached {
        spot: spot(scope),
        link: Arc::new(Link {
            policy: resource.id,
            name: resource.label().into(),
            kind: info.name,
            combine: info.combine,
            specificity: specificity(scope),
            on_error: policy.on_error.unwrap_or_default(),
            when,
            shadow,
            built,
        }),
    };
    problems.or(attached)
}

/// A policy that could not be built: everything in its reach is closed. Unknown never means "let it pass".
pub(crate) fn attach_closed(policy: Id, name: &str, scope: &Scope) -> Attached {
    let for_some = scope.consumer.is_some() || scope.group.is_some();
    let built = Built {
        behaviour: Behaviour::Policy(Arc::new(Closed)),
        phase: if for_some { Phase::Authorize } else { Phase::Screen },
        needs: Needs::default(),
    };
    let link = Link {
        policy,
        name: name.into(),
        kind: "closed",
        combine: Combine::All,
        specificity: specificity(scope),
        on_error: tidegate_model::OnError::Deny,
        when: None,
        shadow: false,
        built,
    };
    Attached { spot: spot(scope), link: Arc::new(link) }
}

fn spot(scope: &Scope) -> Spot {
    let id = |reference: &Option<tidegate_model::Reference>| reference.as_ref().and_then(tidegate_model::Reference::id);
    let place = match (id(&scope.route), id(&scope.service)) {
        (Some(route), _) => Place::Route(route),
        (None, Some(service)) => Place::Service(service),
        (None, None) => Place::Everywhere,
    };
    Spot { place, who: id(&scope.consumer).or_else(|| id(&scope.group)) }
}

struct Closed;

impl tidegate_policy::Policy for Closed {
    fn on_request<'a>(&'a self, _: &'a mut RequestHead, _: &'a mut RequestContext) -> Answer<'a> {
        let status = http::StatusCode::SERVICE_UNAVAILABLE;
        Answer::reply(Reply::new(
            status,
            "route_broken",
            "a policy of this route can't be built on this node",
            Blame::Gateway,
        ))
    }
}
