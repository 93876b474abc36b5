//! `request-size`: how large a request's body may be.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{Check, RequestSizeConfig};

use std::sync::Arc;

use tidegate_model::{Problem, Problems};

use crate::{Attachment, Behaviour, BodyNeed, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// What a whole body may take in a node's memory.
const BUFFER_BYTES_MAX: u64 = 64 << 20;

/// The kind.
pub struct RequestSize;

impl PolicyKind for RequestSize {
    type Config = RequestSizeConfig;

    const INFO: KindInfo = KindInfo {
        name: "request-size",
        title: "Request size",
        summary: "Refuses requests whose body is larger than a bound.",
        combine: Combine::Replace,
        by_principal: true,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: RequestSizeConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let max = config.max.bytes();
        let check = config.check.unwrap_or_default();
        if check == Check::Buffer && max > BUFFER_BYTES_MAX {
            problems.add_at(
                "max",
                "out_of_range",
                "must be at most `64MiB` where the body is held in memory (`check: buffer`)",
            );
        }
        let request_body = match check {
            Check::Stream => BodyNeed::Stream,
            Check::Buffer => BodyNeed::Buffer(max),
        };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(runtime::SizeBound { max, check })),
            phase: Phase::Transform,
            needs: Needs { request_body, response_body: BodyNeed::None },
        })
    }
}
