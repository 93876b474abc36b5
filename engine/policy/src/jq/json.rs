//! JSON in and out of a program: strict, and bounded in depth, size and length of numbers.

use jaq_core::ValT as _;
use jaq_json::{Map, Num, Val, read};
use serde::de::IgnoredAny;

use super::{Bounds, JqError};

/// The longest number that is taken: what converts it takes the square of its length.
const NUMBER_DIGITS_MAX: usize = 1_024;

/// A JSON value, as programs see it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Json(pub(super) Val);

impl Json {
    /// Reads JSON text.
    ///
    /// # Errors
    /// It is no JSON (RFC 8259), or larger or deeper than the bounds say.
    pub fn read(text: &[u8], bounds: &Bounds) -> Result<Json, JqError> {
        if text.len() > bounds.input_bytes {
            return Err(JqError::Input(format!("is larger than {} bytes", bounds.input_bytes)));
        }
        parse(text, bounds.depth).map(Json).map_err(JqError::Input)
    }

    /// An object of these members, in this order.
    pub fn object<N: Into<String>>(members: impl IntoIterator<Item = (N, Json)>) -> Json {
        let members = members.into_iter().map(|(name, value)| (Val::from(name.into()), value.0));
        Json(Val::obj(members.collect::<Map>()))
    }

    /// An array of these items.
    pub fn array(items: impl IntoIterator<Item = Json>) -> Json {
        Json(items.into_iter().map(|item| item.0).collect())
    }

    /// A string.
    pub fn text(text: impl Into<String>) -> Json {
        Json(Val::from(text.into()))
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Json {
        use serde_json::Value;
        Json(match value {
            Value::Null => Val::Null,
            Value::Bool(is) => Val::Bool(*is),
            Value::Number(number) => Val::from_num(&number.to_string()).unwrap_or_default(),
            Value::String(text) => Val::from(text.clone()),
            Value::Array(items) => items.iter().map(|item| Json::from(item).0).collect(),
            Value::Object(members) => return Json::object(members.iter().map(|(k, v)| (k.clone(), v.into()))),
        })
    }
}

/// One JSON text. The reader of the interpreter takes more than JSON, nests without bound and converts numbers of any
/// length, so the text is looked through first.
pub(super) fn parse(text: &[u8], depth_max: usize) -> Result<Val, String> {
    let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
    look_through(text.as_bytes(), depth_max)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| format!("is no JSON: {e}"))?;
    read::parse_single(text.as_bytes()).map_err(|e| format!("is no JSON: {e}"))
}

fn look_through(text: &[u8], depth_max: usize) -> Result<(), String> {
    let (mut depth, mut digits, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text {
        if quoted {
            (quoted, escaped) = (*byte != b'"' || escaped, *byte == b'\\' && !escaped);
            continue;
        }
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return Err(format!("nests deeper than {depth_max}"));
        }
        if digits > NUMBER_DIGITS_MAX {
            return Err(format!("has a number of more than {NUMBER_DIGITS_MAX} digits"));
        }
    }
    Ok(())
}

/// The value as JSON text of at most so many bytes.
pub(super) fn write(value: &Val, bytes_max: usize) -> Result<Vec<u8>, JqError> {
    let mut writer = Writer { out: Vec::new(), bytes_max };
    writer.value(value)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    bytes_max: usize,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) -> Result<(), JqError> {
        if self.out.len() + bytes.len() > self.bytes_max {
            return Err(JqError::OutputBytes(self.bytes_max));
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn value(&mut self, value: &Val) -> Result<(), JqError> {
        match value {
            Val::Null => self.put(b"null"),
            Val::Bool(is) => self.put(if *is { b"true" } else { b"false" }),
            Val::Num(number) => self.number(number),
            Val::TStr(text) | Val::BStr(text) => self.text(&String::from_utf8_lossy(text)),
            Val::Arr(items) => {
                self.put(b"[")?;
                for (i, item) in items.iter().enumerate() {
                    self.put(if i == 0 { b"" } else { b"," })?;
                    self.value(item)?;
                }
                self.put(b"]")
            }
            Val::Obj(members) => {
                self.put(b"{")?;
                for (i, (name, value)) in members.iter().enumerate() {
                    let Val::TStr(name) = name else {
                        return Err(JqError::Raised("a member's name is not a string".to_owned()));
                    };
                    self.put(if i == 0 { b"" } else { b"," })?;
                    self.text(&String::from_utf8_lossy(name))?;
                    self.put(b":")?;
                    self.value(value)?;
                }
                self.put(b"}")
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<(), JqError> {
        if self.out.len() + text.len() > self.bytes_max {
            return Err(JqError::OutputBytes(self.bytes_max));
        }
        let quoted = serde_json::to_vec(text).map_err(|e| JqError::Raised(e.to_string()))?;
        self.put(&quoted)
    }

    /// What is no number in JSON is written as jq does: `null`, and the largest there is.
    fn number(&mut self, number: &Num) -> Result<(), JqError> {
        match number {
            Num::Float(float) => self.float(*float),
            Num::Dec(text) if serde_json::from_str::<IgnoredAny>(text).is_err() => {
                self.float(text.parse().unwrap_or(f64::NAN))
            }
            exact => self.put(exact.to_string().as_bytes()),
        }
    }

    fn float(&mut self, float: f64) -> Result<(), JqError> {
        if float.is_nan() {
            return self.put(b"null");
        }
        let float = float.clamp(f64::MIN, f64::MAX);
        // a whole number is written as one: `3 / 1` is `3`
        let whole = float.fract() == 0.0 && float.abs() < 1e17;
        let text = if whole { format!("{float:.0}") } else { serde_json::json!(float).to_string() };
        self.put(if text == "-0" { b"0" } else { text.as_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &str) -> Result<String, String> {
        let bounds = Bounds::default();
        let json = Json::read(text.as_bytes(), &bounds).map_err(|e| e.to_string())?;
        let bytes = write(&json.0, bounds.output_bytes).map_err(|e| e.to_string())?;
        Ok(String::from_utf8(bytes).expect("what is written is text"))
    }

    #[test]
    fn what_is_read_is_written_unchanged() {
        for text in [
            "null",
            "[true,false,null]",
            r#"{"b":1,"a":[]}"#,
            "12345678901234567890123",
            "0.10",
            "1e400",
            "-1.50E+2",
            r#""\"\\\n\u0000""#,
            r#""ä€😀""#,
        ] {
            assert_eq!(through(text).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in
            ["", "1 2", "# a\n1", "NaN", "b\"a\"", "{1:2}", "[1,]", "'a'", "\"\u{1}\"", "+1", "01", "\"\\ud800\""]
        {
            let problem = through(text).expect_err(text);
            assert!(problem.starts_with("the input is no JSON"), "{text:?}: {problem}");
        }
        assert_eq!(Json::read(b"\"\xff\"", &Bounds::default()), Err(JqError::Input("is not UTF-8".to_owned())));
    }

    #[test]
    fn depth_and_numbers_are_bounded() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(through(&deep(100)).is_ok());
        assert_eq!(through(&deep(101)), Err("the input nests deeper than 100".to_owned()));
        assert!(through(&deep(1_000_000)).is_err());
        assert!(through(&"1".repeat(1_024)).is_ok());
        assert!(through(&"1".repeat(1_025)).expect_err("too long").contains("more than 1024 digits"));
        assert!(through(&format!("\"{}\"", "[".repeat(200))).is_ok(), "brackets in a string do not nest");
    }
}
