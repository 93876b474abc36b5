//! The fold of the log at one revision, and how the next entry is folded in.

use std::sync::Arc;

use imbl::HashMap;
use tidegate_model::{
    Chain, Change, Class, Delta, GatewayConfig, Id, Instant, Kind, Position, Problem, Sha256, Spec, State,
};
use tidegate_policy::Registry;
use tidegate_snapshot::{Revisions, Snapshot, advance};

use crate::store::{self, Loaded, LogEntry};

/// The configuration at a revision: a value, cheap to keep.
#[derive(Clone)]
pub struct Folded {
    /// As nodes would see it, and all resources.
    pub snapshot: Arc<Snapshot>,
    /// Where in the log that is.
    pub position: Position,
    tokens: Tokens,
}

/// Operator tokens and join tokens by their hash.
#[derive(Clone, Default)]
struct Tokens(HashMap<Sha256, (Kind, Id)>);

impl Folded {
    /// All resources.
    pub fn config(&self) -> &GatewayConfig {
        self.snapshot.config()
    }

    /// The revision.
    pub fn revision(&self) -> u64 {
        self.position.revision
    }

    /// The operator token with this SHA-256.
    pub fn operator_token(&self, hash: &Sha256) -> Option<Id> {
        self.tokens.get(Kind::OperatorToken, hash)
    }

    /// The join token whose secret has this SHA-256.
    pub fn join_token(&self, hash: &Sha256) -> Option<Id> {
        self.tokens.get(Kind::JoinToken, hash)
    }

    /// The fold that was loaded whole, and what of it can't be built.
    pub(super) fn from_loaded(loaded: &Loaded, registry: Registry) -> (Folded, Vec<Problem>) {
        let changes: Vec<Change> = loaded.documents.iter().map(document_change).collect();
        let revision = loaded.head.revision;
        let (snapshot, problems) =
            Snapshot::compile(&changes, Revisions { identity: revision, traffic: revision }, registry);
        let position = Position { epoch: loaded.head.epoch, revision, chain: Chain(loaded.head.chain.0) };
        let tokens = Tokens::default().with(snapshot.config(), &changes);
        (Folded { snapshot: Arc::new(snapshot), position, tokens }, problems)
    }

    /// What a node would say of these changes.
    pub(super) fn judge(&self, changes: &[Change]) -> Result<Snapshot, Vec<Problem>> {
        let (from, to) = (self.revision(), self.revision() + 1);
        let next = advance(&self.snapshot, &Delta { class: None, from, to, changes: changes.to_vec() })?;
        let dangling = next.config().dangling(changes, &[Class::Identity, Class::Traffic, Class::Control]);
        if dangling.is_empty() { Ok(next) } else { Err(dangling) }
    }

    /// The chain of the next revision, if it makes these changes.
    pub(super) fn next_chain(&self, changes: &[Change]) -> Chain {
        self.position.chain.next(self.revision() + 1, changes)
    }

    /// The fold after changes that were judged.
    pub(super) fn next(&self, snapshot: Snapshot, changes: &[Change]) -> Folded {
        let (revision, chain) = (self.revision() + 1, self.next_chain(changes));
        let tokens = self.tokens.clone().without(self.config(), changes).with(snapshot.config(), changes);
        let position = Position { epoch: self.position.epoch, revision, chain };
        Folded { snapshot: Arc::new(snapshot), position, tokens }
    }

    /// What an entry of the log changes, as the engine has it. When a resource was made is known from what there is.
    pub(super) fn changes_of(&self, entry: &LogEntry) -> Vec<Change> {
        let at = Instant::from_millis(entry.at);
        let change = |change: &store::Change| {
            let made = self.config().get(change.kind, change.id).map_or(at, |old| old.created_at);
            let after = change.after.as_ref().map(|after| State {
                name: after.name.clone(),
                revision: entry.revision,
                created_at: made,
                updated_at: at,
                document: after.document.as_str().into(),
            });
            Change { kind: change.kind, id: change.id, after }
        };
        entry.changes.iter().map(change).collect()
    }
}

impl Tokens {
    fn get(&self, kind: Kind, hash: &Sha256) -> Option<Id> {
        self.0.get(hash).filter(|(of, _)| *of == kind).map(|(_, id)| *id)
    }

    fn with(mut self, config: &GatewayConfig, changes: &[Change]) -> Tokens {
        for (change, hash) in token_hashes(config, changes) {
            self.0.insert(hash, (change.kind, change.id));
        }
        self
    }

    fn without(mut self, config: &GatewayConfig, changes: &[Change]) -> Tokens {
        for (_, hash) in token_hashes(config, changes) {
            self.0.remove(&hash);
        }
        self
    }
}

/// Those of the changed resources that are tokens, as a configuration has them.
fn token_hashes<'a>(
    config: &'a GatewayConfig,
    changes: &'a [Change],
) -> impl Iterator<Item = (&'a Change, Sha256)> + 'a {
    changes.iter().filter_map(|change| match &config.get(change.kind, change.id)?.spec {
        Spec::OperatorToken(token) => Some((change, token.token_hash)),
        Spec::JoinToken(token) => Some((change, token.token_hash)),
        _ => None,
    })
}

fn document_change(document: &store::StoredDocument) -> Change {
    let state = State {
        name: document.name.clone(),
        revision: document.revision,
        created_at: Instant::from_millis(document.created_at),
        updated_at: Instant::from_millis(document.updated_at),
        document: document.document.as_str().into(),
    };
    Change { kind: document.kind, id: document.id, after: Some(state) }
}
