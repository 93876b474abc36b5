//! `tidy`: what the compiler does not check. Each rule is a function from what it reads to its findings, so that a test
//! can show it red.

mod arrows;
mod crates;
mod files;
mod licences;
mod rooms;

use std::fmt;
use std::fs;

use anyhow::{Result, bail};

use crate::shell::{cargo, command, output, root};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// A file, with a line where there is one; or a crate.
    place: String,
    /// What is wrong, and what to do instead.
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A text file of the project.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// From the project's folder, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    #[cfg(test)]
    fn new(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    /// The path's last part.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Lines of code with their numbers: no comments, and nothing from the first `#[cfg(test)]` module on.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
        std::iter::from_fn(move || {
            loop {
                let (at, line) = lines.next()?;
                let opens_tests = line.starts_with("#[cfg(test)]")
                    && lines.peek().is_some_and(|(_, next)| next.starts_with("mod ") && next.ends_with('{'));
                if opens_tests {
                    return None;
                }
                if !line.trim_start().starts_with("//") {
                    return Some((at, line));
                }
            }
        })
    }

    /// A finding at a line of this file.
    fn at(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding::new(format!("{}:{line}", self.path), what)
    }
}

/// Whether `word` stands in `line` with no letter, digit or `_` before it.
fn starts_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Checks the project; prints what is wrong and fails if anything is.
pub(crate) fn tidy() -> Result<()> {
    let files = project_files()?;
    let metadata = command(&cargo(), &["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let metadata = serde_json::from_str(&output(metadata)?)?;
    let built = crates::built()?;

    let mut findings = arrows::check(&metadata);
    findings.extend(rooms::check(&files));
    findings.extend(files::check(&files));
    findings.extend(crates::check(&built, &fs::read_to_string(root().join("Cargo.lock"))?));
    findings.extend(licences::check(&built));
    findings.sort();
    findings.dedup();
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files and {} crates are as they should be", files.len(), built.len());
            Ok(())
        }
        count => bail!("{count} things are not as they should be"),
    }
}

/// All text files that git knows or would take.
fn project_files() -> Result<Vec<SourceFile>> {
    let listed = output(command("git", &["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    let mut files = Vec::new();
    for path in listed.lines() {
        // Listed but deleted, a link, or a picture: nothing to read.
        let Ok(bytes) = fs::read(root().join(path)) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(SourceFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_leaves_out_comments_and_test_modules() {
        let file = SourceFile::new(
            "a.rs",
            "//! doc\nuse a;\n    // why\n#[cfg(test)]\nuse b;\n#[cfg(test)]\nmod tests {\nuse c;\n}\n",
        );
        let lines: Vec<usize> = file.code().map(|(at, _)| at).collect();
        assert_eq!(lines, [2, 4, 5]);
    }

    #[test]
    fn words_start_at_their_start() {
        assert!(starts_word("use sqlx::query;", "sqlx::"));
        assert!(!starts_word("use mysqlx::query;", "sqlx::"));
    }
}
