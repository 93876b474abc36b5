//! Where callers come in: sockets, and what is known of a connection before its first request.

pub(crate) mod balance;
pub(crate) mod connection;
mod frames;
mod guarded;
pub(crate) mod proxy_protocol;
pub(crate) mod tcp;
