//! The config of `validate-request`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::ByteSize;

use crate::json_schema::{Content, Formats, SchemaText};

/// Refuses requests whose parameters or body are not as they should be, with all that is wrong.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateRequestConfig {
    /// What the body is to be. Without it, bodies are not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Parameters of the path, the query and the headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub parameters: Vec<Parameter>,
    /// What to do about query parameters that are not named in `parameters`. Default: `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_query_parameters: Option<Others>,
    /// Schemas that others refer to by their name here: `{"$ref": "Pet"}`. A name may also be an absolute URI.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub definitions: BTreeMap<String, SchemaText>,
    /// Whether `format` refuses what does not look like it. Default: `describe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formats: Option<Formats>,
}

/// What the body of a request is to be.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The content types that are let through; the first that fits decides. Others are refused with 415.
    #[schemars(length(min = 1, max = 20))]
    pub content: Vec<Content>,
    /// Whether there must be a body. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// The largest body, which is held in memory whole; a larger one is refused with 413. Default: `1MiB`, at most `16MiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<ByteSize>,
}

/// A parameter of a request.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Where it stands.
    #[serde(rename = "in")]
    pub part: Part,
    /// Its name: of a header, of a query parameter, or of what the route captured of the path.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Whether it must be there. Default: `false`, and `true` in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// What its text stands for. Default: `string`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Scalar>,
    /// It is a list of such values, written like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<ListStyle>,
    /// What its value (of a list: the array of its values) is to be: a JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaText>,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// In the path: what the route captured by this name.
    Path,
    /// In the query.
    Query,
    /// Among the headers.
    Header,
}

/// What the text of a parameter stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scalar {
    /// Itself.
    #[default]
    String,
    /// A whole number: `-5`, `12`.
    Integer,
    /// A number as JSON writes it: `2.50`, `1e3`.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ListStyle {
    /// The parameter is repeated: `tag=a&tag=b`.
    Repeat,
    /// `tag=a,b`
    Comma,
    /// `tag=a%20b`
    Space,
    /// `tag=a|b`
    Pipe,
}

/// What to do about what is not named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Others {
    /// Let it through.
    #[default]
    Allow,
    /// Refuse the request.
    Refuse,
}
