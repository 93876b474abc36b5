//! Waiting until nodes run a change.

use std::time::Duration;

use serde::Serialize;
use tidegate_model::{Class, Kind};
use tokio::time::Instant;

use super::Fleet;

/// How many nodes must confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Every enrolled one.
    All,
    /// One of them.
    Any,
    /// So many of a hundred, rounded up.
    Percent(u8),
}

/// Who runs a change, and who does not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// The revision of the change.
    pub revision: u64,
    /// Whether as many confirmed as were wanted.
    pub complete: bool,
    /// The names of those that confirmed.
    pub confirmed: Vec<String>,
    /// The others.
    pub behind: Vec<Behind>,
}

/// A node that did not confirm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// Its name.
    pub node: String,
    /// The revision it runs on: of the classes that matter, the lowest.
    pub at: u64,
    /// Why.
    pub reason: Reason,
}

/// Why a node did not confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// On its way.
    Behind,
    /// It refused the change.
    Rejected,
    /// Not heard for a while: whether it runs the change is not known.
    Silent,
}

impl Fleet {
    /// Waits until enough nodes run a revision, in the classes that it touched. Ends early once no more can confirm,
    /// because all others refused it.
    pub async fn wait(&self, revision: u64, classes: &[Class], want: Want, timeout: Duration) -> Confirmation {
        let deadline = Instant::now() + timeout;
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let so_far = self.confirmation(revision, classes, want, self.timings.poll).await;
            let undecided = so_far.behind.iter().any(|node| node.reason != Reason::Rejected);
            if so_far.complete || !undecided || Instant::now() >= deadline {
                return so_far;
            }
            let poll = (Instant::now() + self.timings.poll).min(deadline);
            // nobody here moved: look at the table again after a while
            let _ = tokio::time::timeout_at(poll, changed.changed()).await;
        }
    }

    /// Who runs a revision now.
    pub async fn applied_by(&self, revision: u64, classes: &[Class]) -> Confirmation {
        self.confirmation(revision, classes, Want::All, Duration::from_millis(500)).await
    }

    async fn confirmation(&self, revision: u64, classes: &[Class], want: Want, age: Duration) -> Confirmation {
        let streamed = || classes.iter().copied().filter(|class| *class != Class::Control);
        let head = self.source.head();
        let epoch = head.position.epoch;
        let mut confirmed = Vec::new();
        let mut behind = Vec::new();
        if streamed().next().is_none() {
            // nothing of it goes to nodes
            return Confirmation { revision, complete: true, confirmed, behind };
        }
        let positions = self.all_positions(age).await;
        for node in head.config.all(Kind::Node) {
            let position = positions.get(&node.id);
            let of_head = position.filter(|at| at.epoch == epoch);
            let at = of_head.map_or(0, |p| streamed().map(|class| p.revision(class)).min().unwrap_or(0));
            if at >= revision {
                confirmed.push(node.label());
                continue;
            }
            let reason = match position {
                Some(p) if self.is_silent(p) => Reason::Silent,
                None => Reason::Silent,
                Some(p) if streamed().any(|class| p.revision(class) < revision && p.refused(class, revision)) => {
                    Reason::Rejected
                }
                Some(_) => Reason::Behind,
            };
            behind.push(Behind { node: node.label(), at, reason });
        }
        let all = confirmed.len() + behind.len();
        let enough = match want {
            Want::All => all,
            Want::Any => 1,
            Want::Percent(percent) => (all * usize::from(percent.min(100))).div_ceil(100),
        };
        Confirmation { revision, complete: confirmed.len() >= enough, confirmed, behind }
    }
}
