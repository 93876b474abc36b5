//! Reads and writes resources, whatever their kind: one set of operations, no noun of its own.

use std::sync::Arc;

use futures_util::FutureExt;
use http::header::LOCATION;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tidegate_model::{Id, Kind, Resource};

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;
use super::last_used::LastUsed;
use super::operations::{
    Operation, Parameter, Shape, filter_parameters, if_match, if_none_match, page_parameters, reference,
    write_parameters,
};
use super::print;
use super::waiting::{Applied, Goal};
use crate::changes::{ChangeSet, Committed, Effect, Expected, Item, Outcome, Wish};

/// What the API says of a kind.
pub(super) struct Noun {
    pub(super) kind: Kind,
    /// In schemas and operation ids.
    pub(super) type_name: &'static str,
    /// In operation ids.
    pub(super) plural: &'static str,
    pub(super) tag: &'static str,
    verbs: &'static [Verb],
}

#[derive(PartialEq, Eq)]
enum Verb {
    List,
    Read,
    Write,
    Delete,
}

const ALL: &[Verb] = &[Verb::List, Verb::Read, Verb::Write, Verb::Delete];
/// Issued by operations of their own, as the key is shown once.
const ISSUED: &[Verb] = &[Verb::List, Verb::Read, Verb::Delete];
/// Made by enrolling; shown with where they are.
const ENROLLED: &[Verb] = &[Verb::Delete];

/// All kinds, as the document lists them.
pub(super) const NOUNS: [Noun; 11] = [
    Noun { kind: Kind::Service, type_name: "Service", plural: "Services", tag: "Services", verbs: ALL },
    Noun { kind: Kind::Route, type_name: "Route", plural: "Routes", tag: "Routes", verbs: ALL },
    Noun { kind: Kind::Upstream, type_name: "Upstream", plural: "Upstreams", tag: "Upstreams", verbs: ALL },
    Noun { kind: Kind::Policy, type_name: "Policy", plural: "Policies", tag: "Policies", verbs: ALL },
    Noun { kind: Kind::Consumer, type_name: "Consumer", plural: "Consumers", tag: "Consumers", verbs: ALL },
    Noun {
        kind: Kind::ConsumerGroup,
        type_name: "ConsumerGroup",
        plural: "ConsumerGroups",
        tag: "Consumer groups",
        verbs: ALL,
    },
    Noun { kind: Kind::Credential, type_name: "Credential", plural: "Credentials", tag: "Credentials", verbs: ISSUED },
    Noun { kind: Kind::Operator, type_name: "Operator", plural: "Operators", tag: "Operators", verbs: ALL },
    Noun {
        kind: Kind::OperatorToken,
        type_name: "OperatorToken",
        plural: "OperatorTokens",
        tag: "Operators",
        verbs: ISSUED,
    },
    Noun { kind: Kind::JoinToken, type_name: "JoinToken", plural: "JoinTokens", tag: "Nodes", verbs: ISSUED },
    Noun { kind: Kind::Node, type_name: "Node", plural: "Nodes", tag: "Nodes", verbs: ENROLLED },
];

const WRITE_ERRORS: &[ErrorCode] = &[ErrorCode::Conflict, ErrorCode::PreconditionFailed];

pub(super) fn operations() -> Vec<Operation> {
    let mut operations: Vec<Operation> = NOUNS.iter().flat_map(Noun::operations).collect();
    operations.push(
        Operation::new(Method::GET, "/v1/services/{ref}/routes", "listRoutesOfService", |c| routes_of(c).boxed())
            .about("Routes", "List the routes that lead to a service")
            .kind(Kind::Route)
            .takes(&[reference()])
            .takes(&page_parameters())
            .takes(&filter_parameters())
            .answers(200, "A page of them, by age.", Shape::Page("Route".into())),
    );
    operations.push(
        Operation::new(Method::POST, "/v1/services/{ref}/routes", "createRouteOfService", |c| create_route(c).boxed())
            .about("Routes", "Create a route that leads to a service")
            .kind(Kind::Route)
            .takes(&[reference()])
            .takes(&write_parameters())
            .body(Shape::Inline(json!({
                "type": "object",
                "description": "As for a route of its own; `service` may be left out.",
                "additionalProperties": true,
            })))
            .answers(201, "It was created.", Shape::Named("Route".into()))
            .errors(WRITE_ERRORS),
    );
    operations
}

impl Noun {
    /// Whether documents of the kind are sent in.
    pub(super) fn is_written(&self) -> bool {
        self.verbs.contains(&Verb::Write)
    }

    fn operations(&self) -> Vec<Operation> {
        let Noun { kind, type_name, plural, tag, .. } = *self;
        let one = kind.as_str().replace('-', " ");
        let many = kind.collection().replace('-', " ");
        let article = if one.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        let collection = format!("/v1/{}", kind.collection());
        let item = format!("{collection}/{{ref}}");
        let named = || Shape::Named(type_name.to_owned());
        let write = || Shape::Named(format!("{type_name}Write"));
        let mut operations = Vec::new();
        if self.verbs.contains(&Verb::List) {
            operations.push(
                Operation::new(Method::GET, collection.clone(), format!("list{plural}"), |c| list(c).boxed())
                    .about(tag, format!("List {many}"))
                    .takes(&page_parameters())
                    .takes(&filter_parameters())
                    .takes(&[if_none_match()])
                    .answers(200, "A page of them, by age.", Shape::Page(type_name.to_owned())),
            );
        }
        if self.verbs.contains(&Verb::Write) {
            operations.push(
                Operation::new(Method::POST, collection, format!("create{type_name}"), |c| create(c).boxed())
                    .about(tag, format!("Create {article} {one}"))
                    .takes(&write_parameters())
                    .body(write())
                    .answers(201, "It was created.", named())
                    .errors(WRITE_ERRORS),
            );
        }
        if self.verbs.contains(&Verb::Read) {
            operations.push(
                Operation::new(Method::GET, item.clone(), format!("get{type_name}"), |c| read(c).boxed())
                    .about(tag, format!("Read {article} {one}"))
                    .takes(&[reference(), if_none_match()])
                    .answers(200, "This is it.", named()),
            );
        }
        if self.verbs.contains(&Verb::Write) {
            let summary =
                format!("Put {article} {one}: create it, or replace it whole. By id, another name renames it");
            operations.push(
                Operation::new(Method::PUT, item.clone(), format!("put{type_name}"), |c| put(c).boxed())
                    .about(tag, summary)
                    .takes(&[reference()])
                    .takes(&write_parameters())
                    .takes(&[if_match()])
                    .body(write())
                    .answers(200, "It was replaced, or was so already.", named())
                    .answers(201, "It was created.", named())
                    .errors(WRITE_ERRORS),
            );
            operations.push(
                Operation::new(Method::PATCH, item.clone(), format!("patch{type_name}"), |c| patch(c).boxed())
                    .about(tag, format!("Change {article} {one} in part (RFC 7396: `null` takes a field away)"))
                    .takes(&[reference()])
                    .takes(&write_parameters())
                    .takes(&[if_match()])
                    .body(Shape::Patch(type_name.to_owned()))
                    .answers(200, "It was changed, or was so already.", named())
                    .errors(WRITE_ERRORS),
            );
        }
        if self.verbs.contains(&Verb::Delete) {
            operations.push(
                deleting(Operation::new(Method::DELETE, item, format!("delete{type_name}"), |c| delete(c).boxed()))
                    .about(tag, deletes(kind))
                    .takes(&[reference()]),
            );
        }
        operations.into_iter().map(|operation| operation.kind(kind)).collect()
    }
}

/// What is the same for all operations that delete.
pub(super) fn deleting(operation: Operation) -> Operation {
    operation
        .takes(&write_parameters())
        .takes(&[if_match()])
        .answers(204, "It is gone.", Shape::Nothing)
        .answers(200, "It is gone, and was waited for.", Shape::Named("Waited".into()))
        .errors(WRITE_ERRORS)
}

fn deletes(kind: Kind) -> String {
    match kind {
        Kind::Service => "Delete a service, and the policies scoped to it",
        Kind::Route => "Delete a route, and the policies scoped to it",
        Kind::Upstream => "Delete an upstream",
        Kind::Policy => "Delete a policy",
        Kind::Consumer => "Delete a consumer, its credentials, and the policies scoped to it",
        Kind::ConsumerGroup => "Delete a consumer group, and the policies scoped to it",
        Kind::Credential => "Delete a credential: it is refused from then on",
        Kind::Operator => "Delete an operator and its tokens",
        Kind::OperatorToken => "Delete an operator token, which ends its sessions",
        Kind::JoinToken => "Delete a join token; nodes that joined with it stay",
        Kind::Node => "Retire a node: its certificate is refused from then on",
    }
    .to_owned()
}

async fn list(call: Call) -> Result<Answer, Fault> {
    let rows = call.now.config().all(call.kind()).cloned();
    page(&call, rows).await
}

async fn routes_of(call: Call) -> Result<Answer, Fault> {
    let service = call.resource("ref", Kind::Service)?;
    page_of_referrers(&call, service.id, |_| true).await
}

/// A page of those of the operation's kind that refer to a resource.
pub(super) async fn page_of_referrers(
    call: &Call,
    target: Id,
    is_one: impl Fn(&Resource) -> bool,
) -> Result<Answer, Fault> {
    let rows = call.now.config().referrers(target).filter(|row| row.kind() == call.kind() && is_one(row)).cloned();
    page(call, rows).await
}

/// A page of resources, which come by age.
async fn page(call: &Call, rows: impl Iterator<Item = Arc<Resource>>) -> Result<Answer, Fault> {
    let (limit, after) = (call.limit()?, call.cursor::<Id>()?);
    let filter =
        Filter { name: call.query("name"), tag: call.query("tag"), text: call.query("q").map(str::to_lowercase) };
    let config = call.now.config();
    let rows = rows.filter(|row| after.is_none_or(|after| row.id > after)).filter(|row| filter.takes(row));
    let mut rows: Vec<Arc<Resource>> = rows.take(limit + 1).collect();
    let next = (rows.len() > limit).then(|| rows[limit - 1].id);
    rows.truncate(limit);
    let last_used = LastUsed::of(call, &rows).await;
    // what a list says depends on the whole configuration, and of credentials on when they were used
    let etag = format!("W/\"{}{}\"", &call.now.position.chain.to_string()[..16], last_used.tag());
    if call.has_already(&etag) {
        return Ok(Answer::empty(StatusCode::NOT_MODIFIED).etag(&etag));
    }
    let data: Vec<Value> = rows.iter().map(|row| Value::Object(last_used.shown(row, config))).collect();
    Ok(Answer::ok(json!({ "data": data, "next": next })).etag(&etag).at_revision(call.now.revision()))
}

struct Filter<'a> {
    name: Option<&'a str>,
    tag: Option<&'a str>,
    text: Option<String>,
}

impl Filter<'_> {
    fn takes(&self, row: &Resource) -> bool {
        let name = row.name.as_ref().map(|name| name.as_str());
        if self.name.is_some_and(|wanted| name != Some(wanted)) {
            return false;
        }
        if self.tag.is_none() && self.text.is_none() {
            return true;
        }
        let document: Value = serde_json::from_str(&row.document).unwrap_or_default();
        let tagged = |tag: &str| {
            let tags = document.get("tags").and_then(Value::as_array);
            tags.is_some_and(|tags| tags.iter().any(|t| t == tag))
        };
        let holds = |text: &String| {
            let fields = ["description", "label"].map(|field| document.get(field).and_then(Value::as_str));
            fields.into_iter().chain([name]).flatten().any(|field| field.to_lowercase().contains(text))
        };
        self.tag.is_none_or(tagged) && self.text.as_ref().is_none_or(holds)
    }
}

async fn read(call: Call) -> Result<Answer, Fault> {
    let resource = call.resource("ref", call.kind())?;
    Ok(shown(&call, &resource).await)
}

/// One resource, or that the caller has it already.
pub(super) async fn shown(call: &Call, resource: &Arc<Resource>) -> Answer {
    let etag = print::etag(resource);
    let answer = if call.has_already(&etag) {
        Answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        let last_used = LastUsed::of(call, std::slice::from_ref(resource)).await;
        Answer::ok(last_used.shown(resource, call.now.config()))
    };
    answer.etag(&etag).at_revision(call.now.revision())
}

async fn create(call: Call) -> Result<Answer, Fault> {
    let document = call.document()?;
    write(call, Wish::Create(document)).await
}

/// The service is that of the path; a document that names another one is told.
async fn create_route(call: Call) -> Result<Answer, Fault> {
    let service = call.resource("ref", Kind::Service)?;
    let mut document = call.document()?;
    if let Value::Object(fields) = &mut document {
        let given = fields.get("service").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let same =
            given.is_none_or(|given| call.now.config().find(Kind::Service, &given).map(|s| s.id) == Some(service.id));
        if !same {
            let mut problems = tidegate_model::Problems::new();
            problems.add_at("service", "conflict", format!("must be `{}`, as in the path", service.label()));
            return Err(Fault::invalid(problems.into_vec()));
        }
        fields.entry("service").or_insert_with(|| json!(service.id));
    }
    write(call, Wish::Create(document)).await
}

async fn put(call: Call) -> Result<Answer, Fault> {
    let target = call.reference("ref", call.kind())?;
    let document = call.document()?;
    write(call, Wish::Put(target, document)).await
}

async fn patch(call: Call) -> Result<Answer, Fault> {
    let target = call.reference("ref", call.kind())?;
    let document = call.document()?;
    write(call, Wish::Patch(target, document)).await
}

async fn delete(call: Call) -> Result<Answer, Fault> {
    let target = call.reference("ref", call.kind())?;
    write(call, Wish::Delete(target)).await
}

/// Commits a set of one and answers what became of it.
pub(super) async fn write(call: Call, wish: Wish) -> Result<Answer, Fault> {
    write_and_show(call, wish, |_| {}).await
}

/// The same, with fields that only this answer shows.
pub(super) async fn write_and_show(
    call: Call,
    wish: Wish,
    add: impl FnOnce(&mut Map<String, Value>),
) -> Result<Answer, Fault> {
    let expected = if matches!(wish, Wish::Create(_)) { Expected::Anything } else { call.expected()? };
    let item = Item { kind: call.kind(), wish, expected };
    let Written { revision, mut outcomes, applied } = commit(&call, vec![item]).await?;
    let outcome = outcomes.pop().expect("a set of one has one outcome");
    let resource = &outcome.resource;
    if outcome.effect == Effect::Deleted {
        let answer = match applied {
            None => Answer::empty(StatusCode::NO_CONTENT),
            Some(applied) => Answer::ok(json!({ "applied": applied })),
        };
        return Ok(answer.at_revision(revision));
    }
    let mut shown = print::resource(resource, call.api.changes.current().config());
    add(&mut shown);
    if let Some(applied) = applied {
        shown.insert("applied".into(), json!(applied));
    }
    let mut answer = Answer::ok(shown).etag(&print::etag(resource)).at_revision(revision);
    if outcome.effect == Effect::Created {
        let location = format!("/v1/{}/{}", resource.kind().collection(), resource.label());
        answer = answer.status(StatusCode::CREATED).with_text(LOCATION, &location);
    }
    Ok(answer)
}

/// What was committed, and where it runs if that was waited for.
pub(super) struct Written {
    pub(super) revision: u64,
    /// One for each item.
    pub(super) outcomes: Vec<Outcome>,
    pub(super) applied: Option<Applied>,
}

/// Commits a set, and waits for nodes if the call says so.
pub(super) async fn commit(call: &Call, items: Vec<Item>) -> Result<Written, Fault> {
    let wait = call.wait()?;
    let set = ChangeSet { items, message: None, change_id: call.change_id()? };
    let Committed { revision, outcomes, classes, .. } = call.api.changes.commit(&call.actor(), set).await?;
    let applied = match (wait, outcomes.as_slice()) {
        (None, _) => None,
        (Some((wait, timeout)), outcomes) => {
            let unchanged = outcomes.iter().all(|outcome| outcome.effect == Effect::Unchanged);
            let goal = match outcomes.iter().map(|outcome| &outcome.resource).max_by_key(|r| r.revision) {
                Some(newest) if unchanged => Goal { revision: newest.revision, classes: vec![newest.kind().class()] },
                _ => Goal { revision, classes },
            };
            Some(call.api.wait_for(goal, wait, timeout).await)
        }
    };
    Ok(Written { revision, outcomes, applied })
}

/// A parameter of nested items.
pub(super) fn item_parameter(name: &'static str) -> Parameter {
    Parameter::path(name, "The id.")
}
