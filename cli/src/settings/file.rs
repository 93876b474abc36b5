//! The file of settings: one flat YAML map, its keys the names of flags.

use std::path::Path;

use serde_json::{Map, Value};

use super::form::quoted;
use super::table::{NOT_YET, SETTINGS};
use super::{Setting, Verb};

/// What the file says, as the flags would have said it.
pub(super) fn read(verb: Verb, path: &Path, problems: &mut Vec<String>) -> Vec<(&'static Setting, Vec<String>)> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.push(format!("--config {}: {error}", path.display()));
            return Vec::new();
        }
    };
    parse(verb, &path.display().to_string(), &text, problems)
}

fn parse(verb: Verb, file: &str, text: &str, problems: &mut Vec<String>) -> Vec<(&'static Setting, Vec<String>)> {
    let map = match serde_saphyr::from_str::<Option<Map<String, Value>>>(text) {
        Ok(map) => map.unwrap_or_default(),
        Err(error) => {
            problems.push(format!("{file}: {error}"));
            return Vec::new();
        }
    };
    let mut said = Vec::new();
    for (key, value) in map {
        let Some(setting) = verb.setting(&key) else {
            problems.push(format!("{file}: {}", stranger(verb, &key)));
            continue;
        };
        match values(setting, value) {
            Ok(values) => said.push((setting, values)),
            Err(why) => problems.push(format!("{file}: `{key}`: {why}")),
        }
    }
    said
}

/// What to say of a key that this server does not know.
fn stranger(verb: Verb, key: &str) -> String {
    if let Some((_, why)) = NOT_YET.iter().find(|(name, _)| *name == key) {
        return format!("`{key}`: {why}");
    }
    let elsewhere: Vec<_> = Verb::ALL.iter().filter(|other| other.setting(key).is_some()).map(|v| v.name()).collect();
    if !elsewhere.is_empty() {
        return format!("`{key}` is a setting of {}, not of `{}`", quoted(&elsewhere), verb.name());
    }
    match nearest(key, verb.settings().map(|setting| setting.name)) {
        Some(name) => format!("unknown key `{key}`; did you mean `{name}`?"),
        None => format!("unknown key `{key}`; `tidegate {} --help` lists all", verb.name()),
    }
}

/// The name that was probably meant, if one is near enough.
pub(super) fn nearest(word: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let word = word.replace('_', "-").to_lowercase();
    names
        .map(|name| (strsim::jaro_winkler(&word, name), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn values(setting: &Setting, value: Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(all) if setting.form.many() => all.into_iter().map(scalar).collect(),
        Value::Object(pairs) if setting.form == super::Form::Labels => {
            pairs.into_iter().map(|(key, value)| Ok(format!("{key}={}", scalar(value)?))).collect()
        }
        Value::Array(_) => Err("one value is wanted, not a list".to_owned()),
        // YAML takes `on` and `off` for more than words
        Value::Bool(is_on) if matches!(setting.form, super::Form::OneOf(words) if words.contains(&"off")) => {
            Ok(vec![if is_on { "on" } else { "off" }.to_owned()])
        }
        Value::Bool(false) if matches!(setting.form, super::Form::Level | super::Form::LogTarget) => {
            Ok(vec!["off".to_owned()])
        }
        // as on the command line, commas separate
        one if setting.form.many() => Ok(scalar(one)?.split(',').map(str::to_owned).collect()),
        one => Ok(vec![scalar(one)?]),
    }
}

fn scalar(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(word) => Ok(word.to_string()),
        Value::Null => Err("it has no value; give one, or leave the line out".to_owned()),
        Value::Array(_) | Value::Object(_) => Err("a text or a number is wanted".to_owned()),
    }
}

/// All names that mean something to some server.
pub(super) fn known_names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.name).chain(NOT_YET.iter().map(|(name, _)| *name)).chain(["config"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(verb: Verb, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        parse(verb, "f.yaml", text, &mut problems);
        problems
    }

    #[test]
    fn lists_maps_and_commas_say_the_same() {
        for text in ["label: [a=1, b=2]", "label: {a: 1, b: '2'}", "label: a=1,b=2", "label:\n  - a=1\n  - b=2\n"] {
            let mut problems = Vec::new();
            let said = parse(Verb::DataPlane, "f.yaml", text, &mut problems);
            assert_eq!(problems, Vec::<String>::new(), "{text}");
            assert_eq!(said[0].1, ["a=1", "b=2"], "{text}");
        }
        assert!(problems(Verb::DataPlane, "# nothing yet\n").is_empty());
    }

    #[test]
    fn on_and_off_are_words_whatever_yaml_takes_them_for() {
        for (text, word) in
            [("trace-context: off", "off"), ("trace-context: 'off'", "off"), ("trace-context: on", "on")]
        {
            let said = parse(Verb::Standalone, "f.yaml", text, &mut Vec::new());
            assert_eq!(said[0].1, [word], "{text}");
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_named_with_what_was_meant() {
        for (text, part) in [
            ("proxy-listn: a", "did you mean `proxy-listen`"),
            ("proxy_listen: a", "did you mean `proxy-listen`"),
            ("frobnicate: a", "unknown key `frobnicate`; `tidegate standalone --help`"),
            ("redis-url: redis://h", "`redis-url` is a setting of `data-plane`, not of `standalone`"),
            ("proxy-tls-listen: 0.0.0.0:8443", "certificates"),
            ("data-dir:", "no value"),
            ("workers: [1, 2]", "not a list"),
            ("workers: {a: 1}", "a text or a number"),
            ("workers: 1\nworkers: 2", "f.yaml"),
            ("- workers", "f.yaml"),
        ] {
            let said = problems(Verb::Standalone, text);
            assert!(said.len() == 1 && said[0].contains(part), "{text}: {said:?}");
        }
    }
}
