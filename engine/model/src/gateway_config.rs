//! All resources at a revision: the fold of the log.

use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};
use serde_json::Value;

use crate::{
    AsSpec, Change, Class, ConfigSchemas, Digest, Id, Kind, Name, Problem, Problems, Reference, Resource, Spec, State,
    visit_references,
};

/// All resources at a revision.
///
/// A persistent value: a copy is cheap and shares what did not change, so that the former configuration stays whole while
/// the next is judged.
#[derive(Debug, Clone, Default)]
pub struct GatewayConfig {
    tables: [Table; Kind::ALL.len()],
    /// Who points at what: (target, kind and id of the one that points).
    referrers: OrdSet<(Id, Kind, Id)>,
    digests: [Digest; 3],
    /// Tell what configs of policies point at.
    configs: ConfigSchemas,
}

#[derive(Debug, Clone, Default)]
struct Table {
    by_id: OrdMap<Id, Arc<Resource>>,
    by_name: HashMap<Name, Id>,
}

impl GatewayConfig {
    /// Nothing at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing at all; what configs of policies point at is told by these schemas.
    pub fn knowing(configs: ConfigSchemas) -> Self {
        GatewayConfig { configs, ..Self::default() }
    }

    /// The configuration after some changes. Documents are read and checked one by one; what they say of each other is
    /// checked by [`GatewayConfig::dangling`].
    ///
    /// # Errors
    /// All the problems; `self` is as it was.
    pub fn with(&self, changes: &[Change]) -> Result<GatewayConfig, Vec<Problem>> {
        let (next, problems) = self.with_what_reads(changes);
        if problems.is_empty() { Ok(next) } else { Err(problems) }
    }

    /// The configuration after those of the changes that can be read; the others are told, and leave nothing behind.
    pub fn with_what_reads(&self, changes: &[Change]) -> (GatewayConfig, Vec<Problem>) {
        let mut next = self.clone();
        let mut problems = Vec::new();
        // names are given up before they are taken, so that a swap of two names is a change like any other
        for change in changes {
            next.remove(change.kind, change.id);
        }
        for change in changes {
            let Some(state) = &change.after else { continue };
            match read(change, state) {
                Ok(resource) => problems.extend(next.insert(resource)),
                Err(found) => {
                    problems.extend(found.into_iter().map(|p| p.of(change.kind, change.id, state.name.as_ref())))
                }
            }
        }
        (next, problems)
    }

    fn remove(&mut self, kind: Kind, id: Id) {
        let Some(old) = self.tables[kind as usize].by_id.remove(&id) else { return };
        if let Some(name) = &old.name {
            self.tables[kind as usize].by_name.remove(name);
        }
        for target in self.targets(&old.spec) {
            self.referrers.remove(&(target, kind, id));
        }
        let digest = &mut self.digests[kind.class() as usize];
        *digest = digest.without(kind, id, &state_of(&old));
    }

    fn insert(&mut self, resource: Resource) -> Option<Problem> {
        let (kind, id) = (resource.kind(), resource.id);
        if let Some(name) = &resource.name {
            let other = self.tables[kind as usize].by_name.insert(name.clone(), id);
            if other.is_some_and(|other| other != id) {
                let mut problems = Problems::new();
                problems.add_at("name", "name_taken", format!("there is another {kind} `{name}`"));
                return problems.into_vec().pop().map(|p| p.of(kind, id, Some(name)));
            }
        }
        for target in self.targets(&resource.spec) {
            self.referrers.insert((target, kind, id));
        }
        let digest = &mut self.digests[kind.class() as usize];
        *digest = digest.with(kind, id, &state_of(&resource));
        self.tables[kind as usize].by_id.insert(id, Arc::new(resource));
        None
    }

    /// References of these resources, and to those of them that are gone, that point at nothing: as far as they point at
    /// kinds of these classes.
    pub fn dangling(&self, changes: &[Change], classes: &[Class]) -> Vec<Problem> {
        let mut problems = Vec::new();
        for change in changes {
            match self.get(change.kind, change.id) {
                Some(resource) => problems.extend(self.dangling_of(resource, classes)),
                None => {
                    for referrer in self.referrers(change.id) {
                        problems.extend(self.dangling_of(referrer, classes));
                    }
                }
            }
        }
        problems
    }

    fn dangling_of(&self, resource: &Resource, classes: &[Class]) -> Vec<Problem> {
        let missing = |kind: Kind, reference: &Reference| {
            classes.contains(&kind.class()) && reference.id().and_then(|id| self.get(kind, id)).is_none()
        };
        let problem = |pointer: String, kind: Kind, reference: &Reference| {
            let mut problems = Problems::new();
            problems.add("not_found", format!("there is no {kind} `{reference}`"));
            let mut problem = problems.into_vec().remove(0).of(resource.kind(), resource.id, resource.name.as_ref());
            problem.pointer = pointer;
            problem
        };
        let own = resource.spec.references();
        let own = own.into_iter().filter(|(_, kind, reference)| missing(*kind, reference));
        let own = own.map(|(pointer, kind, reference)| problem(pointer, kind, reference));
        let of_config = self.of_config(&resource.spec).into_iter();
        let of_config = of_config.filter(|(_, kind, reference)| missing(*kind, reference));
        own.chain(of_config.map(|(pointer, kind, reference)| problem(pointer, kind, &reference))).collect()
    }

    /// What a document points at.
    fn targets(&self, spec: &Spec) -> Vec<Id> {
        let own = spec.references().into_iter().filter_map(|(_, _, reference)| reference.id());
        own.chain(self.of_config(spec).into_iter().filter_map(|(_, _, reference)| reference.id())).collect()
    }

    /// What the config of a policy points at.
    fn of_config(&self, spec: &Spec) -> Vec<(String, Kind, Reference)> {
        let mut found = Vec::new();
        if let Spec::Policy(policy) = spec
            && !policy.config.is_empty()
            && let Some(schema) = self.configs.of(&policy.kind)
        {
            let mut config = Value::Object(policy.config.clone());
            visit_references(schema, &mut config, &self.configs, &mut |pointer, kind, text| {
                let reference = text.as_str().and_then(|text| text.parse().ok());
                found.extend(reference.map(|reference| (format!("/config{pointer}"), kind, reference)));
            });
        }
        found
    }

    /// One resource.
    pub fn get(&self, kind: Kind, id: Id) -> Option<&Arc<Resource>> {
        self.tables[kind as usize].by_id.get(&id)
    }

    /// One resource by its name.
    pub fn by_name(&self, kind: Kind, name: &Name) -> Option<&Arc<Resource>> {
        self.get(kind, *self.tables[kind as usize].by_name.get(name)?)
    }

    /// One resource, however it is pointed at.
    pub fn find(&self, kind: Kind, reference: &Reference) -> Option<&Arc<Resource>> {
        match reference {
            Reference::Id(id) => self.get(kind, *id),
            Reference::Name(name) => self.by_name(kind, name),
        }
    }

    /// What a resource says, if it is there.
    pub fn spec<T: AsSpec>(&self, id: Id) -> Option<&T> {
        T::of(&self.get(T::KIND, id)?.spec)
    }

    /// All of a kind, by age.
    pub fn all(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &Arc<Resource>> + '_ {
        self.tables[kind as usize].by_id.values()
    }

    /// Those of a kind that are younger than one, by age.
    pub fn after(&self, kind: Kind, id: Id) -> impl Iterator<Item = &Arc<Resource>> + '_ {
        use std::ops::Bound::{Excluded, Unbounded};
        self.tables[kind as usize].by_id.range((Excluded(id), Unbounded)).map(|(_, resource)| resource)
    }

    /// How many of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.tables[kind as usize].by_id.len()
    }

    /// Those that point at a resource.
    pub fn referrers(&self, target: Id) -> impl Iterator<Item = &Arc<Resource>> + '_ {
        let (low, high) = (Id::new(uuid::Uuid::nil()), Id::new(uuid::Uuid::max()));
        self.referrers
            .range((target, Kind::Service, low)..=(target, Kind::Node, high))
            .filter_map(|(_, kind, id)| self.get(*kind, *id))
    }

    /// Those of a kind that point at a resource.
    pub fn referrers_of(&self, kind: Kind, target: Id) -> impl Iterator<Item = &Arc<Resource>> + '_ {
        let (low, high) = (Id::new(uuid::Uuid::nil()), Id::new(uuid::Uuid::max()));
        self.referrers
            .range((target, kind, low)..=(target, kind, high))
            .filter_map(|(_, kind, id)| self.get(*kind, *id))
    }

    /// What a class adds up to.
    pub fn digest(&self, class: Class) -> Digest {
        self.digests[class as usize]
    }

    /// Everything of some classes as changes that make it from nothing: a snapshot, referenced kinds first.
    pub fn states<'a>(&'a self, classes: &'a [Class]) -> impl Iterator<Item = Change> + 'a {
        let kinds = Kind::ALL.into_iter().filter(|kind| classes.contains(&kind.class()));
        kinds.flat_map(|kind| self.all(kind)).map(|resource| change_of(resource))
    }
}

fn read(change: &Change, state: &State) -> Result<Resource, Vec<Problem>> {
    let document: Value = serde_json::from_str(&state.document).map_err(|error| {
        let mut problems = Problems::new();
        problems.add("invalid", format!("the document is not JSON: {error}"));
        problems.into_vec()
    })?;
    let spec = Spec::decode(change.kind, &document)?;
    Ok(Resource {
        id: change.id,
        name: state.name.clone(),
        revision: state.revision,
        created_at: state.created_at,
        updated_at: state.updated_at,
        document: state.document.clone(),
        spec,
    })
}

fn state_of(resource: &Resource) -> State {
    State {
        name: resource.name.clone(),
        revision: resource.revision,
        created_at: resource.created_at,
        updated_at: resource.updated_at,
        document: resource.document.clone(),
    }
}

/// The change that makes a resource what it is.
pub fn change_of(resource: &Resource) -> Change {
    Change { kind: resource.kind(), id: resource.id, after: Some(state_of(resource)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;
    use uuid::Uuid;

    fn id(n: u128) -> Id {
        Id::new(Uuid::from_u128(n))
    }

    fn put(kind: Kind, n: u128, name: &str, document: &str) -> Change {
        let at = Instant::from_millis(0);
        let state =
            State { name: name.parse().ok(), revision: 1, created_at: at, updated_at: at, document: document.into() };
        Change { kind, id: id(n), after: Some(state) }
    }

    fn delete(kind: Kind, n: u128) -> Change {
        Change { kind, id: id(n), after: None }
    }

    fn orders() -> GatewayConfig {
        let route = format!(r#"{{"service":"{}"}}"#, id(1));
        GatewayConfig::new()
            .with(&[put(Kind::Service, 1, "orders", r#"{"url":"http://a"}"#), put(Kind::Route, 2, "orders", &route)])
            .expect("it is right")
    }

    #[test]
    fn a_reference_to_nothing_is_told_by_the_one_that_points() {
        let changes = [delete(Kind::Service, 1)];
        let next = orders().with(&changes).expect("each document is right");
        let problems = next.dangling(&changes, &[Class::Traffic]);
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].pointer.as_str(), &*problems[0].code), ("/service", "not_found"));
        assert_eq!(problems[0].resource.as_ref().map(|r| r.kind), Some(Kind::Route));
        assert!(orders().dangling(&[], &[Class::Traffic]).is_empty());
    }

    #[test]
    fn names_may_be_swapped_but_not_shared() {
        let two =
            [put(Kind::Service, 1, "a", r#"{"url":"http://a"}"#), put(Kind::Service, 2, "b", r#"{"url":"http://b"}"#)];
        let config = GatewayConfig::new().with(&two).expect("two services");
        let swapped =
            [put(Kind::Service, 1, "b", r#"{"url":"http://a"}"#), put(Kind::Service, 2, "a", r#"{"url":"http://b"}"#)];
        let config = config.with(&swapped).expect("swapped");
        assert_eq!(config.by_name(Kind::Service, &"a".parse().expect("a name")).map(|r| r.id), Some(id(2)));
        let taken = config.with(&[put(Kind::Service, 3, "a", r#"{"url":"http://c"}"#)]).expect_err("taken");
        assert_eq!(taken[0].code, "name_taken");
    }

    #[test]
    fn the_digest_does_not_depend_on_the_way() {
        let way = orders().with(&[put(Kind::Service, 7, "x", r#"{"url":"http://x"}"#)]).expect("right");
        let back = way.with(&[delete(Kind::Service, 7)]).expect("right");
        assert_eq!(back.digest(Class::Traffic), orders().digest(Class::Traffic));
        assert_ne!(way.digest(Class::Traffic), orders().digest(Class::Traffic));
        let changes: Vec<Change> = way.states(&[Class::Traffic]).collect();
        let again = GatewayConfig::new().with(&changes).expect("right");
        assert_eq!(again.digest(Class::Traffic), way.digest(Class::Traffic));
    }
}
