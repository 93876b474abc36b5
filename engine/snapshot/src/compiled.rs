//! Services and routes as requests meet them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Method};
use tidegate_model::{
    Authority, GatewayConfig, HostPattern, Id, Match, Problem, Problems, Protocol, Reference, Resource, Route, Service,
    Spec, Timeouts, Upstream,
};
use tidegate_policy::{Chain, RouteFacts};

use crate::compose::Composition;
use crate::path::CompiledPath;
use crate::predicates::Predicates;
use crate::rewrite::{CompiledRedirect, CompiledRewrite};

/// A service, ready to forward to.
#[derive(Debug, PartialEq, Eq)]
pub struct CompiledService {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: Box<str>,
    /// Where its requests go.
    pub upstream: Arc<CompiledUpstream>,
    /// Put before the path of each request: empty, or starts with `/` and does not end with one.
    pub path_prefix: Box<str>,
    /// What its targets speak.
    pub protocol: Protocol,
    /// What the API sees as Host.
    pub host: HostHeader,
    /// How long each phase may take; what is not set has the node's default.
    pub timeouts: Timeouts,
}

/// What the API sees as Host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostHeader {
    /// What the caller sent.
    Caller,
    /// The address of the target.
    Target,
}

/// Where requests of a service go.
#[derive(Debug, PartialEq, Eq)]
pub struct CompiledUpstream {
    /// The upstream; of a service that has a url of its own, the service. What lives beside the snapshot (connections,
    /// health) is keyed by it.
    pub id: Id,
    /// Its targets.
    pub targets: Box<[CompiledTarget]>,
}

/// One address.
#[derive(Debug, PartialEq, Eq)]
pub struct CompiledTarget {
    /// Host and port.
    pub address: Authority,
    /// Its share of the requests; 0 gets nothing new.
    pub weight: u16,
    /// What it is called in Host.
    pub host_header: HeaderValue,
}

/// A route, ready to serve.
pub struct CompiledRoute {
    /// Its id and that of its service.
    pub facts: RouteFacts,
    /// Its name.
    pub name: Box<str>,
    /// What becomes of a request, once its policies let it pass.
    pub action: Action,
    /// Its policies, in order.
    pub chain: Arc<Chain>,
    /// Whether the prefix that matched is taken off.
    pub strip_prefix: bool,
    /// What the request is called upstream.
    pub rewrite: Option<CompiledRewrite>,
    /// Whether paths with a `;` are taken.
    pub allow_path_parameters: bool,
    /// Of this compiled value alone, never used again in a process: a key for caches of a worker.
    pub slot: u64,
    pub(crate) priority: i32,
    pub(crate) methods: Box<[Method]>,
    pub(crate) hosts: Box<[HostPattern]>,
    pub(crate) paths: Box<[CompiledPath]>,
    pub(crate) predicates: Predicates,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Action {
    /// It goes to this service.
    Forward(Arc<CompiledService>),
    /// The caller is sent elsewhere.
    Redirect(CompiledRedirect),
    /// The gateway calls several services and makes one answer.
    Compose(Composition),
    /// It is answered with 503: the route could not be built, for this reason.
    Closed(Box<str>),
}

static SLOTS: AtomicU64 = AtomicU64::new(0);

impl CompiledRoute {
    pub(crate) fn new(
        resource: &Resource,
        route: &Route,
        facts: RouteFacts,
        action: Action,
        chain: Arc<Chain>,
    ) -> Self {
        CompiledRoute {
            strip_prefix: route.strip_prefix.unwrap_or(false),
            rewrite: route.rewrite.as_ref().map(CompiledRewrite::new),
            allow_path_parameters: route.allow_path_parameters.unwrap_or(false),
            priority: route.priority.unwrap_or(0),
            ..Self::matching(facts, &resource.label(), &route.matches, action, chain)
        }
    }

    /// A route that answers 503: to what it would have matched, as far as that can be read.
    pub(crate) fn closed(id: Id, name: &str, matches: &Match, priority: i32, why: &str) -> Self {
        let facts = RouteFacts { route: id, service: None };
        CompiledRoute { priority, ..Self::matching(facts, name, matches, Action::Closed(why.into()), Arc::default()) }
    }

    fn matching(facts: RouteFacts, name: &str, matches: &Match, action: Action, chain: Arc<Chain>) -> Self {
        let methods = matches.methods.iter().filter_map(|m| Method::from_bytes(m.as_str().as_bytes()).ok());
        CompiledRoute {
            facts,
            name: name.into(),
            action,
            chain,
            strip_prefix: false,
            rewrite: None,
            allow_path_parameters: false,
            slot: SLOTS.fetch_add(1, Ordering::Relaxed),
            priority: 0,
            methods: methods.collect(),
            hosts: matches.hosts.clone().into(),
            paths: matches.paths().map(CompiledPath::new).collect(),
            predicates: Predicates::new(matches),
        }
    }

    /// The service that it leads to, if it leads to one.
    pub fn service(&self) -> Option<&Arc<CompiledService>> {
        match &self.action {
            Action::Forward(service) => Some(service),
            Action::Redirect(_) | Action::Compose(_) | Action::Closed(_) => None,
        }
    }

    /// Whether it takes a method. One that takes `GET` takes `HEAD`.
    pub fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    /// The methods it takes, as `Allow` lists them.
    pub fn allow(&self) -> HeaderValue {
        let mut methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        if self.methods.contains(&Method::GET) && !self.methods.contains(&Method::HEAD) {
            methods.push("HEAD");
        }
        methods.sort_unstable();
        header(&methods.join(", "))
    }

    pub(crate) fn describe(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        let policies: Vec<String> =
            self.chain.links().map(|link| format!("{:?}:{}:{}", link.built.phase, link.kind, link.name)).collect();
        let paths: Vec<_> = self.paths.iter().map(|path| &path.rule).collect();
        format!(
            "route {} `{}` hosts {hosts:?} paths {paths:?} methods {:?} predicates {:?} priority {} strip {} rewrite {:?} `;` {} chain {policies:?} to {:?}",
            self.facts.route,
            self.name,
            self.methods,
            self.predicates,
            self.priority,
            self.strip_prefix,
            self.rewrite,
            self.allow_path_parameters,
            self.action
        )
    }
}

/// Builds a service.
pub(crate) fn compile_service(
    config: &GatewayConfig,
    resource: &Resource,
    service: &Service,
) -> Result<CompiledService, Vec<Problem>> {
    let (upstream, path_prefix) = match (&service.url, &service.upstream) {
        (Some(url), _) => {
            let target =
                CompiledTarget { address: url.authority().clone(), weight: 1, host_header: header(&url.host_header()) };
            (CompiledUpstream { id: resource.id, targets: [target].into() }, url.path_prefix())
        }
        (None, Some(reference)) => {
            let prefix = service.path.as_ref().map_or("", |path| path.as_str().trim_end_matches('/'));
            (compile_upstream(config, reference).map_err(|problem| vec![of(problem, resource)])?, prefix)
        }
        (None, None) => {
            let mut problems = Problems::new();
            problems.add_at("url", "missing_field", "give either `url` or `upstream`");
            return Err(problems.into_vec().into_iter().map(|p| of(p, resource)).collect());
        }
    };
    Ok(CompiledService {
        id: resource.id,
        name: resource.label().into(),
        upstream: Arc::new(upstream),
        path_prefix: path_prefix.into(),
        protocol: service.protocol.unwrap_or_default(),
        host: if service.preserve_host == Some(true) { HostHeader::Caller } else { HostHeader::Target },
        timeouts: service.timeouts.unwrap_or_default(),
    })
}

fn compile_upstream(config: &GatewayConfig, reference: &Reference) -> Result<CompiledUpstream, Problem> {
    let found = reference.id().and_then(|id| Some((id, config.spec::<Upstream>(id)?)));
    let Some((id, upstream)) = found else {
        let mut problems = Problems::new();
        problems.add_at("upstream", "not_found", format!("there is no upstream `{reference}`"));
        return Err(problems.into_vec().remove(0));
    };
    let targets = upstream.targets.iter().map(|target| CompiledTarget {
        address: target.address.clone(),
        weight: target.weight.unwrap_or(1),
        host_header: header(&target.address.to_string()),
    });
    Ok(CompiledUpstream { id, targets: targets.collect() })
}

/// Addresses are of characters that a header takes.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

pub(crate) fn of(problem: Problem, resource: &Resource) -> Problem {
    problem.of(resource.kind(), resource.id, resource.name.as_ref())
}

/// The match of a route whose document can't be read: what can be read of it, the rest taken as wide as can be, so that
/// nothing slips past it to another route.
pub(crate) fn readable_match(document: &serde_json::Value) -> (Match, i32) {
    let part = |name: &str| document.get("match").and_then(|m| m.get(name)).cloned();
    let hosts = part("hosts").and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default();
    let path = part("path").and_then(|v| serde_json::from_value(v).ok());
    let priority = document.get("priority").and_then(serde_json::Value::as_i64).and_then(|p| p.try_into().ok());
    (Match { hosts, path, ..Match::default() }, priority.unwrap_or(0))
}

pub(crate) fn route_of(resource: &Resource) -> Option<&Route> {
    match &resource.spec {
        Spec::Route(route) => Some(route),
        _ => None,
    }
}
