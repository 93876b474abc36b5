//! The plane that operators talk to: it judges changes, keeps them, and streams them to the nodes.

pub mod app;
pub mod config_stream;
pub mod fleet;
pub mod store;
