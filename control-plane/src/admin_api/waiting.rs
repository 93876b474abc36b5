//! `?wait=`: answers once nodes run on what was written.

use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tidegate_model::Class;

use super::Api;
use crate::fleet::{self, Confirmation, Want};

/// How many nodes are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WaitFor(Want);

impl FromStr for WaitFor {
    type Err = ();

    fn from_str(text: &str) -> Result<WaitFor, ()> {
        let want = match text {
            "all" => Want::All,
            "any" => Want::Any,
            _ => {
                let share = text.strip_suffix('%').and_then(|digits| digits.parse().ok());
                Want::Percent(share.filter(|share| (1..=100).contains(share)).ok_or(())?)
            }
        };
        Ok(WaitFor(want))
    }
}

/// What nodes run on.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Applied {
    /// The revision that was waited for.
    revision: u64,
    /// Whether as many nodes as were waited for run on it.
    complete: bool,
    /// The nodes that do.
    confirmed: Vec<String>,
    /// The nodes that did not say so in time.
    behind: Vec<Behind>,
}

/// A node that did not confirm in time.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Behind {
    /// Its name.
    node: String,
    /// The revision that it runs on, as far as is known.
    at: u64,
    reason: Reason,
}

/// Why a node did not confirm.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    /// On its way.
    Behind,
    /// It refused the change; see its problems.
    Rejected,
    /// Not heard for a while, or never: whether it runs the change is not known.
    Silent,
}

impl From<Confirmation> for Applied {
    fn from(found: Confirmation) -> Applied {
        let reason = |reason| match reason {
            fleet::Reason::Behind => Reason::Behind,
            fleet::Reason::Rejected => Reason::Rejected,
            fleet::Reason::Silent => Reason::Silent,
        };
        let behind = |behind: fleet::Behind| Behind { node: behind.node, at: behind.at, reason: reason(behind.reason) };
        Applied {
            revision: found.revision,
            complete: found.complete,
            confirmed: found.confirmed,
            behind: found.behind.into_iter().map(behind).collect(),
        }
    }
}

/// What is waited for.
pub(super) struct Goal {
    pub(super) revision: u64,
    pub(super) classes: Vec<Class>,
}

impl Api {
    /// Waits until enough nodes are where they should be, or the time is up.
    pub(super) async fn wait_for(&self, goal: Goal, WaitFor(want): WaitFor, timeout: Duration) -> Applied {
        self.fleet.wait(goal.revision, &goal.classes, want, timeout).await.into()
    }
}
