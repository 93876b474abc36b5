//! Finds the route of a request.
//!
//! Hosts lead to trees of path segments; each node holds the routes that end there. A look-up walks one path through at most a
//! few trees. The trees are persistent: a change copies the nodes from the root to the place it touches and shares the rest.

use std::sync::Arc;

use http::Method;
use imbl::HashMap;
use tidegate_model::{HostPattern, PathRule};

use crate::CompiledRoute;

/// All routes by host.
#[derive(Clone, Default)]
pub(crate) struct Router {
    exact: HashMap<Box<str>, Node>,
    /// By the suffix that a host must end in, after a dot.
    below: HashMap<Box<str>, Node>,
    any: Node,
}

/// What was found for a request.
pub enum Lookup<'a> {
    /// This route.
    Found(Found<'a>),
    /// Routes take this host and path, but with these methods only, as `Allow` lists them.
    MethodNotAllowed(String),
    /// No route takes this host and path.
    NotFound,
}

/// A route that takes the request.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The route.
    pub route: &'a Arc<CompiledRoute>,
    /// How many bytes of the path its prefix took: what is left starts with `/` or is empty.
    pub prefix: usize,
}

/// A place in a path.
#[derive(Clone, Default)]
struct Node {
    children: HashMap<Box<str>, Arc<Node>>,
    /// Routes that take exactly this path.
    exact: Routes,
    /// Routes that take this path and all below it.
    prefix: Routes,
    /// Routes that take all below this path, not the path itself: their prefix was written with a `/` at its end.
    below: Routes,
    /// Routes that take any path; only at the root.
    any: Routes,
}

/// Routes that end at one place, the first one first.
type Routes = Vec<Arc<CompiledRoute>>;

#[derive(Clone, Copy)]
enum Place {
    Exact,
    Prefix,
    Below,
    Any,
}

impl Router {
    pub(crate) fn insert(&mut self, route: &Arc<CompiledRoute>) {
        self.each_place(route, |tree, path, place| tree.insert(path, place, route));
    }

    pub(crate) fn remove(&mut self, route: &Arc<CompiledRoute>) {
        self.each_place(route, |tree, path, place| tree.remove(path, place, route));
        for host in &route.hosts {
            let (table, name) = match host {
                HostPattern::Exact(name) => (&mut self.exact, name),
                HostPattern::Below(name) => (&mut self.below, name),
            };
            if table.get(name).is_some_and(Node::is_empty) {
                table.remove(name);
            }
        }
    }

    fn each_place(&mut self, route: &CompiledRoute, mut act: impl FnMut(&mut Node, &str, Place)) {
        let mut each_path = |tree: &mut Node| {
            if route.paths.is_empty() {
                act(tree, "", Place::Any);
            }
            for rule in &route.paths {
                match rule {
                    PathRule::Exact(path) => act(tree, &path.as_str()[1..], Place::Exact),
                    PathRule::Prefix(path) => match path.as_str() {
                        "/" => act(tree, "", Place::Prefix),
                        path => match path.strip_suffix('/') {
                            Some(above) => act(tree, &above[1..], Place::Below),
                            None => act(tree, &path[1..], Place::Prefix),
                        },
                    },
                }
            }
        };
        if route.hosts.is_empty() {
            each_path(&mut self.any);
        }
        for host in &route.hosts {
            match host {
                HostPattern::Exact(name) => each_path(self.exact.entry(name.clone()).or_default()),
                HostPattern::Below(name) => each_path(self.below.entry(name.clone()).or_default()),
            }
        }
    }

    pub(crate) fn find(&self, host: Option<&str>, method: &Method, path: &str) -> Lookup<'_> {
        let mut search = Search { method, path, best: None, others: Vec::new() };
        if let Some(host) = host {
            if let Some(tree) = self.exact.get(host) {
                search.walk(tree);
            }
            if !self.below.is_empty() {
                let mut rest = host;
                while let Some((_, above)) = rest.split_once('.') {
                    if let Some(tree) = self.below.get(above) {
                        search.walk(tree);
                    }
                    rest = above;
                }
            }
        }
        search.walk(&self.any);
        search.outcome()
    }
}

/// One look-up: hosts are walked from the most specific on.
struct Search<'a, 'r> {
    method: &'r Method,
    path: &'r str,
    best: Option<Found<'a>>,
    /// Routes that would take another method.
    others: Vec<&'a Arc<CompiledRoute>>,
}

impl<'a> Search<'a, '_> {
    fn walk(&mut self, tree: &'a Node) {
        // the best of this host; of another host only a higher priority goes before it
        let mut best: Option<Found<'a>> = None;
        self.offer(&tree.any, 0, &mut best);
        let mut node = tree;
        let mut at = 0;
        loop {
            self.offer(&node.prefix, at, &mut best);
            let rest = &self.path[at..];
            let Some(below) = rest.strip_prefix('/') else {
                self.offer(&node.exact, at, &mut best);
                break;
            };
            self.offer(&node.below, at, &mut best);
            let length = below.find('/').unwrap_or(below.len());
            // the root's own exact path is "/", which has one empty segment
            let Some(next) = node.children.get(&below[..length]) else { break };
            node = next;
            at += 1 + length;
        }
        let goes_before = |best: &Found<'a>| self.best.is_none_or(|b| best.route.priority > b.route.priority);
        if let Some(best) = best.filter(goes_before) {
            self.best = Some(best);
        }
    }

    /// Places come from the least specific on, so one of equal priority goes before what was found.
    fn offer(&mut self, routes: &'a Routes, prefix: usize, best: &mut Option<Found<'a>>) {
        match routes.iter().find(|route| route.takes(self.method)) {
            Some(route) if best.is_none_or(|b| route.priority >= b.route.priority) => {
                *best = Some(Found { route, prefix })
            }
            Some(_) => {}
            None => self.others.extend(routes),
        }
    }

    fn outcome(self) -> Lookup<'a> {
        match self.best {
            Some(found) => Lookup::Found(found),
            None if self.others.is_empty() => Lookup::NotFound,
            None => {
                let mut methods: Vec<&str> =
                    self.others.iter().flat_map(|r| r.methods.iter().map(Method::as_str)).collect();
                if methods.contains(&"GET") {
                    methods.push("HEAD");
                }
                methods.sort_unstable();
                methods.dedup();
                Lookup::MethodNotAllowed(methods.join(", "))
            }
        }
    }
}

impl Node {
    /// Inserts at a path without its leading slash. A root's exact path is the empty segment below it.
    fn insert(&mut self, path: &str, place: Place, route: &Arc<CompiledRoute>) {
        let node = match (path, place) {
            ("", Place::Prefix | Place::Any | Place::Below) => self,
            _ => path
                .split('/')
                .fold(self, |node, segment| Arc::make_mut(node.children.entry(segment.into()).or_default())),
        };
        let routes = node.routes(place);
        let key = |r: &CompiledRoute| (-i64::from(r.priority), r.methods.is_empty(), r.facts.route);
        let at = routes.partition_point(|other| key(other) < key(route));
        routes.insert(at, route.clone());
    }

    fn remove(&mut self, path: &str, place: Place, route: &CompiledRoute) {
        match (path, place) {
            ("", Place::Prefix | Place::Any | Place::Below) => {
                self.routes(place).retain(|other| other.slot != route.slot)
            }
            _ => {
                self.remove_below(path, place, route);
            }
        }
    }

    /// Removes below this node and prunes what is left empty; tells whether this node is.
    fn remove_below(&mut self, path: &str, place: Place, route: &CompiledRoute) -> bool {
        let (segment, rest) = path.split_once('/').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
        if let Some(child) = self.children.get_mut(segment) {
            let child = Arc::make_mut(child);
            let empty = match rest {
                Some(rest) => child.remove_below(rest, place, route),
                None => {
                    child.routes(place).retain(|other| other.slot != route.slot);
                    child.is_empty()
                }
            };
            if empty {
                self.children.remove(segment);
            }
        }
        self.is_empty()
    }

    fn routes(&mut self, place: Place) -> &mut Routes {
        match place {
            Place::Exact => &mut self.exact,
            Place::Prefix => &mut self.prefix,
            Place::Below => &mut self.below,
            Place::Any => &mut self.any,
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.exact.is_empty()
            && self.prefix.is_empty()
            && self.below.is_empty()
            && self.any.is_empty()
    }
}
