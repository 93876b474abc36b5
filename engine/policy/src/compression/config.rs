//! The config of `compression`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::ByteSize;

/// Compresses answers for callers that take it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompressionConfig {
    /// What is offered; of those that a caller likes best, the first. Default: `zstd`, `br`, `gzip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub codings: Option<Vec<Coding>>,
    /// A body that says that it is smaller is left as it is. Default: `1KiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_size: Option<ByteSize>,
    /// Which types are compressed: `text/html`, `text/*`, or `*+json` for all that end so. Default: text, JSON, XML, JavaScript, SVG, WebAssembly, and what is like them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub content_types: Option<Vec<String>>,
    /// How hard gzip tries. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub gzip_level: Option<u32>,
    /// How hard Brotli tries. Default: 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7))]
    pub br_quality: Option<u32>,
    /// How hard Zstandard tries. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub zstd_level: Option<u32>,
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// Zstandard (RFC 8878): the quickest for what it saves.
    Zstd,
    /// Brotli (RFC 7932): saves the most of text.
    Br,
    /// What every caller takes (RFC 1952).
    Gzip,
}

impl Coding {
    /// As headers call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Br => "br",
            Coding::Gzip => "gzip",
        }
    }
}
