//! Where callers come in: sockets, and what is known of a connection before its first request.

pub(crate) mod connection;
mod guarded;
pub(crate) mod proxy_protocol;
pub(crate) mod tcp;
