//! Writes a line of JSON into a buffer, field by field, with nothing in between.

use std::io::Write as _;

use super::fields::Field;

/// A line under way. Ended by [`Line::end`].
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    text_bytes_max: usize,
    is_first: bool,
}

impl<'a> Line<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>, text_bytes_max: usize) -> Self {
        out.push(b'{');
        Line { out, text_bytes_max, is_first: true }
    }

    pub(super) fn text(&mut self, field: Field, value: impl AsRef<[u8]>) {
        self.key(field);
        text(self.out, value.as_ref(), self.text_bytes_max);
    }

    /// A text of ours, of which is known that nothing in it must be escaped.
    pub(super) fn plain(&mut self, field: Field, value: impl std::fmt::Display) {
        self.key(field);
        self.out.push(b'"');
        self.display(value);
        self.out.push(b'"');
    }

    pub(super) fn number(&mut self, field: Field, value: u64) {
        self.key(field);
        self.display(value);
    }

    pub(super) fn truth(&mut self, field: Field, value: bool) {
        self.key(field);
        self.display(value);
    }

    /// An object of numbers.
    pub(super) fn numbers<'b>(&mut self, field: Field, entries: impl Iterator<Item = (&'b str, u64)>) {
        self.key(field);
        let mut before = b'{';
        for (name, value) in entries {
            self.out.push(before);
            before = b',';
            text(self.out, name.as_bytes(), self.text_bytes_max);
            self.out.push(b':');
            self.display(value);
        }
        if before == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    fn key(&mut self, field: Field) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(field.name().as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        let written = write!(self.out, "{value}");
        debug_assert!(written.is_ok(), "a Vec takes all");
    }
}

/// A string of JSON, whatever the bytes: what is no UTF-8 becomes U+FFFD, controls are escaped (also those of terminals), and
/// what is too long is cut and says so.
fn text(out: &mut Vec<u8>, value: &[u8], bytes_max: usize) {
    let cut = value.len() > bytes_max;
    let value = &value[..value.len().min(bytes_max)];
    out.push(b'"');
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if value.iter().all(is_plain) {
        out.extend_from_slice(value);
    } else {
        for chunk in value.utf8_chunks() {
            for character in chunk.valid().chars() {
                escaped(out, character);
            }
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    if cut {
        out.extend_from_slice("…".as_bytes());
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
            let written = write!(out, "\\u{:04x}", u32::from(character));
            debug_assert!(written.is_ok(), "a Vec takes all");
        }
        other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    proptest! {
        #[test]
        fn a_line_is_json_whatever_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), max in 0..250usize) {
            let mut out = Vec::new();
            let mut line = Line::begin(&mut out, max);
            line.text(Field::Host, &bytes);
            line.number(Field::Status, 200);
            line.end();
            prop_assert_eq!(out.pop(), Some(b'\n'));
            prop_assert!(out.iter().all(|byte| !byte.is_ascii_control()));
            let value: Value = serde_json::from_slice(&out).expect("it is JSON");
            let cut = &bytes[..bytes.len().min(max)];
            let mut expected = String::from_utf8_lossy(cut).into_owned();
            if bytes.len() > max {
                expected.push('…');
            }
            prop_assert_eq!(value["host"].as_str(), Some(expected.as_str()));
            prop_assert_eq!(&value["status"], &Value::from(200));
        }
    }
}
