//! `compression`: answers, made smaller for callers that take it.

mod accept;
mod config;
mod encode;
mod runtime;
#[cfg(test)]
mod tests;
mod types;

pub use config::{Coding, CompressionConfig};

use std::sync::Arc;

use tidegate_model::{Problem, Problems};

use self::runtime::Compressor;
use self::types::Types;
use crate::{Attachment, Behaviour, BodyNeed, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The smallest body that is worth it.
const SMALLEST_BYTES: u64 = 1 << 10;

/// The kind.
pub struct Compression;

impl PolicyKind for Compression {
    type Config = CompressionConfig;

    const INFO: KindInfo = KindInfo {
        name: "compression",
        title: "Compression",
        summary: "Compresses answers with Zstandard, Brotli or gzip for callers that take it.",
        combine: Combine::Replace,
        by_principal: true,
        decides: false,
        page: include_str!("README.md"),
    };

    fn build(config: CompressionConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let codings = config.codings.unwrap_or_else(|| vec![Coding::Zstd, Coding::Br, Coding::Gzip]);
        for (at, coding) in codings.iter().enumerate() {
            if codings[..at].contains(coding) {
                let twice = format!("`{}` is there already", coding.as_str());
                problems.within("codings", |p| p.add_at(at, "conflict", twice));
            }
        }
        let types = match config.content_types.as_deref().map(Types::read) {
            None => Types::default(),
            Some(Ok(types)) => types,
            Some(Err(wrong)) => {
                for (at, why) in wrong {
                    problems.within("content_types", |p| p.add_at(at, "invalid_value", why));
                }
                Types::default()
            }
        };
        let policy = Compressor {
            codings: codings.into(),
            smallest: config.min_size.map_or(SMALLEST_BYTES, |size| size.bytes()),
            types,
            gzip_level: config.gzip_level.unwrap_or(5),
            br_quality: config.br_quality.unwrap_or(4),
            zstd_level: config.zstd_level.unwrap_or(3),
        };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(policy)),
            phase: Phase::Transform,
            needs: Needs { request_body: BodyNeed::None, response_body: BodyNeed::Stream },
        })
    }
}
