//! Which crate may depend on which.

use serde_json::Value;

use super::Finding;

/// A crate of the workspace, what it may use of the workspace, and what it must not use from outside.
struct Rule {
    name: &'static str,
    may_use: &'static [&'static str],
    must_not_use: &'static [&'static str],
}

/// What does I/O has no place in the engine.
const IO: &[&str] = &[
    "axum",
    "hyper",
    "hyper-util",
    "redis",
    "reqwest",
    "socket2",
    "sqlx",
    "tokio",
    "tokio-rustls",
    "tokio-stream",
    "tokio-util",
    "tonic",
];

const SHARED: &[&str] =
    &["tidegate-proto", "tidegate-model", "tidegate-policy", "tidegate-snapshot", "tidegate-telemetry"];

const RULES: &[Rule] = &[
    Rule { name: "tidegate-model", may_use: &[], must_not_use: IO },
    Rule { name: "tidegate-policy", may_use: &["tidegate-model"], must_not_use: IO },
    Rule { name: "tidegate-snapshot", may_use: &["tidegate-model", "tidegate-policy"], must_not_use: IO },
    Rule { name: "tidegate-proto", may_use: &["tidegate-model"], must_not_use: &["axum", "redis", "reqwest", "sqlx"] },
    Rule { name: "tidegate-telemetry", may_use: &[], must_not_use: &["axum", "redis", "reqwest", "sqlx", "tonic"] },
    Rule { name: "tidegate-control-plane", may_use: SHARED, must_not_use: &["redis"] },
    Rule {
        name: "tidegate-data-plane",
        may_use: SHARED,
        must_not_use: &["axum", "ldap3", "reqwest", "rust-embed", "sqlx", "utoipa"],
    },
    Rule {
        name: "tidegate",
        may_use: &[
            "tidegate-control-plane",
            "tidegate-data-plane",
            "tidegate-model",
            "tidegate-policy",
            "tidegate-proto",
            "tidegate-snapshot",
            "tidegate-telemetry",
        ],
        must_not_use: &["axum", "redis", "sqlx", "tonic"],
    },
    Rule { name: "tidegate-testkit", may_use: &["tidegate-model", "tidegate-proto"], must_not_use: &[] },
    Rule { name: "tidegate-e2e", may_use: &["tidegate-model", "tidegate-testkit"], must_not_use: &[] },
    Rule { name: "tidegate-bench-peer", may_use: &[], must_not_use: &[] },
    Rule { name: "xtask", may_use: &["tidegate-testkit"], must_not_use: &[] },
];

/// Reads the answer of `cargo metadata --no-deps`.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
            findings.push(Finding::new(name, "a crate without arrows; give it a rule in xtask/src/tidy/arrows.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let for_tests = dependency["kind"] == "dev";
            if names.contains(&used) {
                let may = rule.may_use.contains(&used) || (for_tests && used == "tidegate-testkit");
                if !may {
                    findings.push(Finding::new(name, format!("must not depend on `{used}`")));
                }
            } else if !for_tests && rule.must_not_use.contains(&used) {
                findings.push(Finding::new(name, format!("has no business with `{used}`")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(name: &str, dependency: &str, kind: Option<&str>) -> Vec<String> {
        let other = json!({ "name": "tidegate-testkit", "dependencies": [] });
        let planes = ["tidegate-control-plane", "tidegate-data-plane", "tidegate-policy"]
            .map(|plane| json!({ "name": plane, "dependencies": [] }));
        let package = json!({ "name": name, "dependencies": [{ "name": dependency, "kind": kind }] });
        let mut packages: Vec<Value> = planes.into_iter().filter(|plane| plane["name"] != name).collect();
        packages.extend([other, package]);
        check(&json!({ "packages": packages })).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn planes_never_depend_on_each_other() {
        let found = findings("tidegate-control-plane", "tidegate-data-plane", Some("dev"));
        assert_eq!(found, ["tidegate-control-plane: must not depend on `tidegate-data-plane`"]);
    }

    #[test]
    fn an_arrow_against_the_stream_is_found() {
        let found = findings("tidegate-model", "tidegate-policy", None);
        assert_eq!(found, ["tidegate-model: must not depend on `tidegate-policy`"]);
    }

    #[test]
    fn the_engine_does_no_io_but_its_tests_may() {
        assert_eq!(findings("tidegate-policy", "tokio", None), ["tidegate-policy: has no business with `tokio`"]);
        assert!(findings("tidegate-policy", "tokio", Some("dev")).is_empty());
    }

    #[test]
    fn the_testkit_is_for_tests() {
        assert!(findings("tidegate-data-plane", "tidegate-testkit", Some("dev")).is_empty());
        assert_eq!(findings("tidegate-data-plane", "tidegate-testkit", None).len(), 1);
    }

    #[test]
    fn a_new_crate_needs_a_rule() {
        assert_eq!(findings("tidegate-extra", "bytes", None).len(), 1);
    }
}
