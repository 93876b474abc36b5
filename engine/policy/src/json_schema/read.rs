//! Reads a body as JSON, more strictly than most: a member that is there twice is refused.
//!
//! Readers differ in which of two they take. Were it the first here and the last at the API, what was validated is not what is
//! used.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The value, if the text is JSON that nests no deeper than 127 (the reader's bound) and says nothing twice.
pub(crate) fn read(text: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict.deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Value, E> {
        Ok(Value::Bool(is))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict)?;
            if all.insert(name, value).is_some() {
                return Err(de::Error::custom("a member is there twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_others_may_read_differently_is_refused() {
        let deep = "[".repeat(200);
        for (text, problem) in [
            (r#"{"a":1,"a":2}"#, "a member is there twice at line 1 column 13"),
            (r#"[{"a":1,"\u0061":2}]"#, "a member is there twice"),
            ("", "EOF while parsing a value"),
            ("{} {}", "trailing characters"),
            ("{\"a\":1,}", "trailing comma"),
            ("NaN", "expected value"),
            ("\u{feff}{}", "expected value"),
            ("1e999", "number out of range"),
            (&*deep, "recursion limit exceeded"),
        ] {
            let found = read(text.as_bytes()).expect_err(text);
            assert!(found.contains(problem), "{text:?}: {found}");
        }
        assert!(read(b"\"\xff\"").is_err(), "no UTF-8");
        assert_eq!(read(br#" {"a":[1,-2,2.5,"x",null,true]} "#).expect("JSON")["a"][2], 2.5);
    }
}
