//! A pool of targets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::{Document, Pointed};
use crate::{Authority, Kind, Problems};

/// A pool of targets that serve the same APIs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where requests go, by weight.
    #[schemars(length(max = 1024))]
    pub targets: Vec<Target>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// To find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Host and port.
    pub address: Authority,
    /// Its share of the requests, against the sum of all weights. 0 sends it nothing new. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub weight: Option<u16>,
}

impl Document for Upstream {
    const KIND: Kind = Kind::Upstream;

    fn check(&self, problems: &mut Problems) {
        for (index, target) in self.targets.iter().enumerate() {
            if self.targets[..index].iter().any(|t| t.address == target.address) {
                problems.within("targets", |p| {
                    p.within(index, |p| {
                        p.add_at("address", "conflict", format!("target `{}` is there twice", target.address))
                    });
                });
            }
        }
    }

    fn references(&self) -> Pointed<'_> {
        Pointed::new()
    }
}
