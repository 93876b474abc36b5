//! Printing: tables for people, JSON as it was answered.

use anyhow::bail;
use clap::ValueEnum;
use serde_json::Value;

use super::admin::Answer;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Columns and sentences.
    Table,
    /// As the control plane answers.
    Json,
}

/// Prints JSON.
pub(super) fn json(value: &Value) -> anyhow::Result<()> {
    super::print(&format!("{value:#}\n"))
}

/// Columns of text under their heads.
pub(super) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(heads.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Where in the log a write is: ` at revision 7`.
pub(super) fn at(answer: &Answer) -> String {
    answer.revision.map(|revision| format!(" at revision {revision}")).unwrap_or_default()
}

/// Tells that something is gone.
pub(super) fn tell_deleted(what: &str, done: &str, answer: &Answer, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Table => super::print(&format!("{what} {done}{}\n", at(answer)))?,
        Output::Json if answer.body.is_null() => json(&serde_json::json!({ "revision": answer.revision }))?,
        Output::Json => json(&answer.body)?,
    }
    tell_applied(answer, output)
}

/// A field as a person reads it: lists by commas, nothing for null, documents as they are.
pub(super) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) if all.iter().all(|one| !one.is_object() && !one.is_array()) => {
            all.iter().map(|one| cell(Some(one))).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    }
}

/// A field of a resource.
pub(super) fn field(value: &Value, name: &str) -> String {
    cell(value.get(name))
}

/// Tells which nodes serve a change, if that was asked. An error if some do not: the change is made, but what was asked for is
/// not yet true.
pub(super) fn tell_applied(answer: &Answer, output: Output) -> anyhow::Result<()> {
    let Some(applied) = answer.applied() else { return Ok(()) };
    let (confirmed, all) = (applied.confirmed.len(), applied.confirmed.len() + applied.behind.len());
    if applied.complete {
        if output == Output::Table {
            eprintln!("revision {} is served by {confirmed} of {all} nodes", applied.revision);
        }
        return Ok(());
    }
    let behind: Vec<String> = applied.behind.iter().map(ToString::to_string).collect();
    bail!(
        "revision {} is made, but served by only {confirmed} of {all} nodes so far; not confirmed: {}",
        applied.revision,
        behind.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(applied: Value) -> Answer {
        Answer { status: reqwest::StatusCode::OK, body: json!({ "applied": applied }), revision: Some(7) }
    }

    #[test]
    fn nodes_that_did_not_confirm_are_named() {
        let behind = json!([{"node": "n2", "at": 5, "reason": "silent"}, {"node": "n3", "at": 6, "reason": null}]);
        let told = tell_applied(
            &answer(json!({"revision": 7, "complete": false, "confirmed": ["n1"], "behind": behind})),
            Output::Json,
        );
        assert_eq!(
            told.unwrap_err().to_string(),
            "revision 7 is made, but served by only 1 of 3 nodes so far; not confirmed: n2 (silent), n3 (at 6)"
        );
        let whole = answer(json!({"revision": 7, "complete": true, "confirmed": ["n1"], "behind": []}));
        tell_applied(&whole, Output::Json).unwrap();
    }

    #[test]
    fn fields_read_as_text() {
        let of = |value: Value| cell(Some(&value));
        assert_eq!(of(json!(["a", 1])), "a,1");
        assert_eq!(of(json!({"a": 1})), r#"{"a":1}"#);
        assert_eq!(of(json!(null)), "");
    }
}
