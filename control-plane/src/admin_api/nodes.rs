//! Nodes: who they are, and how far they are.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tidegate_model::{Id, Kind};

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;
use super::operations::{Operation, Shape, page_parameters, reference};
use crate::fleet::{NodeProblem, NodeState, NodeStatus};

/// A node, and how far it is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Node")]
pub(super) struct NodeAnswer {
    #[schemars(with = "uuid::Uuid")]
    id: Id,
    name: String,
    /// What it said of itself when it last connected, or joined.
    labels: BTreeMap<String, String>,
    /// When it joined.
    enrolled_at: String,
    status: State,
    /// The revision of consumers, groups and credentials that it runs on; 0 before it has any.
    identity_revision: u64,
    /// The revision of services, routes, upstreams and policies that it runs on; 0 before it has any.
    traffic_revision: u64,
    /// The version of its program; empty before it connected.
    version: String,
    /// Where it takes traffic, or connects from; empty before it connected.
    address: String,
    /// When it was last heard.
    last_seen: Option<String>,
    /// What is wrong on it.
    problems: Vec<ProblemAnswer>,
}

/// How a node stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NodeState")]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// It runs on all there is.
    Current,
    /// It is on its way there.
    Behind,
    /// It refused a revision and serves the one before.
    Rejected,
    /// It was not heard for a while, or never; it serves what it has.
    Silent,
}

/// Something wrong on a node.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NodeProblem")]
pub(super) struct ProblemAnswer {
    /// The part of the configuration that it concerns: `identity` or `traffic`.
    class: String,
    /// The revision that has it.
    revision: u64,
    /// The resource's kind, if it is about one.
    kind: Option<&'static str>,
    #[schemars(with = "Option<uuid::Uuid>")]
    id: Option<Id>,
    name: Option<String>,
    /// Where in the document.
    pointer: String,
    /// Stable, for programs.
    code: String,
    /// For people.
    detail: String,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/nodes", "listNodes", |c| list(c).boxed())
            .about("Nodes", "List nodes and how far they are")
            .takes(&page_parameters())
            .answers(200, "A page of them, by age.", Shape::Page("Node".into())),
        Operation::new(Method::GET, "/v1/nodes/{ref}", "getNode", |c| read(c).boxed())
            .about("Nodes", "Read a node and how far it is")
            .takes(&[reference()])
            .answers(200, "This is it.", Shape::Named("Node".into())),
    ]
}

async fn list(call: Call) -> Result<Answer, Fault> {
    let (limit, after) = (call.limit()?, call.cursor::<Id>()?);
    let mut nodes = call.api.fleet.nodes().await;
    nodes.retain(|node| after.is_none_or(|after| node.id > after));
    let next = (nodes.len() > limit).then(|| nodes[limit - 1].id);
    nodes.truncate(limit);
    let data: Vec<NodeAnswer> = nodes.into_iter().map(NodeAnswer::from).collect();
    Ok(Answer::ok(json!({ "data": data, "next": next })).at_revision(call.now.revision()))
}

async fn read(call: Call) -> Result<Answer, Fault> {
    let id = call.resource("ref", Kind::Node)?.id;
    let nodes = call.api.fleet.nodes().await;
    let node = nodes.into_iter().find(|node| node.id == id);
    let node = node.ok_or_else(|| Fault::new(ErrorCode::NotFound, "the node was retired just now"))?;
    Ok(Answer::document(&NodeAnswer::from(node)).at_revision(call.now.revision()))
}

impl From<NodeStatus> for NodeAnswer {
    fn from(node: NodeStatus) -> NodeAnswer {
        NodeAnswer {
            id: node.id,
            name: node.name,
            labels: node.labels,
            enrolled_at: node.enrolled_at.to_string(),
            status: match node.status {
                NodeState::Current => State::Current,
                NodeState::Behind => State::Behind,
                NodeState::Rejected => State::Rejected,
                NodeState::Silent => State::Silent,
            },
            identity_revision: node.identity_revision,
            traffic_revision: node.traffic_revision,
            version: node.version,
            address: node.address,
            last_seen: node.last_seen.map(|at| at.to_string()),
            problems: node.problems.into_iter().map(ProblemAnswer::from).collect(),
        }
    }
}

impl From<NodeProblem> for ProblemAnswer {
    fn from(NodeProblem { class, revision, problem }: NodeProblem) -> ProblemAnswer {
        let subject = problem.resource.as_ref();
        ProblemAnswer {
            class,
            revision,
            kind: subject.map(|subject| subject.kind.as_str()),
            id: subject.map(|subject| subject.id),
            name: subject.and_then(|subject| subject.name.as_ref()).map(ToString::to_string),
            pointer: problem.pointer,
            code: problem.code.into_owned(),
            detail: problem.detail,
        }
    }
}
