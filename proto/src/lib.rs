//! What the control plane and the nodes say to each other.
//!
//! [`v1`] is generated from the .proto files. [`convert`] leads from its types to those of the model and back, so that generated
//! types stay at the ends of the streams. [`join`], [`data_key`] and [`sealed`] are what is handed over outside of messages or inside
//! of them as opaque bytes.

pub mod convert;
pub mod data_key;
pub mod join;
pub mod sealed;

/// The messages and the service of the configuration stream, generated.
#[expect(missing_docs, reason = "the .proto files document them")]
#[expect(clippy::allow_attributes, clippy::derive_partial_eq_without_eq, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("tidegate.v1");
}

/// The name in the certificate of every control plane's stream listener, whatever its address.
pub const CONTROL_PLANE_NAME: &str = "control-plane.tidegate.internal";

/// The most that a message of a control plane may have: chunks are about 256 KiB, but one resource is never divided.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The most that a message of a node may have.
pub const NODE_MESSAGE_BYTES_MAX: usize = 1 << 20;

/// About so many bytes of changes travel in one chunk.
pub const CHUNK_BYTES: usize = 256 << 10;

/// The URI in a node's certificate: `tidegate:node:<id>`.
pub fn node_uri(id: tidegate_model::Id) -> String {
    format!("tidegate:node:{id}")
}

/// The node that a URI in a certificate names.
pub fn node_of_uri(uri: &str) -> Option<tidegate_model::Id> {
    uri.strip_prefix("tidegate:node:")?.parse().ok()
}
