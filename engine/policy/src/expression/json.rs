//! JSON as expressions see it: objects are looked into, lists are taken whole.

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use serde_json::Value;

use super::facts::Node;

/// What has no members.
pub(super) static NOTHING: Value = Value::Null;

/// The most elements of a list that are seen: what walks through it is bounded by that.
const LIST_MAX: usize = 1000;

pub(super) fn value<'b, 'v>(value: &'v Value) -> CowVal<'b, 'v> {
    CowVal::Owned(boxed(value))
}

fn boxed(value: &Value) -> Box<dyn Val + '_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Box::new(CelInt::from(whole)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(all) => Box::new(CelList::from(all.iter().take(LIST_MAX).map(boxed).collect::<Vec<_>>())),
        Value::Object(members) => Box::new(Node::Object(members)),
    }
}
