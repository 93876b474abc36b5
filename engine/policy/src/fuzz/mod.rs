//! Bodies of the fuzz targets: what must hold for any bytes. They panic where it does not.
//!
//! `./dev fuzz` feeds them by coverage; the tests here feed them what a generator makes. One function a file.

mod jq;

pub use jq::jq;
