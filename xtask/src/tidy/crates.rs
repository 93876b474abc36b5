//! Which crates may be built, and how old they may be.

use anyhow::{Context as _, Result};

use super::Finding;
use crate::shell::{cargo, command, output};

/// A crate that is built for the binary or its tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Built {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licence: String,
    /// A member of this workspace.
    pub(super) own: bool,
}

/// Never built, and why.
const BANNED: &[(&str, &str)] = &[
    ("ring", "one crypto provider: aws-lc-rs"),
    ("openssl-sys", "one crypto provider: aws-lc-rs"),
    ("native-tls", "rustls speaks TLS"),
    ("rsa", "RUSTSEC-2023-0071 has no fix; aws-lc-rs does RSA"),
    ("paste", "unmaintained"),
    ("serde_yaml", "unmaintained; serde-saphyr reads YAML"),
];

/// Not even in the lock file. (ring is there: optional features that are off list it.)
const NOT_LOCKED: &[&str] = &["openssl-sys", "native-tls", "rsa", "paste", "serde_yaml"];

/// The first versions without a known hole.
const AT_LEAST: &[(&str, &str)] = &[
    ("aws-lc-sys", "0.39.0"),
    ("bytes", "1.11.1"),
    ("h2", "0.4.16"),
    ("quinn-proto", "0.11.15"),
    ("rustls-webpki", "0.103.13"),
    ("time", "0.3.47"),
];

/// Asks cargo what this machine would build.
pub(super) fn built() -> Result<Vec<Built>> {
    let tree =
        ["tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}\t{l}"];
    let mut crates = output(command(&cargo(), &tree))?
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| parse(line).with_context(|| format!("cargo tree says `{line}`")))
        .collect::<Result<Vec<Built>>>()?;
    crates.sort();
    crates.dedup();
    Ok(crates)
}

/// `bytes v1.12.2<tab>MIT`, `clap_derive v4.6.9 (proc-macro)<tab>MIT OR Apache-2.0 (*)`, `tidegate v0.1.0 (<folder>)<tab>Apache-2.0`
fn parse(line: &str) -> Option<Built> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let own = words.next().is_some_and(|from| from.starts_with("(/"));
    let licence = licence.trim_end_matches(" (*)").trim();
    Some(Built { name: name.to_owned(), version: version.to_owned(), licence: licence.to_owned(), own })
}

/// What is banned or too old, among what is built and what is locked.
pub(super) fn check(built: &[Built], lock: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, why) in BANNED {
        let is_locked = NOT_LOCKED.contains(name) && locked(lock).any(|(locked, _)| locked == *name);
        if is_locked || built.iter().any(|one| one.name == *name) {
            findings.push(Finding::new(
                "Cargo.lock",
                format!("`{name}` is banned: {why} (`cargo tree -i {name}` says who wants it)"),
            ));
        }
    }
    for (name, version) in locked(lock) {
        let least = AT_LEAST.iter().find(|(limited, _)| *limited == name);
        if let Some((_, least)) = least.filter(|(_, least)| numbers(version) < numbers(least)) {
            findings.push(Finding::new("Cargo.lock", format!("`{name}` {version} has a known hole; at least {least}")));
        }
    }
    for line in lock.lines().filter(|line| line.starts_with("source = ")) {
        if line != "source = \"registry+https://github.com/rust-lang/crates.io-index\"" {
            findings.push(Finding::new("Cargo.lock", format!("{line}: crates come from crates.io alone")));
        }
    }
    findings
}

/// Name and version of each entry.
fn locked(lock: &str) -> impl Iterator<Item = (&str, &str)> {
    lock.split("[[package]]").filter_map(|entry| Some((field(entry, "\nname = \"")?, field(entry, "\nversion = \"")?)))
}

fn field<'a>(entry: &'a str, opening: &str) -> Option<&'a str> {
    entry.split_once(opening)?.1.split('"').next()
}

fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or(version);
    plain.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, version: &str) -> String {
        format!("version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
    }

    fn one(name: &str) -> Built {
        Built { name: name.to_owned(), version: "1.0.0".to_owned(), licence: "MIT".to_owned(), own: false }
    }

    #[test]
    fn each_banned_crate_is_found_when_built() {
        for (name, _) in BANNED {
            assert_eq!(check(&[one(name)], "").len(), 1, "{name}");
        }
    }

    #[test]
    fn an_optional_ring_may_be_locked_and_the_others_not() {
        assert!(check(&[], &entry("ring", "0.17.14")).is_empty());
        for name in NOT_LOCKED {
            assert_eq!(check(&[], &entry(name, "1.0.0")).len(), 1, "{name}");
        }
    }

    #[test]
    fn versions_with_holes_are_found() {
        for (name, least) in AT_LEAST {
            assert_eq!(check(&[], &entry(name, "0.0.9")).len(), 1, "{name}");
            assert!(check(&[], &entry(name, least)).is_empty(), "{name}");
        }
        assert!(check(&[], &entry("h2", "0.5.0-rc.1")).is_empty());
    }

    #[test]
    fn crates_from_git_are_found() {
        let lock = entry("fork", "1.0.0") + "source = \"git+https://example.org/fork\"\n";
        assert_eq!(check(&[], &lock).len(), 1);
    }

    #[test]
    fn lines_of_cargo_tree_are_read() {
        let found = parse("clap_derive v4.6.9 (proc-macro)\tMIT OR Apache-2.0 (*)").unwrap();
        assert_eq!(
            (found.name.as_str(), found.version.as_str(), found.licence.as_str()),
            ("clap_derive", "4.6.9", "MIT OR Apache-2.0")
        );
        assert!(!found.own);
        assert!(parse("tidegate v0.1.0 (/src/cli)\tApache-2.0").unwrap().own);
    }
}
