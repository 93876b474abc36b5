//! How a process becomes a node: a token and a certificate request in, a certificate out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_model::{Id, Instant, JoinToken, Kind, Name, Node, Problems, Sha256, Spec, TokenKind, is_well_formed};
use tidegate_proto::{data_key, v1};
use tonic::Status;
use tracing::{error, info, warn};

use super::listener::Peer;
use super::source::{CommitNodeError, Head, NewNode};
use super::{ConfigStream, session};
use crate::vault::NodeRequest;

/// Names that are tried before giving up: `name`, `name-2`, ...
const NAMES_MAX: u32 = 10_000;

/// Commits that may fail because somebody else got the name first.
const COMMITS_MAX: u32 = 8;

impl ConfigStream {
    /// Gives a certificate to whoever shows a good join token, or a certificate of an enrolled node.
    ///
    /// A key that is enrolled already gets a certificate for the same node, so an answer that was lost can be asked for
    /// again.
    pub(super) async fn enroll_node(&self, peer: &Peer, request: v1::EnrollRequest) -> Result<v1::EnrollReply, Status> {
        let wanted = NodeRequest::read(&request.certificate_request)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let node = match peer {
            Peer::Node { id, key, .. } if request.join_token.is_empty() => {
                self.renewing(*id, *key, &wanted).await?;
                *id
            }
            Peer::Node { address, .. } | Peer::Anonymous { address } => {
                self.joining(*address, &request, &wanted).await?
            }
            Peer::InProcess => return Err(Status::failed_precondition("a node of this process needs no certificate")),
        };
        let certificate = self.authority.issue_node(node, &wanted).map_err(|error| {
            error!(node.id = %node, "no certificate could be issued for node `{node}`: {error}");
            Status::internal("no certificate could be issued")
        })?;
        let wrapped_data_key = data_key::wrap(&self.data_key, wanted.point())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let name = self.source.head().config.get(Kind::Node, node).map(|node| node.label()).unwrap_or_default();
        Ok(v1::EnrollReply {
            node_id: node.to_string(),
            name,
            certificate: certificate.to_vec(),
            ca_certificate: self.authority.certificate().to_vec(),
            wrapped_data_key,
        })
    }

    /// An enrolled node, for the key it is enrolled with.
    async fn renewing(&self, id: Id, key: Sha256, wanted: &NodeRequest) -> Result<(), Status> {
        if wanted.key_hash != key {
            return Err(Status::invalid_argument("a certificate is renewed for the same key"));
        }
        if !self.has_node(id, session::Proof::Key(key)).await {
            return Err(session::retired_status());
        }
        info!(node.id = %id, "node `{id}` gets a new certificate");
        Ok(())
    }

    async fn joining(
        &self,
        address: SocketAddr,
        request: &v1::EnrollRequest,
        wanted: &NodeRequest,
    ) -> Result<Id, Status> {
        let head = self.source.head();
        if !is_good_token(&head, &request.join_token, now()) {
            warn!(remote = %address, "a node from {address} was refused: its join token is not valid");
            return Err(Status::unauthenticated("the join token is not valid"));
        }
        if let Some(id) = node_of_key(&head, wanted.key_hash) {
            return Ok(id);
        }
        let labels: BTreeMap<String, String> = request.labels.clone().into_iter().collect();
        let node = Node { labels, public_key: Some(wanted.key_hash) };
        self.commit_node(&request.name, node, Some(address.to_string())).await
    }

    /// Makes a node part of the configuration, under the name it wants or the next that is free.
    pub(super) async fn commit_node(&self, wish: &str, node: Node, address: Option<String>) -> Result<Id, Status> {
        let mut problems = Problems::new();
        tidegate_model::Document::check(&node, &mut problems);
        if let Some(problem) = problems.into_vec().first() {
            return Err(Status::invalid_argument(problem.to_string()));
        }
        let wish: Name = if wish.is_empty() { "node" } else { wish }
            .parse()
            .map_err(|error: tidegate_model::InvalidName| Status::invalid_argument(error.to_string()))?;
        for _ in 0..COMMITS_MAX {
            let head = self.source.head();
            let name = free_name(&head, &wish).ok_or_else(|| Status::already_exists("the name is taken"))?;
            let new = NewNode { name: name.clone(), node: node.clone(), address: address.clone() };
            match self.nodes.commit(new).await {
                Ok(id) => {
                    info!(node.id = %id, "node `{name}` ({id}) is enrolled");
                    return Ok(id);
                }
                Err(CommitNodeError::NameTaken) => {}
                Err(error @ CommitNodeError::Unavailable(_)) => {
                    warn!("{error}");
                    return Err(Status::unavailable(error.to_string()));
                }
            }
        }
        Err(Status::unavailable("the name was taken again and again"))
    }

    /// Whether a node is enrolled. Waits a little for one that this replica does not know yet: it may have joined
    /// through another a moment ago.
    pub(super) async fn has_node(&self, node: Id, proof: session::Proof) -> bool {
        if session::is_enrolled(&self.source.head(), node, proof) {
            return true;
        }
        let mut heads = self.publisher.subscribe();
        let known = heads.wait_for(|head| session::is_enrolled(head, node, proof));
        matches!(tokio::time::timeout(self.timings.enrolment_known, known).await, Ok(Ok(_)))
    }
}

fn is_good_token(head: &Head, secret: &str, now: Instant) -> bool {
    if !is_well_formed(TokenKind::Join, secret) {
        return false;
    }
    // what is compared is a hash: how long that takes tells nothing of the secret
    let hash = Sha256::of(secret.as_bytes());
    let good = |token: &JoinToken| token.token_hash == hash && token.expires_at.is_none_or(|at| now < at);
    head.config.all(Kind::JoinToken).any(|token| matches!(&token.spec, Spec::JoinToken(token) if good(token)))
}

fn node_of_key(head: &Head, key: Sha256) -> Option<Id> {
    let has_key = |spec: &Spec| matches!(spec, Spec::Node(node) if node.public_key == Some(key));
    head.config.all(Kind::Node).find(|node| has_key(&node.spec)).map(|node| node.id)
}

fn free_name(head: &Head, wish: &Name) -> Option<Name> {
    let taken = |name: &Name| head.config.by_name(Kind::Node, name).is_some();
    let numbered = (2..NAMES_MAX).filter_map(|n| {
        let end = format!("-{n}");
        let start = &wish.as_str()[..wish.as_str().len().min(Name::LENGTH_MAX - end.len())];
        format!("{start}{end}").parse().ok()
    });
    std::iter::once(wish.clone()).chain(numbered).find(|name| !taken(name))
}

fn now() -> Instant {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Instant::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
