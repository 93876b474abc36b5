//! Finds the route of a request.
//!
//! Hosts lead to trees of path segments; each node holds the routes that end there. A look-up offers the routes that fit in the
//! order of precedence and takes the first one that also takes method, headers and query; a later one only goes before it by a
//! higher priority. It costs by the length of host and path and by the templates and expressions that begin as the path does,
//! not by the number of routes.

mod children;
mod entry;
mod node;
mod search;
mod tree;

use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use tidegate_model::HostPattern;
use tidegate_policy::Captures;

use self::children::Table;
use self::search::Search;
use self::tree::Tree;
use crate::CompiledRoute;
use crate::path::CompiledPath;

/// All routes by host.
#[derive(Clone, Default)]
pub(crate) struct Router {
    exact: Table<Box<str>, Arc<Tree>>,
    /// By the suffix that a host must end in, after a dot.
    below: Table<Box<str>, Arc<Tree>>,
    any: Arc<Tree>,
}

/// What of a request says which route takes it.
#[derive(Clone, Copy)]
pub struct Requested<'r> {
    /// In lower case and without port.
    pub host: Option<&'r str>,
    /// The method.
    pub method: &'r Method,
    /// Canonical ([`tidegate_model::canonical_path`]).
    pub path: &'r str,
    /// As it came, without its `?`.
    pub query: Option<&'r str>,
    /// As the gate let them in.
    pub headers: &'r HeaderMap,
}

/// What was found for a request.
pub enum Lookup<'a> {
    /// This route.
    Found(Found<'a>),
    /// Routes take all of this request but its method; these methods they take, as `Allow` lists them.
    MethodNotAllowed(String),
    /// No route takes it.
    NotFound,
}

/// A route that takes the request.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The route.
    pub route: &'a Arc<CompiledRoute>,
    /// Which of its paths; none for a route that takes any.
    path: Option<&'a CompiledPath>,
    /// It does not take the method of the request, a preflight which it answers.
    pub for_preflight: bool,
}

impl Found<'_> {
    /// How many bytes of the path its prefix took: what is left starts with `/` or is empty.
    pub fn prefix(&self) -> usize {
        self.path.map_or(0, CompiledPath::prefix)
    }

    /// What it captures of the path, which is that of the request. Allocates nothing where there is nothing.
    pub fn captures(&self, target: &PathAndQuery) -> Captures {
        self.path.map_or_else(Captures::default, |path| path.captures(target))
    }
}

impl Router {
    pub(crate) fn insert(&mut self, route: &Arc<CompiledRoute>) {
        self.each_tree(route, |tree| tree.insert(route));
    }

    pub(crate) fn remove(&mut self, route: &Arc<CompiledRoute>) {
        self.each_tree(route, |tree| tree.remove(route));
        for host in &route.hosts {
            let (table, name) = match host {
                HostPattern::Exact(name) => (&mut self.exact, name),
                HostPattern::Below(name) => (&mut self.below, name),
            };
            if table.get(name).is_some_and(|tree| tree.is_empty()) {
                table.remove(name);
            }
        }
    }

    fn each_tree(&mut self, route: &CompiledRoute, mut act: impl FnMut(&mut Tree)) {
        if route.hosts.is_empty() {
            act(Arc::make_mut(&mut self.any));
        }
        for (at, host) in route.hosts.iter().enumerate() {
            if route.hosts[..at].contains(host) {
                continue;
            }
            let tree = match host {
                HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
                HostPattern::Below(name) => self.below.entry(name.clone()).or_default(),
            };
            act(Arc::make_mut(tree));
        }
    }

    pub(crate) fn find<'a>(&'a self, requested: &Requested<'_>) -> Lookup<'a> {
        if *requested.method == Method::OPTIONS
            && let Some(found) = self.of_preflight(requested)
        {
            return Lookup::Found(found);
        }
        match self.best(requested) {
            Some(found) => Lookup::Found(found),
            None => self.other_methods(requested),
        }
    }

    #[inline]
    fn best<'a>(&'a self, requested: &Requested<'_>) -> Option<Found<'a>> {
        let mut search = Search::best(requested);
        self.each_host(requested.host, |tree| search.tree(tree));
        search.found()
    }

    /// The route that the request would take which a preflight asks about, if it answers preflights.
    #[cold]
    fn of_preflight<'a>(&'a self, requested: &Requested<'_>) -> Option<Found<'a>> {
        requested.headers.get(ORIGIN)?;
        let asked = requested.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let asked = Method::from_bytes(asked.as_bytes()).ok()?;
        let found = self.best(&Requested { method: &asked, ..*requested })?;
        let for_preflight = !found.route.takes(requested.method);
        found.route.chain.answers_preflights().then_some(Found { for_preflight, ..found })
    }

    #[cold]
    fn other_methods(&self, requested: &Requested<'_>) -> Lookup<'_> {
        let mut search = Search::methods(requested);
        self.each_host(requested.host, |tree| search.tree(tree));
        let methods = search.allowed();
        if methods.is_empty() { Lookup::NotFound } else { Lookup::MethodNotAllowed(methods.join(", ")) }
    }

    /// The trees that a host leads to, the most specific one first.
    #[inline]
    fn each_host<'a>(&'a self, host: Option<&str>, mut look: impl FnMut(&'a Tree)) {
        if let Some(host) = host {
            if let Some(tree) = self.exact.get(host) {
                look(tree);
            }
            if !self.below.is_empty() {
                let mut rest = host;
                while let Some((_, above)) = rest.split_once('.') {
                    if let Some(tree) = self.below.get(above) {
                        look(tree);
                    }
                    rest = above;
                }
            }
        }
        look(&self.any);
    }
}
