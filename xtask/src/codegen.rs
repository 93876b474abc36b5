//! `codegen`: what is generated and kept in the repository.
//!
//! The admin API's description comes from its handlers, the web admin's types from the description. Tests fail when either
//! is behind.

use std::fs;

use anyhow::Result;

use crate::shell::{cargo, command, output, root, run};
use crate::web::{install_if_stale, npm};

pub(crate) fn codegen() -> Result<()> {
    let description = output(command(&cargo(), &["run", "--quiet", "-p", "tidegate", "--", "openapi"]))?;
    fs::write(root().join("control-plane/openapi.json"), description)?;
    println!("wrote control-plane/openapi.json");
    install_if_stale()?;
    run(npm(&["run", "api"]))
}
