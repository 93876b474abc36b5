//! What this gateway is: its state in a few numbers, and the policy kinds it has.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tidegate_model::{Id, Kind};
use tidegate_policy::{AnyKind, Attachment, KindInfo, Phase, Registry};

use super::answer::{Answer, Fault};
use super::call::Call;
use super::operations::{Operation, Shape};
use crate::app::Mode;
use crate::fleet::NodeState;

/// The state of the gateway.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    /// Of the control plane that answers.
    version: &'static str,
    mode: Mode,
    /// The last revision that this control plane knows.
    revision: u64,
    /// Which log that is of.
    epoch: String,
    /// Whether the database answers; while it does not, nothing can be changed.
    store_up: bool,
    nodes: NodeCounts,
    /// How many resources there are, by kind.
    counts: BTreeMap<&'static str, usize>,
}

/// How many nodes there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NodeCounts {
    /// Enrolled.
    total: usize,
    /// Of those, how many run on all that concerns them.
    current: usize,
}

/// A kind of policy.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PolicyKind {
    kind: &'static str,
    /// A few words.
    title: &'static str,
    /// One sentence.
    summary: &'static str,
    /// When in a request's way it acts; of the example, as it may depend on the config.
    phase: String,
    /// What it may be scoped to.
    scopes: Vec<&'static str>,
    /// Whether it may run in shadow.
    decides: bool,
    /// The JSON Schema of its config.
    schema: Value,
    /// A config.
    example: Map<String, Value>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/status", "getStatus", |c| read(c).boxed())
            .about("Status", "Read the state of the gateway")
            .answers(200, "This is it.", Shape::Named("Status".into())),
        Operation::new(Method::GET, "/v1/policy-kinds", "listPolicyKinds", |c| policy_kinds(c).boxed())
            .about("Policies", "List the policy kinds there are")
            .answers(200, "All of them.", Shape::Page("PolicyKind".into())),
    ]
}

async fn read(call: Call) -> Result<Answer, Fault> {
    let (api, now) = (&call.api, &call.now);
    let nodes = api.fleet.nodes().await;
    let current = nodes.iter().filter(|node| node.status == NodeState::Current).count();
    let answer = Status {
        version: env!("CARGO_PKG_VERSION"),
        mode: api.mode,
        revision: now.revision(),
        epoch: now.position.epoch.to_string(),
        store_up: api.changes.store_is_up(),
        nodes: NodeCounts { total: nodes.len(), current },
        counts: Kind::ALL.into_iter().map(|kind| (kind.as_str(), now.config().count(kind))).collect(),
    };
    Ok(Answer::document(&answer).at_revision(now.revision()))
}

async fn policy_kinds(call: Call) -> Result<Answer, Fault> {
    let registry = call.api.changes.registry();
    let kinds = registry.names().filter_map(|name| registry.get(name));
    let data: Vec<PolicyKind> = kinds.map(|kind| describe(kind, registry)).collect();
    Ok(Answer::ok(json!({ "data": data, "next": null })))
}

fn describe(kind: &'static dyn AnyKind, registry: &Registry) -> PolicyKind {
    let KindInfo { name, title, summary, by_principal, decides, page, .. } = kind.info();
    let example = example(page);
    let built = kind.build(&example, &Attachment { policy: Id::new(uuid::Uuid::nil()), for_some: false, registry });
    let phase = built.map_or(Phase::Transform, |built| built.phase);
    let mut scopes = vec!["global", "service", "route"];
    if by_principal {
        scopes.extend(["consumer", "group"]);
    }
    PolicyKind {
        kind: name,
        title,
        summary,
        phase: serde_json::to_value(phase).ok().and_then(|p| p.as_str().map(str::to_owned)).unwrap_or_default(),
        scopes,
        decides,
        schema: kind.schema().as_value().clone(),
        example,
    }
}

/// The first config of a kind's page.
fn example(page: &str) -> Map<String, Value> {
    let block = page.split("```json").nth(1).and_then(|rest| rest.split("```").next());
    block.and_then(|block| serde_json::from_str(block).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_an_example_that_builds() {
        let registry = &Registry::standard();
        for kind in tidegate_policy::kinds() {
            let attachment = Attachment { policy: Id::new(uuid::Uuid::nil()), for_some: false, registry };
            let built = kind.build(&example(kind.info().page), &attachment);
            assert!(built.is_ok(), "{}", kind.info().name);
        }
    }
}
