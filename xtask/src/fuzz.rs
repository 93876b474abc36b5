//! `fuzz`: the fuzz targets.

use anyhow::{Result, bail};

/// Name and what it feeds.
const TARGETS: &[(&str, &str)] = &[];

pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        Some(name) => bail!("there is no fuzz target `{name}`; there are {}", listed(TARGETS)),
        None => println!("fuzz targets: {}", listed(TARGETS)),
    }
    Ok(())
}

/// A list for a message.
pub(crate) fn listed(names: &[(&str, &str)]) -> String {
    if names.is_empty() {
        return "none yet".to_owned();
    }
    names.iter().map(|(name, what)| format!("\n  {name}  {what}")).collect()
}
