//! Arrows within crates: what a folder may name.

use std::collections::BTreeSet;

use super::{Finding, SourceFile, starts_word};

/// In sources below the folder, the word may stand only where a path starts with one of these.
struct Bound {
    below: &'static str,
    word: &'static str,
    only_in: &'static [&'static str],
    because: &'static str,
}

const BOUNDS: &[Bound] = &[
    Bound {
        below: "control-plane/src/",
        word: "sqlx::",
        only_in: &["control-plane/src/store/"],
        because: "SQL stays in `store`",
    },
    Bound {
        below: "control-plane/src/",
        word: "axum::",
        only_in: &["control-plane/src/admin_api/", "control-plane/src/app.rs", "control-plane/src/web_admin"],
        because: "axum stays in `admin_api`",
    },
    Bound {
        below: "data-plane/src/",
        word: "redis::",
        only_in: &["data-plane/src/ports/"],
        because: "Redis stays behind `ports`",
    },
    Bound { below: "engine/", word: "std::fs", only_in: &[], because: "the engine reads no files" },
    Bound { below: "engine/", word: "std::net::Tcp", only_in: &[], because: "the engine opens no sockets" },
    Bound { below: "engine/", word: "std::net::Udp", only_in: &[], because: "the engine opens no sockets" },
    Bound { below: "engine/", word: "ToSocketAddrs", only_in: &[], because: "the engine resolves no names" },
    Bound { below: "engine/", word: "tokio::", only_in: &[], because: "the engine has no runtime" },
    Bound { below: "engine/", word: "SystemTime::now", only_in: &[], because: "time comes from `Clock`" },
    Bound { below: "engine/", word: "Instant::now", only_in: &[], because: "time comes from `Clock`" },
];

/// What every policy kind's folder has.
const ROOM_FILES: [&str; 5] = ["mod.rs", "config.rs", "runtime.rs", "tests.rs", "README.md"];

const POLICIES: &str = "engine/policy/src/";

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| is_product_code(&file.path)) {
        for bound in BOUNDS {
            let concerns =
                file.path.starts_with(bound.below) && !bound.only_in.iter().any(|room| file.path.starts_with(room));
            if !concerns {
                continue;
            }
            for (at, line) in file.code().filter(|(_, line)| starts_word(line, bound.word)) {
                findings.push(file.at(at, format!("`{}`: {}", line.trim(), bound.because)));
            }
        }
    }
    findings.extend(policy_rooms(files));
    findings
}

/// Sources that end up in the binary: below a `src/`, and not a test by its name.
fn is_product_code(path: &str) -> bool {
    path.ends_with(".rs") && path.contains("/src/") && !path.ends_with("/tests.rs") && !path.contains("/tests/")
}

fn policy_rooms(files: &[SourceFile]) -> Vec<Finding> {
    let in_folders = files.iter().filter_map(|file| Some((file, file.path.strip_prefix(POLICIES)?.split_once('/')?)));
    let in_folders: Vec<(&SourceFile, (&str, &str))> = in_folders.collect();
    // A folder with a config or a runtime is a kind; others hold what kinds share.
    let kinds: BTreeSet<&str> = in_folders
        .iter()
        .filter(|(_, (_, rest))| ["config.rs", "runtime.rs"].contains(rest))
        .map(|(_, (room, _))| *room)
        .collect();

    let mut findings = Vec::new();
    for room in &kinds {
        for wanted in ROOM_FILES {
            if !in_folders.iter().any(|(_, place)| *place == (*room, wanted)) {
                findings.push(Finding::new(format!("{POLICIES}{room}"), format!("a policy kind has a `{wanted}`")));
            }
        }
    }
    for (file, (room, _)) in
        in_folders.iter().filter(|(file, (room, _))| kinds.contains(room) && file.path.ends_with(".rs"))
    {
        for (at, line) in file.text.lines().enumerate() {
            for other in kinds.iter().filter(|other| *other != room) {
                let names = ["crate", "super", "super::super"].map(|from| format!("{from}::{other}::"));
                if !line.trim_start().starts_with("//") && names.iter().any(|name| starts_word(line, name)) {
                    findings.push(file.at(at + 1, format!("a policy kind never uses another (`{other}`)")));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<SourceFile> = files.iter().map(|(path, text)| SourceFile::new(path, text)).collect();
        check(&files).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn sql_outside_the_store_is_found() {
        let bad = [("control-plane/src/changes/mod.rs", "use std::fmt;\nuse sqlx::PgPool;\n")];
        assert_eq!(found(&bad), ["control-plane/src/changes/mod.rs:2: `use sqlx::PgPool;`: SQL stays in `store`"]);
        assert!(found(&[("control-plane/src/store/postgres.rs", "use sqlx::PgPool;\n")]).is_empty());
        assert!(found(&[("control-plane/tests/store.rs", "use sqlx::PgPool;\n")]).is_empty());
    }

    #[test]
    fn each_bound_can_be_seen_red() {
        for bound in BOUNDS {
            let path = format!("{}x/src/bad.rs", bound.below);
            assert_eq!(found(&[(&path, &format!("use {};\n", bound.word))]).len(), 1, "{}", bound.word);
        }
    }

    #[test]
    fn tests_inside_the_engine_may_read_files() {
        let file =
            [("engine/policy/src/chain.rs", "use std::fmt;\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n")];
        assert!(found(&file).is_empty());
    }

    fn room(runtime: &str) -> Vec<(&str, &str)> {
        vec![
            ("engine/policy/src/acl/config.rs", ""),
            ("engine/policy/src/key_auth/mod.rs", ""),
            ("engine/policy/src/key_auth/config.rs", ""),
            ("engine/policy/src/key_auth/runtime.rs", runtime),
            ("engine/policy/src/key_auth/tests.rs", ""),
            ("engine/policy/src/key_auth/README.md", ""),
        ]
    }

    #[test]
    fn a_kind_that_lacks_a_file_is_found() {
        let lacking: Vec<String> = ["README.md", "mod.rs", "runtime.rs", "tests.rs"]
            .iter()
            .map(|file| format!("engine/policy/src/acl: a policy kind has a `{file}`"))
            .collect();
        let mut told = found(&room(""));
        told.sort();
        assert_eq!(told, lacking);
    }

    #[test]
    fn a_kind_that_uses_another_is_found() {
        let told = found(&room("use crate::chain::Chain;\nuse crate::acl::config::List;\n"));
        assert!(
            told.contains(
                &"engine/policy/src/key_auth/runtime.rs:2: a policy kind never uses another (`acl`)".to_owned()
            )
        );
    }
}
