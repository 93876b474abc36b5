//! Which licences the crates may have.

use super::Finding;
use super::crates::Built;

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "MPL-2.0+",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(super) fn check(built: &[Built]) -> Vec<Finding> {
    let foreign = built.iter().filter(|one| !one.own);
    let refused = foreign.filter(|one| !may(&one.licence));
    refused
        .map(|one| {
            Finding::new(
                format!("{} {}", one.name, one.version),
                format!("the licence `{}` is not allowed", one.licence),
            )
        })
        .collect()
}

/// Whether an SPDX expression can be met with allowed licences. Something unreadable can't.
fn may(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest) == Some(true) && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> Option<bool> {
    let mut allowed = all(rest)?;
    while take(rest, "OR") {
        allowed |= all(rest)?;
    }
    Some(allowed)
}

fn all(rest: &mut &[&str]) -> Option<bool> {
    let mut allowed = one(rest)?;
    while take(rest, "AND") {
        allowed &= one(rest)?;
    }
    Some(allowed)
}

fn one(rest: &mut &[&str]) -> Option<bool> {
    if take(rest, "(") {
        let allowed = either(rest)?;
        return take(rest, ")").then_some(allowed);
    }
    let (name, after) = rest.split_first()?;
    *rest = after;
    // An exception only ever gives more freedom.
    if take(rest, "WITH") {
        *rest = rest.split_first()?.1;
    }
    Some(ALLOWED.contains(name))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, after)) if *first == word => {
            *rest = after;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_if_some_choice_is() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "ISC AND (GPL-2.0 OR ISC) AND Unicode-3.0",
        ] {
            assert!(may(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "", "(MIT", "MIT Apache-2.0", "AGPL-3.0 OR SSPL-1.0"] {
            assert!(!may(bad), "{bad}");
        }
    }

    #[test]
    fn a_crate_without_a_licence_is_found() {
        let none = Built { name: "a".into(), version: "1.0.0".into(), licence: String::new(), own: false };
        assert_eq!(check(&[none]).len(), 1);
    }
}
