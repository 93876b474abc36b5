//! Names, sizes and contents of files.

use std::collections::BTreeSet;

use super::{Finding, SourceFile, starts_word};

const LINES_MAX: usize = 600;

/// Longer than that, and why it may be.
const LONG: &[(&str, &str)] = &[];

/// Names that say nothing about what is in the file.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

/// Kept in the repository, but written by a program.
fn is_generated(path: &str) -> bool {
    path.ends_with(".d.ts") || path.ends_with("-lock.json") || path.ends_with(".lock") || path.ends_with("openapi.json")
}

fn is_source(path: &str) -> bool {
    const ENDINGS: &[&str] = &[".rs", ".ts", ".tsx", ".js", ".mjs", ".css", ".sql", ".proto", ".sh", ".py"];
    (ENDINGS.iter().any(|ending| path.ends_with(ending)) || path == "dev") && !is_generated(path)
}

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if is_source(&file.path) {
            names(file, &mut findings);
            length(file, &mut findings);
            markers(file, &mut findings);
        }
        if !is_generated(&file.path) {
            machine_paths(file, &mut findings);
        }
        if file.name() == "package-lock.json" {
            package_hosts(file, &mut findings);
        }
    }
    findings.extend(migrations(files));
    findings
}

fn names(file: &SourceFile, findings: &mut Vec<Finding>) {
    for part in file.path.split('/') {
        let stem = part.split('.').next().unwrap_or(part);
        if EMPTY_NAMES.contains(&stem) {
            findings.push(Finding::new(&file.path, format!("`{part}` says nothing; name what it holds")));
        }
    }
}

fn length(file: &SourceFile, findings: &mut Vec<Finding>) {
    let lines = file.text.lines().count();
    if lines > LINES_MAX && !LONG.iter().any(|(path, _)| *path == file.path) {
        findings.push(Finding::new(&file.path, format!("{lines} lines; more than {LINES_MAX} is several files")));
    }
}

/// Written in halves, so that this file is not found by itself.
const MARKERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

fn markers(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (at, line) in file.text.lines().enumerate() {
        for word in MARKERS {
            let whole = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            if starts_word(line, word) && line.split(word).skip(1).any(whole) {
                findings.push(file.at(at + 1, format!("`{word}`: do it, or open an issue")));
            }
        }
    }
}

const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

fn machine_paths(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (at, line) in file.text.lines().enumerate() {
        for folder in MACHINE_FOLDERS {
            // In the middle of a path it is somebody's own folder name.
            let at_start = |(from, _): (usize, &str)| {
                !line[..from]
                    .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}' | '*' | '~'))
            };
            if line.match_indices(folder).any(at_start) {
                findings.push(file.at(at + 1, format!("`{folder}` is a folder of one machine")));
            }
        }
    }
}

fn package_hosts(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (at, line) in file.text.lines().enumerate() {
        let Some((_, value)) = line.split_once("\"resolved\":") else { continue };
        if !value.trim().trim_start_matches('"').starts_with("https://registry.npmjs.org/") {
            findings.push(file.at(at + 1, "a package from elsewhere than registry.npmjs.org"));
        }
    }
}

/// Both engines have the same migrations, and each says why it is there.
fn migrations(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let of = |engine: &str| -> BTreeSet<String> {
        let below = format!("migrations/{engine}/");
        files
            .iter()
            .filter_map(|file| file.path.strip_prefix(&below))
            .filter(|name| name.ends_with(".sql"))
            .map(str::to_owned)
            .collect()
    };
    let (postgres, sqlite) = (of("postgres"), of("sqlite"));
    for name in postgres.symmetric_difference(&sqlite) {
        findings.push(Finding::new(format!("migrations/*/{name}"), "both engines have the same migrations"));
    }
    for file in files.iter().filter(|file| file.path.starts_with("migrations/") && file.path.ends_with(".sql")) {
        if !file.text.starts_with("--") {
            findings.push(file.at(1, "a migration opens with a comment that says why"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&[SourceFile::new(path, text)]).iter().map(|finding| finding.what.clone()).collect()
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(found("cli/src/utils.rs", "").len(), 1);
        assert_eq!(found("web-admin/src/common/Button.tsx", "").len(), 1);
        assert!(found("cli/src/commonwealth.rs", "").is_empty());
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(
            found("cli/src/main.rs", &"\n".repeat(LINES_MAX + 1)),
            ["601 lines; more than 600 is several files"]
        );
        assert!(found("cli/src/main.rs", &"\n".repeat(LINES_MAX)).is_empty());
        assert!(found("web-admin/src/api.d.ts", &"\n".repeat(LINES_MAX + 1)).is_empty());
    }

    #[test]
    fn markers_are_found() {
        for marker in MARKERS {
            assert_eq!(found("cli/src/main.rs", &format!("// {marker}: later\n")).len(), 1);
            assert!(found("cli/src/main.rs", &format!("const {marker}S: u8 = 1;\n")).is_empty());
        }
    }

    #[test]
    fn folders_of_one_machine_are_found() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(found("README.md", &format!("see {folder}me/project\n")).len(), 1, "{folder}");
            assert!(found("README.md", &format!("https://example.org{folder}x\n")).is_empty());
        }
    }

    #[test]
    fn packages_from_elsewhere_are_found() {
        let line = |host: &str| format!("      \"resolved\": \"https://{host}/a/-/a-1.0.0.tgz\",\n");
        assert_eq!(found("web-admin/package-lock.json", &line("npm.example.org")).len(), 1);
        assert!(found("web-admin/package-lock.json", &line("registry.npmjs.org")).is_empty());
    }

    #[test]
    fn migrations_go_in_pairs_and_say_why() {
        let found = found("migrations/postgres/0001_log.sql", "create table head ();\n");
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
