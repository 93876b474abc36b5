//! A real gRPC server with a call of each shape: an API to stand behind the gateway, and its client.
//!
//! Each answer has the metadata `x-echo` in its head. A status other than 0 in a line ends the call with that status, the message
//! [`ASKED_FOR`], and the line's text as metadata `x-echo-text` among the trailers.

mod server;
mod shapes;

pub use server::Grpc;
pub use shapes::{client, every_shape};
pub use tonic::{Code, Status};

/// The message of a status that was asked for.
pub const ASKED_FOR: &str = "asked for, ä";

/// Messages, server and client, generated.
#[expect(missing_docs, reason = "the .proto file documents them")]
#[expect(clippy::allow_attributes, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("tidegate.test.v1");
}

/// A line to send.
pub fn line(text: &str) -> v1::Line {
    v1::Line { text: text.to_owned(), count: 0, status: 0 }
}
