//! What a set of changes comes to, on one state of the configuration.
//!
//! Pure: ids, time and sealing are given. The same set is applied again, on a newer state, whenever another writer was faster.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use tidegate_model::{
    Change, GatewayConfig, Id, Instant, Kind, Name, Problem, Problems, Reference, Resource, Role, Spec, State,
    visit_document_references, visit_document_secrets,
};
use tidegate_policy::Registry;

use super::error::{ChangeError, Conflict};
use super::set::{ChangeSet, Expected, ITEMS_MAX, Item, Wish, is_named, read_name};

/// What is needed beside the set and the state.
pub(super) struct Given<'a> {
    /// An id for each item, in case it makes a resource.
    pub(super) ids: &'a [Id],
    /// The revision that will come of it.
    pub(super) revision: u64,
    /// Now.
    pub(super) at: Instant,
    /// The policy kinds, whose configs may hold secrets.
    pub(super) registry: &'a Registry,
    /// Makes what is stored of what an operator wrote as a secret.
    pub(super) seal: &'a (dyn Fn(&str) -> String + Sync),
}

/// What a set comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What is written: the items' in order, then what goes with what is deleted.
    pub(super) changes: Vec<Change>,
    /// What becomes of each item.
    pub(super) effects: Vec<(Id, Effect)>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is new.
    Created,
    /// It is another now.
    Updated,
    /// It was so already.
    Unchanged,
    /// It is gone.
    Deleted,
}

/// An item whose target is known.
struct Aim {
    id: Id,
    old: Option<Arc<Resource>>,
    /// `None` if it is to be deleted.
    new: Option<(Option<Name>, Value)>,
}

pub(super) fn apply(now: &GatewayConfig, set: &ChangeSet, given: &Given<'_>) -> Result<Plan, ChangeError> {
    if set.items.len() > ITEMS_MAX {
        return Err(ChangeError::TooLarge { max: ITEMS_MAX });
    }
    let mut problems = Problems::new();
    let mut aims = Vec::with_capacity(set.items.len());
    for (index, item) in set.items.iter().enumerate() {
        // a document that can't even be aimed at something is told beside what is wrong with the others
        let aim = at_item(&mut problems, set, index, |p| aim(now, item, given.ids[index], p))?;
        aims.push(aim);
    }
    let targets = targets_after(now, set, &aims, &mut problems)?;
    let mut plan = Plan::default();
    for (index, (item, aim)) in set.items.iter().zip(&aims).enumerate() {
        let Some(aim) = aim else { continue };
        let Some((name, document)) = &aim.new else {
            plan.changes.push(Change { kind: item.kind, id: aim.id, after: None });
            plan.effects.push((aim.id, Effect::Deleted));
            continue;
        };
        at_item(&mut problems, set, index, |p| {
            let Some(document) = settle(now, &targets, item.kind, aim, document, given, p) else { return };
            plan.add(item.kind, aim, name.clone(), &document, given);
        });
    }
    if !problems.is_empty() {
        return Err(ChangeError::Invalid(problems.into_vec()));
    }
    cascade(now, &mut plan)?;
    keep_an_admin(now, &plan)?;
    Ok(plan)
}

/// Pointers of a set of one lead into its document, those of a larger one into the set.
fn at_item<T>(problems: &mut Problems, set: &ChangeSet, index: usize, look: impl FnOnce(&mut Problems) -> T) -> T {
    if set.items.len() == 1 { look(problems) } else { problems.within("changes", |p| p.within(index, look)) }
}

/// Finds the resource that is meant, and what is wanted of it before it is looked at closely.
fn aim(now: &GatewayConfig, item: &Item, fresh: Id, problems: &mut Problems) -> Result<Option<Aim>, ChangeError> {
    let old = item.wish.target().and_then(|target| now.find(item.kind, target)).cloned();
    check_expected(item, old.as_deref())?;
    let missing = |reference: &Reference| ChangeError::NotFound { kind: item.kind, reference: reference.clone() };
    let (id, document) = match &item.wish {
        Wish::Create(document) => (fresh, document.clone()),
        Wish::Put(Reference::Id(id), document) => {
            if let Some(kind) = Kind::ALL.into_iter().find(|kind| *kind != item.kind && now.get(*kind, *id).is_some()) {
                return Err(Conflict::IdTaken(*id, kind).into());
            }
            (*id, document.clone())
        }
        Wish::Put(Reference::Name(_), document) => (old.as_ref().map_or(fresh, |old| old.id), document.clone()),
        Wish::Patch(target, patch) => {
            let old = old.as_ref().ok_or_else(|| missing(target))?;
            if !patch.is_object() {
                problems.add("wrong_type", "must be an object");
                return Ok(None);
            }
            let mut document = stored_document(old);
            merge(&mut document, patch);
            (old.id, document)
        }
        Wish::Delete(target) => {
            let old = old.ok_or_else(|| missing(target))?;
            return Ok(Some(Aim { id: old.id, old: Some(old), new: None }));
        }
    };
    let Value::Object(mut document) = document else {
        problems.add("wrong_type", "must be an object");
        return Ok(None);
    };
    for added in ["id", "revision", "created_at", "updated_at"] {
        document.shift_remove(added);
    }
    let name = if is_named(item.kind) { name_of(item, old.as_deref(), &mut document, problems) } else { Ok(None) };
    let Ok(name) = name else { return Ok(None) };
    Ok(Some(Aim { id, old, new: Some((name, Value::Object(document))) }))
}

/// A name there must be; the error is noted.
fn name_of(
    item: &Item,
    old: Option<&Resource>,
    document: &mut Map<String, Value>,
    problems: &mut Problems,
) -> Result<Option<Name>, ()> {
    let given = match document.shift_remove("name") {
        None => None,
        Some(value) => match read_name(&value) {
            Ok(name) => Some(name),
            Err(why) => {
                problems.add_at("name", "invalid_value", why);
                return Err(());
            }
        },
    };
    match (&item.wish, given) {
        (Wish::Put(Reference::Name(path), _), Some(given)) if *path != given => {
            let detail = format!("must be `{path}`, as in the path; to give another name, put it by id");
            problems.add_at("name", "conflict", detail);
            Err(())
        }
        (Wish::Put(Reference::Name(path), _), _) => Ok(Some(path.clone())),
        (_, Some(given)) => Ok(Some(given)),
        (_, None) => match old.and_then(|old| old.name.clone()) {
            Some(name) => Ok(Some(name)),
            None => {
                problems.add_at("name", "missing_field", "`name` is missing");
                Err(())
            }
        },
    }
}

fn check_expected(item: &Item, old: Option<&Resource>) -> Result<(), ChangeError> {
    let fits = match (&item.expected, old) {
        (Expected::Anything, _) => true,
        (Expected::Exists, old) => old.is_some(),
        (Expected::Absent, old) => old.is_none(),
        (Expected::Revision(any), Some(old)) => any.contains(&old.revision),
        (Expected::Revision(_), None) => false,
    };
    if fits {
        return Ok(());
    }
    let label = item.wish.target().map(Reference::to_string).unwrap_or_default();
    let is = match old {
        Some(old) => format!("revision {} changed it last", old.revision),
        None => "it is not there".to_owned(),
    };
    Err(ChangeError::Precondition { kind: item.kind, label, is })
}

/// What will be where once the set is made.
struct Targets<'a> {
    /// Names that the set gives, or that its resources keep.
    names: HashMap<(Kind, &'a Name), Id>,
    /// The resources of the set, and whether they are there afterwards.
    stays: HashMap<(Kind, Id), bool>,
}

fn targets_after<'a>(
    now: &GatewayConfig,
    set: &ChangeSet,
    aims: &'a [Option<Aim>],
    problems: &mut Problems,
) -> Result<Targets<'a>, ChangeError> {
    let mut targets = Targets { names: HashMap::new(), stays: HashMap::new() };
    for (index, (item, aim)) in set.items.iter().zip(aims).enumerate() {
        let Some(aim) = aim else { continue };
        if targets.stays.insert((item.kind, aim.id), aim.new.is_some()).is_some() {
            at_item(problems, set, index, |p| p.add("conflict", "another item of the set is about this resource"));
        }
        let Some((Some(name), _)) = &aim.new else { continue };
        if targets.names.insert((item.kind, name), aim.id).is_some_and(|other| other != aim.id) {
            return Err(Conflict::NameTaken { kind: item.kind, name: name.clone() }.into());
        }
    }
    for ((kind, name), id) in &targets.names {
        // who has it now may give it up in the same set
        let holder = now.by_name(*kind, name).map(|holder| holder.id);
        if holder.is_some_and(|holder| holder != *id && !targets.stays.contains_key(&(*kind, holder))) {
            return Err(Conflict::NameTaken { kind: *kind, name: (*name).clone() }.into());
        }
    }
    Ok(targets)
}

impl Targets<'_> {
    fn find(&self, now: &GatewayConfig, kind: Kind, reference: &Reference) -> Option<Id> {
        match reference {
            Reference::Id(id) => match self.stays.get(&(kind, *id)) {
                Some(stays) => stays.then_some(*id),
                None => now.get(kind, *id).map(|found| found.id),
            },
            Reference::Name(name) => self.names.get(&(kind, name)).copied().or_else(|| {
                let found = now.by_name(kind, name)?.id;
                // one of the set is called otherwise from then on, or gone
                (!self.stays.contains_key(&(kind, found))).then_some(found)
            }),
        }
    }
}

/// Reads a document, seals its secrets and turns names into ids. What is wrong is noted.
fn settle(
    now: &GatewayConfig,
    targets: &Targets<'_>,
    kind: Kind,
    aim: &Aim,
    document: &Value,
    given: &Given<'_>,
    problems: &mut Problems,
) -> Option<Value> {
    let mut document = document.clone();
    let kept = aim.old.as_deref().map(|old| secrets_of(old, given.registry)).unwrap_or_default();
    visit_all_secrets(kind, &mut document, given.registry, &mut |secret| {
        let Value::String(text) = secret else { return };
        let same = kept.iter().find(|stored| crate::vault::mask(stored) == *text);
        *text = match same {
            Some(stored) => stored.clone(),
            None => (given.seal)(text),
        };
    });
    let spec = match Spec::decode(kind, &document) {
        Ok(spec) => spec,
        Err(found) => {
            problems.extend(found);
            return None;
        }
    };
    let mut document = spec.to_document();
    let mut missing = Vec::new();
    for (pointer, kind, reference) in spec.references() {
        match (targets.find(now, kind, reference), document.pointer_mut(&pointer)) {
            (Some(id), Some(place)) => *place = Value::String(id.to_string()),
            _ => missing.push(is_missing(pointer, kind, reference)),
        }
    }
    visit_document_references(kind, &mut document, &given.registry.schemas(), &mut |pointer, kind, place| {
        // what is no reference at all is told by the build
        let Some(Ok(reference)) = place.as_str().map(str::parse) else { return };
        match targets.find(now, kind, &reference) {
            Some(id) => *place = Value::String(id.to_string()),
            None => missing.push(is_missing(pointer.to_owned(), kind, &reference)),
        }
    });
    if !missing.is_empty() {
        problems.extend(missing);
        return None;
    }
    Some(document)
}

fn is_missing(pointer: String, kind: Kind, reference: &Reference) -> Problem {
    Problem { resource: None, pointer, code: "not_found".into(), detail: format!("there is no {kind} `{reference}`") }
}

impl Plan {
    fn add(&mut self, kind: Kind, aim: &Aim, name: Option<Name>, document: &Value, given: &Given<'_>) {
        if let Some(old) = &aim.old
            && old.name == name
            && stored(old) == *document
        {
            self.effects.push((aim.id, Effect::Unchanged));
            return;
        }
        let state = State {
            name,
            revision: given.revision,
            created_at: aim.old.as_ref().map_or(given.at, |old| old.created_at),
            updated_at: given.at,
            document: document.to_string().into(),
        };
        self.changes.push(Change { kind, id: aim.id, after: Some(state) });
        self.effects.push((aim.id, if aim.old.is_some() { Effect::Updated } else { Effect::Created }));
    }
}

/// Takes along what belongs to what is deleted, and refuses if something else still refers to it.
fn cascade(now: &GatewayConfig, plan: &mut Plan) -> Result<(), ChangeError> {
    if plan.changes.iter().all(|change| change.after.is_some()) {
        return Ok(());
    }
    let mut next = now.with(&plan.changes).map_err(ChangeError::Invalid)?;
    let mut looked_at = 0;
    while looked_at < plan.changes.len() {
        let (kind, id) = (plan.changes[looked_at].kind, plan.changes[looked_at].id);
        let deleted = plan.changes[looked_at].after.is_none();
        looked_at += 1;
        if !deleted {
            continue;
        }
        let (owned, users): (Vec<_>, Vec<_>) = next.referrers(id).cloned().partition(|referrer| {
            referrer.spec.owners().iter().any(|(_, owner, reference)| *owner == kind && reference.id() == Some(id))
        });
        if !users.is_empty() {
            let label = now.get(kind, id).map(|resource| resource.label()).unwrap_or_default();
            let by = users.iter().take(10).map(|user| format!("{} `{}`", user.kind(), user.label())).collect();
            return Err(Conflict::InUse { kind, label, by, more: users.len().saturating_sub(10) }.into());
        }
        let owned: Vec<Change> =
            owned.iter().map(|owned| Change { kind: owned.kind(), id: owned.id, after: None }).collect();
        next = next.with(&owned).map_err(ChangeError::Invalid)?;
        plan.changes.extend(owned);
    }
    Ok(())
}

/// Refuses what would lock everyone out.
fn keep_an_admin(now: &GatewayConfig, plan: &Plan) -> Result<(), ChangeError> {
    let about_operators = |change: &Change| matches!(change.kind, Kind::Operator | Kind::OperatorToken);
    if !plan.changes.iter().any(about_operators) || !has_admin(now) {
        return Ok(());
    }
    let next = now.with(&plan.changes).map_err(ChangeError::Invalid)?;
    if has_admin(&next) { Ok(()) } else { Err(Conflict::LastAdmin.into()) }
}

/// Whether someone may still change something.
fn has_admin(config: &GatewayConfig) -> bool {
    config.all(Kind::Operator).any(|operator| {
        let is_admin = matches!(&operator.spec, Spec::Operator(spec) if spec.role == Role::Admin);
        is_admin && config.referrers(operator.id).any(|token| token.kind() == Kind::OperatorToken)
    })
}

/// Changes a document as RFC 7396 says.
fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let Value::Object(document) = document else { return };
    for (field, value) in patch {
        if value.is_null() {
            document.shift_remove(field);
        } else {
            merge(document.entry(field.clone()).or_insert(Value::Null), value);
        }
    }
}

fn stored(resource: &Resource) -> Value {
    serde_json::from_str(&resource.document).unwrap_or_default()
}

/// As it would be written: the name beside the fields.
fn stored_document(resource: &Resource) -> Value {
    let mut document = stored(resource);
    if let (Value::Object(fields), Some(name)) = (&mut document, &resource.name) {
        fields.insert("name".into(), Value::String(name.to_string()));
    }
    document
}

fn secrets_of(resource: &Resource, registry: &Registry) -> Vec<String> {
    let mut found = Vec::new();
    visit_all_secrets(resource.kind(), &mut stored(resource), registry, &mut |secret| {
        found.extend(secret.as_str().map(str::to_owned));
    });
    found
}

/// Visits the secrets of a document, those of a policy's config too.
pub fn visit_all_secrets(kind: Kind, document: &mut Value, registry: &Registry, visit: &mut dyn FnMut(&mut Value)) {
    visit_document_secrets(kind, document, &registry.schemas(), visit);
}
