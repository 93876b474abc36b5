//! Journeys through the product: real binaries, Postgres, Redis, a real upstream. One file a journey, in `tests/`.

pub mod soak;
