//! Purging: nodes let go of answers that they keep.
//!
//! It is no change of the configuration: what is asked goes to the nodes that are connected here, and the answer says of each
//! node whether it did it. A node that was away lets go of all that it keeps when it is in touch again.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{Id, Kind, Reference};
use tidegate_policy::{PURGE_QUERY, Purge, PurgeWhat};
use tracing::info;

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;
use super::operations::{Operation, Shape};
use crate::fleet::AskError;

/// How long a node may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The longest of what is purged by.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// What is purged: all that fits each of these. Exactly one of `all`, `url`, `prefix` and `tag` must be there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CachePurge {
    /// What this policy keeps, by name or id.
    policy: Option<String>,
    /// What came by this route, by name or id.
    route: Option<String>,
    /// What this service said, by name or id.
    service: Option<String>,
    /// Everything of these.
    #[serde(default)]
    all: bool,
    /// One target: `api.example.com/products?page=2`.
    url: Option<String>,
    /// All targets that begin so: `api.example.com/products`.
    prefix: Option<String>,
    /// All answers with this tag; see `tag_header` of the policy.
    tag: Option<String>,
}

/// What came of a purge.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CachePurged {
    /// How many answers the nodes let go of, all together.
    purged: u64,
    /// Each node.
    nodes: Vec<PurgedNode>,
}

/// What came of a purge on a node.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PurgedNode {
    #[schemars(with = "uuid::Uuid")]
    id: Id,
    name: String,
    outcome: PurgeOutcome,
    /// How many answers it let go of.
    purged: Option<u64>,
}

/// Whether a node purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PurgeOutcome {
    /// It did.
    Confirmed,
    /// It is not connected to this control plane. Another one may reach it; once it was away it begins empty.
    NotConnected,
    /// It did not answer in time, or could not.
    Failed,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::POST, "/v1/cache/purge", "purgeCache", |c| purge(c).boxed())
            .about("Nodes", "Have nodes let go of answers that they keep")
            .body(Shape::Named("CachePurge".into()))
            .answers(200, "What each node said.", Shape::Named("CachePurged".into()))
            .errors(&[ErrorCode::NotFound]),
    ]
}

async fn purge(call: Call) -> Result<Answer, Fault> {
    let purge = wanted(&call)?;
    let arguments = serde_json::to_string(&purge).expect("plain data");
    let operator = call.caller.as_ref().map_or("", |caller| &*caller.name);
    info!(operator, request.id = call.request_id, purge = arguments, "operator `{operator}` purges kept answers");
    let nodes = call.api.fleet.nodes().await;
    let asked = nodes.into_iter().map(|node| {
        let (api, arguments) = (&call.api, &arguments);
        async move {
            let answered = api.fleet.ask(node.id, PURGE_QUERY, arguments, ANSWER_MAX).await;
            let (outcome, purged) = match answered.map(|purged| purged.parse().ok()) {
                Ok(purged @ Some(_)) => (PurgeOutcome::Confirmed, purged),
                Err(AskError::NotConnected) => (PurgeOutcome::NotConnected, None),
                Ok(None) | Err(AskError::TimedOut | AskError::Refused(_)) => (PurgeOutcome::Failed, None),
            };
            PurgedNode { id: node.id, name: node.name, outcome, purged }
        }
    });
    let nodes = join_all(asked).await;
    Ok(Answer::document(&CachePurged { purged: nodes.iter().filter_map(|node| node.purged).sum(), nodes }))
}

fn wanted(call: &Call) -> Result<Purge, Fault> {
    let CachePurge { policy, route, service, all, url, prefix, tag } = call.read()?;
    let whats = [
        all.then_some(PurgeWhat::All),
        url.map(PurgeWhat::Url),
        prefix.map(PurgeWhat::Prefix),
        tag.map(PurgeWhat::Tag),
    ];
    let mut whats = whats.into_iter().flatten();
    let (Some(what), None) = (whats.next(), whats.next()) else {
        return Err(Fault::malformed("give exactly one of `all: true`, `url`, `prefix` and `tag`"));
    };
    if let PurgeWhat::Url(text) | PurgeWhat::Prefix(text) | PurgeWhat::Tag(text) = &what
        && (text.is_empty() || text.len() > TEXT_BYTES_MAX)
    {
        return Err(Fault::malformed(format!("what is purged by must have 1 to {TEXT_BYTES_MAX} bytes")));
    }
    let find = |kind: Kind, text: Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let missing = || Fault::new(ErrorCode::NotFound, format!("there is no {kind} `{text}`"));
        let reference: Reference = text.parse().map_err(|_| missing())?;
        call.now.config().find(kind, &reference).map(|found| Some(found.id)).ok_or_else(missing)
    };
    Ok(Purge {
        policy: find(Kind::Policy, policy)?,
        route: find(Kind::Route, route)?,
        service: find(Kind::Service, service)?,
        what,
    })
}
