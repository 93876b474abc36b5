//! Who is known: credentials by hash or username, consumers by id.
//!
//! Credentials lie in many small shards, so that a change copies one of them and a look-up is one probe of a plain table.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use http::HeaderValue;
use tidegate_model::{
    Change, Consumer, Credential, GatewayConfig, Id, Instant, Kind, PasswordHash, Problem, Problems, Resource, Sha256,
    Spec,
};
use tidegate_policy::{BasicMatch, ConsumerFacts, Directory, KeyMatch};

const SHARDS: usize = 4096;

/// Who is known at a revision.
#[derive(Clone, Default)]
pub struct Identity {
    /// Empty until there is a credential, then [`SHARDS`].
    keys: Vec<Arc<Shard>>,
    basic: imbl::HashMap<Arc<str>, Basic>,
    consumers: imbl::HashMap<Id, Arc<ConsumerFacts>>,
    /// Consumers by their names, and by what other systems call them.
    consumer_names: imbl::HashMap<Arc<str>, Id>,
    custom_ids: imbl::HashMap<Arc<str>, Id>,
    /// What groups are called.
    groups: imbl::HashMap<Id, Arc<str>>,
    group_names: imbl::HashMap<Arc<str>, Id>,
}

/// By the first 128 bits of the SHA-256, which are as good as random.
type Shard = HashMap<[u8; 16], Entry, BuildHasherDefault<FirstBits>>;

#[derive(Clone, Copy)]
struct Entry {
    credential: Id,
    consumer: Id,
    expires_at: Option<Instant>,
}

/// Basic credentials, by username.
#[derive(Clone)]
struct Basic {
    entry: Entry,
    password: Arc<PasswordHash>,
}

/// Takes the hash that is already there.
#[derive(Default)]
struct FirstBits(u64);

impl Hasher for FirstBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks_exact(8) {
            let mut word = [0; 8];
            word.copy_from_slice(piece);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

fn place(hash: &Sha256) -> (usize, [u8; 16]) {
    let mut key = [0; 16];
    key.copy_from_slice(&hash.0[..16]);
    // not from the part that the table itself uses
    (usize::from(hash.0[16]) << 4 | usize::from(hash.0[17]) >> 4, key)
}

impl Identity {
    /// After some changes, of which `before` and `after` are the configurations; and what can't be.
    pub(crate) fn advance(
        &self,
        before: &GatewayConfig,
        after: &GatewayConfig,
        changes: &[Change],
    ) -> (Identity, Vec<Problem>) {
        let mut next = self.clone();
        let mut problems = Vec::new();
        let of = |kind: Kind| changes.iter().filter(move |change| change.kind == kind);
        // hashes are given up before they are taken, so that the order of changes does not matter
        for change in of(Kind::Credential) {
            if let Some(old) = before.spec::<Credential>(change.id) {
                next.forget(change.id, old);
            }
        }
        for change in of(Kind::Credential) {
            if let Some(resource) = after.get(Kind::Credential, change.id) {
                problems.extend(next.credential_is(resource));
            }
        }
        // so are names
        for change in of(Kind::Consumer) {
            next.forget_consumer(change.id);
        }
        for change in of(Kind::Consumer) {
            if let Some(resource) = after.get(Kind::Consumer, change.id) {
                problems.extend(next.consumer_is(resource));
            }
        }
        for change in of(Kind::ConsumerGroup) {
            if let Some(name) = next.groups.remove(&change.id) {
                next.group_names.remove(&name);
            }
        }
        for change in of(Kind::ConsumerGroup) {
            if let Some(resource) = after.get(Kind::ConsumerGroup, change.id) {
                let name: Arc<str> = resource.label().into();
                next.groups.insert(change.id, name.clone());
                next.group_names.insert(name, change.id);
            }
        }
        (next, problems)
    }

    fn forget(&mut self, id: Id, old: &Credential) {
        if let Some(username) = &old.username
            && self.basic.get(username.as_str()).is_some_and(|basic| basic.entry.credential == id)
        {
            self.basic.remove(username.as_str());
        }
        let Some((shard, key)) = old.key_hash.as_ref().map(place) else { return };
        let Some(shard) = self.keys.get_mut(shard) else { return };
        if shard.get(&key).is_some_and(|entry| entry.credential == id) {
            Arc::make_mut(shard).remove(&key);
        }
    }

    /// Two credentials can't have the same key or username: it would be left to chance whose it is. The older one keeps it.
    fn credential_is(&mut self, resource: &Resource) -> Option<Problem> {
        let Spec::Credential(credential) = &resource.spec else { return None };
        let consumer = credential.consumer.id()?;
        let entry = Entry { credential: resource.id, consumer, expires_at: credential.expires_at };
        match (&credential.key_hash, &credential.username, &credential.password_hash) {
            (Some(hash), ..) => {
                let other = self.key_is(entry, hash)?;
                Some(conflict(resource, "key_hash", format!("credential `{other}` has the same key")))
            }
            (None, Some(username), Some(password)) => {
                let other = self.username_is(entry, username, password)?;
                Some(conflict(resource, "username", format!("credential `{other}` has the username `{username}`")))
            }
            _ => None,
        }
    }

    fn key_is(&mut self, entry: Entry, hash: &Sha256) -> Option<Id> {
        if self.keys.is_empty() {
            self.keys = vec![Arc::default(); SHARDS];
        }
        let (shard, key) = place(hash);
        let shard = Arc::make_mut(&mut self.keys[shard]);
        let other = shard.get(&key).map(|other| other.credential).filter(|other| *other != entry.credential);
        if other.is_none_or(|other| entry.credential < other) {
            shard.insert(key, entry);
        }
        other
    }

    fn username_is(&mut self, entry: Entry, username: &str, password: &PasswordHash) -> Option<Id> {
        let other = self.basic.get(username).map(|basic| basic.entry.credential);
        let other = other.filter(|other| *other != entry.credential);
        if other.is_none_or(|other| entry.credential < other) {
            self.basic.insert(username.into(), Basic { entry, password: Arc::new(password.clone()) });
        }
        other
    }

    fn forget_consumer(&mut self, id: Id) {
        let Some(facts) = self.consumers.remove(&id) else { return };
        self.consumer_names.remove(&*facts.name);
        let custom_id = facts.custom_id_header.as_ref().and_then(|header| header.to_str().ok());
        if let Some(custom_id) = custom_id.filter(|custom_id| self.custom_ids.get(*custom_id) == Some(&id)) {
            self.custom_ids.remove(custom_id);
        }
    }

    /// Two consumers can't have the same custom id: it would be left to chance whose a token is. The older one keeps it.
    fn consumer_is(&mut self, resource: &Resource) -> Option<Problem> {
        let Spec::Consumer(consumer) = &resource.spec else { return None };
        let facts = facts(resource, consumer);
        self.consumer_names.insert((*facts.name).into(), resource.id);
        self.consumers.insert(resource.id, Arc::new(facts));
        let custom_id = consumer.custom_id.as_deref()?;
        let other = self.custom_ids.get(custom_id).copied();
        if other.is_none_or(|other| resource.id < other) {
            self.custom_ids.insert(custom_id.into(), resource.id);
        }
        let other = self.consumers.get(&other?)?;
        let mut problems = Problems::new();
        problems.add_at("custom_id", "conflict", format!("consumer `{}` has the same custom id", other.name));
        Some(problems.into_vec().remove(0).of(resource.kind(), resource.id, resource.name.as_ref()))
    }

    pub(crate) fn describe(&self) -> impl Iterator<Item = String> + '_ {
        let keys = self.keys.iter().flat_map(|shard| shard.iter()).map(|(key, entry)| {
            format!(
                "key {:032x} {} of {} until {:?}",
                u128::from_be_bytes(*key),
                entry.credential,
                entry.consumer,
                entry.expires_at
            )
        });
        let basic = self.basic.iter().map(|(username, basic)| {
            let Basic { entry: Entry { credential, consumer, expires_at }, password } = basic;
            format!("basic {username} {credential} of {consumer} until {expires_at:?} by {password}")
        });
        let consumers = self.consumers.values().map(|consumer| format!("consumer {consumer:?}"));
        let by_name = self.consumer_names.iter().map(|(name, id)| format!("consumer `{name}` is {id}"));
        let by_custom_id = self.custom_ids.iter().map(|(name, id)| format!("custom id `{name}` is of {id}"));
        let group_names = self.group_names.iter().map(|(name, id)| format!("group `{name}` is {id}"));
        let names = by_name.chain(by_custom_id).chain(group_names);
        keys.chain(basic)
            .chain(consumers)
            .chain(names)
            .chain(self.groups.iter().map(|(id, name)| format!("group {id} `{name}`")))
    }
}

fn conflict(resource: &Resource, field: &str, detail: String) -> Problem {
    let mut problems = Problems::new();
    problems.add_at(field, "conflict", detail);
    problems.into_vec().remove(0).of(resource.kind(), resource.id, None)
}

fn facts(resource: &Resource, consumer: &Consumer) -> ConsumerFacts {
    let name = resource.label();
    // ids, names and custom ids are of characters that a header takes
    let header = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    ConsumerFacts {
        id: resource.id,
        groups: consumer.groups.iter().filter_map(tidegate_model::Reference::id).collect(),
        id_header: header(&resource.id.to_string()),
        name_header: header(&name),
        custom_id_header: consumer.custom_id.as_deref().map(header),
        name: name.into(),
    }
}

impl Directory for Identity {
    fn api_key(&self, hash: &Sha256) -> Option<KeyMatch> {
        let (shard, key) = place(hash);
        let entry = self.keys.get(shard)?.get(&key)?;
        Some(KeyMatch {
            credential: entry.credential,
            consumer: self.consumers.get(&entry.consumer).cloned(),
            expires_at: entry.expires_at,
        })
    }

    fn basic(&self, username: &str) -> Option<BasicMatch> {
        let Basic { entry, password } = self.basic.get(username)?;
        Some(BasicMatch {
            credential: entry.credential,
            consumer: self.consumers.get(&entry.consumer).cloned(),
            password: password.clone(),
            expires_at: entry.expires_at,
        })
    }

    fn consumer(&self, id: Id) -> Option<Arc<ConsumerFacts>> {
        self.consumers.get(&id).cloned()
    }

    fn consumer_by_name(&self, name: &str) -> Option<Arc<ConsumerFacts>> {
        self.consumer(*self.consumer_names.get(name)?)
    }

    fn consumer_by_custom_id(&self, custom_id: &str) -> Option<Arc<ConsumerFacts>> {
        self.consumer(*self.custom_ids.get(custom_id)?)
    }

    fn group_by_name(&self, name: &str) -> Option<Id> {
        self.group_names.get(name).copied()
    }

    fn group_name(&self, id: Id) -> Option<Arc<str>> {
        self.groups.get(&id).cloned()
    }
}
