//! A program that is accepted ends within its bounds, whatever it is given.

use crate::jq::{Bounds, Jq, JqError};

const BOUNDS: Bounds = Bounds { input_bytes: 4 << 10, depth: 20, steps: 20_000, output_bytes: 16 << 10 };

/// Feeds bytes as a program, a line end and its input.
pub fn jq(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (program, input) = text.split_once('\n').unwrap_or((text, "null"));
    let jq = match Jq::compile_with(program, &["$request"]) {
        Ok(jq) => jq,
        Err(problem) => {
            assert!(problem.line == 1 && problem.column >= 1, "{program:?} has one line: {problem}");
            assert!(problem.column <= program.chars().count() + 1, "{program:?} is not so long: {problem}");
            return;
        }
    };
    match jq.run_text(input.as_bytes(), Vec::new(), &BOUNDS) {
        Ok(output) => {
            assert!(output.len() <= BOUNDS.output_bytes, "{program:?} gave {} bytes", output.len());
            let again: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(&output);
            assert!(again.is_ok(), "{program:?} gave no JSON: {}", String::from_utf8_lossy(&output));
        }
        Err(JqError::Raised(message)) => assert!(message.len() < 4 << 10, "{program:?} raised {} bytes", message.len()),
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Programs of a few terms, put into one another in all the ways there are.
    fn program() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            ".",
            "..",
            ".[]",
            ".[]?",
            ".a",
            ".a?",
            ".[0]",
            ".[1:]",
            "1",
            "-2.5",
            "\"x\"",
            "$request",
            "null",
            "true",
            "empty",
            "length",
            "keys?",
            "add?",
            "sort?",
            "tojson",
            "tostring",
            "fromjson?",
            "tonumber?",
            "range(20)",
            "to_entries?",
            "flatten?",
            "reverse?",
            "unique?",
            "group_by(.)?",
            "min?",
            "not",
            "type",
            "error",
            "input",
            "[]",
            "{}",
            "@base64",
            "paths",
            "transpose?",
            "first?",
            "any?",
            "explode?",
            "implode?",
            "ascii_upcase?",
            "recurse",
            "join(\",\")?",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(6, 48, 3, |inner| {
            let op = prop::sample::select(vec![
                " | ", ", ", " + ", " - ", " * ", " / ", " % ", " // ", " and ", " == ", " < ", " |= ", " = ", " += ",
                " -= ", " *= ", " //= ",
            ]);
            let one = prop::sample::select(vec![
                "[_]",
                "(_)",
                "{a: _}",
                "{(_): 1}",
                "map(_)?",
                "select(_)",
                "(try _ catch .)",
                "(_)?",
                "-(_)",
                "\"\\(_)\"",
                "first(_)",
                "last(_)",
                "limit(3; _)",
                "isempty(_)",
                "path(_)?",
                "del(_)?",
                "walk(_)",
                "with_entries(_)?",
                "sort_by(_)?",
                "group_by(_)?",
                "any(_)?",
                "all(_)?",
                "has(_)?",
                "contains(_)?",
                "indices(_)?",
                "split(_)?",
                "ltrimstr(_)",
                "getpath(_)?",
                "setpath([\"a\", 0]; _)?",
                "delpaths(_)?",
                "pick(_)?",
                "to_entries?",
                "@uri \"\\(_)\"",
                "reduce range(12) as $i (.; _)",
                "[foreach .[]? as $i (0; _)]",
                "(def f(g): g | g; f(_))",
                "(. as [$a] | _)",
                "(label $out | _ | ., break $out)",
                "if _ then 1 else . end",
                ".[_]?",
                ".[_:]?",
                "test(_)?",
                "sub(\"a\"; _)?",
                "nth(1; _)",
                "until(_; .)",
                "repeat(_)",
                "range(_)",
                "(def f: _; f)",
                "(. as {a: $b} | _)",
                "skip(1; _)",
            ]);
            prop_oneof![
                (inner.clone(), op, inner.clone()).prop_map(|(l, op, r)| format!("({l}{op}{r})")),
                (one, inner).prop_map(|(one, inner)| one.replace('_', &inner)),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn holds_for_anything_like_a_program(program in program(), input in "(\\[|\\]|\\{|\\}|\"a\":|,|1|\"b\"|null){0,12}") {
            super::jq(format!("{program}\n{input}").as_bytes());
            super::jq(format!("{program}\n[[1,2,\"a\"],{{\"a\":[3,null]}},\"xyz\",4.5]").as_bytes());
        }

        #[test]
        fn holds_for_any_text(text in "[.a\\[\\]{}()|,;:$\"\\\\?0-9 a-f=+*/-]{0,60}") {
            super::jq(text.as_bytes());
        }
    }
}
