//! Reads how many tests passed and failed from what the test runners print last.

use std::ops::AddAssign;

/// Tests of one or several suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub passed: u64,
    pub failed: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What a line adds to the count: closing lines of libtest, nextest, vitest and node's runner; nothing for any other.
pub(crate) fn count(line: &str) -> Count {
    let plain = without_colours(line);
    // nextest shows what a failed test printed, libtest's own closing line included, further to the right.
    if plain.starts_with(" ") && plain.trim_start().starts_with("test result:") {
        return Count::default();
    }
    let line = plain.trim();
    if line.starts_with("test result:") || (line.starts_with("Summary [") && line.contains(" run:")) {
        return Count {
            passed: before(line, "passed"),
            failed: before(line, "failed") + before(line, "timed out") + before(line, "exec failed"),
        };
    }
    // vitest: `Tests  1 failed | 12 passed (13)`
    if let Some(tests) = line.strip_prefix("Tests ") {
        return Count { passed: before(tests, "passed"), failed: before(tests, "failed") };
    }
    // node: `# pass 3` in a file, `ℹ pass 3` on a terminal
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["#" | "ℹ", "pass", number] => Count { passed: number.parse().unwrap_or(0), failed: 0 },
        ["#" | "ℹ", "fail" | "cancelled", number] => Count { passed: 0, failed: number.parse().unwrap_or(0) },
        _ => Count::default(),
    }
}

/// The number before a word; 0 where there is none.
fn before(line: &str, word: &str) -> u64 {
    let mut from = line;
    while let Some((head, tail)) = from.split_once(word) {
        let number = head.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        if let Ok(number) = number.parse() {
            return number;
        }
        from = tail;
    }
    0
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // An escape sequence ends with its first letter.
            characters.find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_each_runner_are_understood() {
        for (line, passed, failed) in [
            ("test result: ok. 15 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.62s", 15, 0),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out", 3, 2),
            ("     Summary [   0.523s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped", 9, 3),
            (
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.5s] \u{1b}[1m7\u{1b}[0m tests run: \u{1b}[1m7\u{1b}[0m passed, 0 skipped",
                7,
                0,
            ),
            ("      Tests  1 failed | 12 passed (13)", 12, 1),
            (" Test Files  3 passed (3)", 0, 0),
            ("ℹ pass 3", 3, 0),
            ("# fail 2", 0, 2),
            ("    test result: FAILED. 0 passed; 1 failed; 0 ignored", 0, 0),
            ("the gate has passed 4 requests", 0, 0),
        ] {
            assert_eq!(count(line), Count { passed, failed }, "{line}");
        }
    }
}
