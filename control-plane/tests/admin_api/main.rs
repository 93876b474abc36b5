//! The admin API, over real sockets: on SQLite where it does not matter, on Postgres where it does.

mod coverage;
mod credentials;
mod nouns;
mod openapi;
mod pages;
mod plane;
mod pointing;
mod replicas;
mod requests;
mod revisions;
mod seeing;
mod sessions;
mod tokens;
mod writes;
