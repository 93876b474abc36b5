//! Pages of the documentation whose examples run.

use serde_json::Value;

/// The JSON blocks of a page, each with the lines of the blocks of text that stand behind it. Commands are for people.
pub(crate) fn examples(page: &'static str) -> Vec<(Value, Vec<&'static str>)> {
    let mut examples: Vec<(Value, Vec<&str>)> = Vec::new();
    let mut blocks = page.split("```");
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        match block.split_once('\n') {
            Some(("json", text)) => examples.push((serde_json::from_str(text).expect(text), Vec::new())),
            Some(("text", text)) => {
                let (_, lines) = examples.last_mut().expect("an example stands before its requests");
                lines.extend(text.lines().filter(|line| !line.is_empty()));
            }
            Some(("sh", _)) => {}
            other => panic!("what is this block? {other:?}"),
        }
    }
    examples
}
