//! `soak`: long runs against a cluster.

use anyhow::{Result, bail};

/// Name and what it shows.
const SOAKS: &[(&str, &str)] = &[];

pub(crate) fn soak(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        Some(name) => bail!("there is no soak `{name}`; there are {}", crate::fuzz::listed(SOAKS)),
        None => println!("soaks: {}", crate::fuzz::listed(SOAKS)),
    }
    Ok(())
}
