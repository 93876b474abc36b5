//! Writes the text format of Prometheus, version 0.0.4.

use std::fmt::Write as _;

use crate::{Family, Type};

/// The type of what is written, for `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text under way. Families are written one after the other, each with all of its samples.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// A family under way.
#[derive(Debug)]
pub struct Samples<'a> {
    text: &'a mut String,
    family: &'static Family,
}

impl Exposition {
    /// An empty one, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Exposition { text: String::with_capacity(bytes) }
    }

    /// The next family.
    pub fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let Family { name, kind, help, .. } = family;
        let _ = write!(self.text, "# HELP {name} ");
        escape(&mut self.text, help, false);
        let _ = writeln!(self.text, "\n# TYPE {name} {}", kind.as_str());
        Samples { text: &mut self.text, family }
    }

    /// A family without labels.
    pub fn single(&mut self, family: &'static Family, value: u64) {
        self.family(family).sample(&[], value);
    }

    /// What was written elsewhere follows; it names no family of this one.
    pub fn append(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Samples<'_> {
    /// A sample, with a value for each label of the family.
    pub fn sample(&mut self, labels: &[&str], value: u64) -> &mut Self {
        self.begin("", labels, None);
        self.integer(value);
        self
    }

    /// A sample that was measured in microseconds, told in seconds.
    pub fn sample_micros(&mut self, labels: &[&str], micros: u64) -> &mut Self {
        self.begin("", labels, None);
        seconds(self.text, micros);
        self.text.push('\n');
        self
    }

    /// A histogram: how many values fell into each bucket (not added up), the upper bounds of all but the last as text, and
    /// their sum in microseconds.
    pub fn histogram(&mut self, labels: &[&str], bounds: &[&str], buckets: &[u64], sum_micros: u64) -> &mut Self {
        debug_assert_eq!(self.family.kind, Type::Histogram);
        debug_assert_eq!(bounds.len() + 1, buckets.len());
        let mut so_far = 0;
        for (bound, bucket) in bounds.iter().copied().chain(["+Inf"]).zip(buckets) {
            so_far += bucket;
            self.begin("_bucket", labels, Some(bound));
            self.integer(so_far);
        }
        self.begin("_sum", labels, None);
        seconds(self.text, sum_micros);
        self.text.push('\n');
        self.begin("_count", labels, None);
        self.integer(so_far);
        self
    }

    fn begin(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>) {
        debug_assert_eq!(labels.len(), self.family.labels.len(), "{}", self.family.name);
        self.text.push_str(self.family.name);
        self.text.push_str(suffix);
        let bound = bound.map(|bound| ("le", bound));
        let mut between = '{';
        for (name, value) in self.family.labels.iter().copied().zip(labels.iter().copied()).chain(bound) {
            self.text.push(between);
            between = ',';
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(self.text, value, true);
            self.text.push('"');
        }
        if between == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
    }

    fn integer(&mut self, value: u64) {
        digits(self.text, value);
        self.text.push('\n');
    }
}

/// The digits of a number, without the machinery of formatting: a scrape of 10,000 routes writes 100,000 of them.
fn digits(text: &mut String, value: u64) {
    let mut room = [0; 20];
    let mut at = room.len();
    let mut rest = value;
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&room[at..]).unwrap_or("0"));
}

fn seconds(text: &mut String, micros: u64) {
    digits(text, micros / 1_000_000);
    let rest = micros % 1_000_000;
    if rest > 0 {
        let _ = write!(text, ".{rest:06}");
    }
}

fn escape(text: &mut String, value: &str, quotes: bool) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'\n' | b'"')) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static COUNT: Family = Family { name: "a_total", kind: Type::Counter, labels: &["x", "y"], help: "Counts \\ a." };
    static TIME: Family = Family { name: "b_seconds", kind: Type::Histogram, labels: &["x"], help: "Takes b." };

    #[test]
    fn a_text_is_as_the_format_says() {
        let mut text = Exposition::with_capacity(64);
        text.family(&COUNT).sample(&["q\"\\\n", ""], u64::MAX).sample(&["é", "b"], 0);
        text.family(&TIME).histogram(&["s"], &["0.001", "0.01"], &[1, 0, 2], 3_000_042);
        let expected = r#"# HELP a_total Counts \\ a.
# TYPE a_total counter
a_total{x="q\"\\\n",y=""} 18446744073709551615
a_total{x="é",y="b"} 0
# HELP b_seconds Takes b.
# TYPE b_seconds histogram
b_seconds_bucket{x="s",le="0.001"} 1
b_seconds_bucket{x="s",le="0.01"} 1
b_seconds_bucket{x="s",le="+Inf"} 3
b_seconds_sum{x="s"} 3.000042
b_seconds_count{x="s"} 3
"#;
        assert_eq!(text.into_text(), expected);
    }
}
