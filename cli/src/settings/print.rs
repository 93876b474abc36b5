//! `--print-config`: what would hold, as a file of settings, with who said so beside each.

use std::fmt::{self, Write as _};

use super::Fallback;
use super::settle::{Settings, Source, Told};

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<(String, String)> = self.all.iter().map(|told| (line(told), source(told))).collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default().min(60);
        writeln!(f, "# tidegate {}", self.verb.name())?;
        for (line, source) in lines {
            writeln!(f, "{line:width$}  # {source}")?;
        }
        Ok(())
    }
}

fn line(told: &Told) -> String {
    let name = told.setting.name;
    let shown: Vec<String> = told.values.iter().map(|value| scalar(&told.setting.form.shown(value))).collect();
    match shown.as_slice() {
        [] => format!("# {name}:"),
        [one] if !told.setting.form.many() => format!("{name}: {one}"),
        all => format!("{name}: [{}]", all.join(", ")),
    }
}

fn source(told: &Told) -> String {
    match (&told.source, told.setting.fallback) {
        (Source::Flag, _) => format!("flag --{}", told.setting.name),
        (Source::Environment, _) => format!("environment {}", told.setting.variable()),
        (Source::Default, Fallback::Unset(meaning)) => format!("default: {meaning}"),
        (source, _) => source.to_string(),
    }
}

/// A YAML scalar that reads back as this text.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/=".contains(c);
    let inner = |c: char| plain(c) || c == ':';
    // what YAML would take for something else than a text or a whole number
    let other = ["null", "true", "false", "~"].contains(&text.to_lowercase().as_str())
        || (text.parse::<f64>().is_ok() && !text.chars().all(|c| c.is_ascii_digit()));
    let safe = !other
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || "./".contains(c))
        && text.chars().all(inner)
        && !text.ends_with(':');
    if safe {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => write!(quoted, "\\u{:04x}", u32::from(c)).expect("a string takes all"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
