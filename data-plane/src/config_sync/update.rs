//! A delta or a snapshot of one class, put together from its messages; the same ones come over the wire and from disk.

use bytes::Bytes;
use tidegate_model::{Change, Class, Delta, GatewayConfig};
use tidegate_proto::convert::{Announced, Malformed, class_from_wire, class_to_wire, read_chunk};
use tidegate_proto::v1;
use tidegate_proto::v1::control_message::Message;

/// A delta or a snapshot, whole.
#[derive(Debug, Clone)]
pub(super) struct Update {
    pub(super) announced: Announced,
    pub(super) chunks: Vec<Bytes>,
}

impl Update {
    /// The changes in it.
    pub(super) fn changes(&self) -> Result<Vec<Change>, Malformed> {
        let mut changes = Vec::new();
        for chunk in &self.chunks {
            read_chunk(chunk, &mut changes)?;
        }
        let class = self.announced.class;
        let all_there = changes.len() as u64 == self.announced.count;
        if !all_there || changes.iter().any(|change| change.kind.class() != class) {
            return Err(Malformed::Part("changes"));
        }
        Ok(changes)
    }

    /// What leads from a configuration to this update's end. Of a snapshot that is what differs, and what is not in it is gone.
    pub(super) fn delta(&self, now: &GatewayConfig) -> Result<Delta, Malformed> {
        let Announced { class, from, to, .. } = self.announced;
        let mut changes = self.changes()?;
        if from.is_none() {
            changes = difference(now, class, changes);
        }
        Ok(Delta { class: Some(class), from: from.map_or(0, |from| from.revision), to: to.revision, changes })
    }

    /// The messages it is made of.
    pub(super) fn messages(&self) -> impl Iterator<Item = v1::ControlMessage> + '_ {
        let class = class_to_wire(self.announced.class);
        let begin = std::iter::once(v1::Begin::from(&self.announced).into());
        let chunks = self.chunks.iter().map(move |chunk| v1::Chunk { class, changes: chunk.clone() }.into());
        begin.chain(chunks).chain(std::iter::once(v1::End { class }.into()))
    }
}

fn difference(now: &GatewayConfig, class: Class, mut all: Vec<Change>) -> Vec<Change> {
    let kept: std::collections::HashSet<_> = all.iter().map(|change| (change.kind, change.id)).collect();
    let gone: Vec<Change> = now
        .states(&[class])
        .filter(|change| !kept.contains(&(change.kind, change.id)))
        .map(|change| Change { after: None, ..change })
        .collect();
    all.retain(|change| {
        let known = now.get(change.kind, change.id).map(|resource| tidegate_model::change_of(resource).after);
        known != Some(change.after.clone())
    });
    all.extend(gone);
    all
}

/// Puts updates together; the messages of the two classes may come in turns.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    open: [Option<Update>; 2],
}

/// The messages do not follow each other as they should.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutOfOrder {
    #[error("a part of an update came without its beginning")]
    NotBegun,
    #[error("an update began while another of its class was not complete")]
    NotEnded,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Assembly {
    /// Takes a message; gives the update that it completes. Messages of other kinds are none of its business.
    pub(super) fn take(&mut self, message: Message) -> Result<Option<Update>, OutOfOrder> {
        match message {
            Message::Begin(begin) => {
                let announced = Announced::try_from(&begin)?;
                let open = &mut self.open[announced.class as usize];
                if open.is_some() {
                    return Err(OutOfOrder::NotEnded);
                }
                *open = Some(Update { announced, chunks: Vec::new() });
                Ok(None)
            }
            Message::Chunk(chunk) => {
                let open = self.open[class_from_wire(chunk.class)? as usize].as_mut();
                open.ok_or(OutOfOrder::NotBegun)?.chunks.push(chunk.changes);
                Ok(None)
            }
            Message::End(end) => {
                let ended = self.open[class_from_wire(end.class)? as usize].take();
                ended.map(Some).ok_or(OutOfOrder::NotBegun)
            }
            _ => Ok(None),
        }
    }

    /// Whether nothing is left half-way.
    pub(super) fn is_empty(&self) -> bool {
        self.open.iter().all(Option::is_none)
    }
}
