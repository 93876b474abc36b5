//! JSON bodies, by a jq program.
//!
//! The program is tried on the worker with a small budget of steps; where that does not do, and for larger bodies, it runs on
//! the compute pool.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_model::{ByteSize, Problems};

use crate::jq::{Bounds, Jq, JqError, Json};
use crate::{Captures, Principal, RequestHead, ResponseHead, Subject};

/// The largest body, where the config says nothing; and the largest that it may say.
const BODY_BYTES: u64 = 1 << 20;
const BODY_BYTES_MAX: u64 = 16 << 20;
/// The largest body that is tried on the worker, and with how many steps: about 100 µs.
const INLINE_BYTES_MAX: usize = 4 << 10;
const INLINE_STEPS: u64 = 500;
/// How much larger than the largest input the output may be.
const OUTPUT_TIMES: usize = 4;
/// The variables of a program.
const VARIABLES: [&str; 4] = ["$request", "$captures", "$principal", "$response"];

/// Changes a JSON body.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyTransform {
    /// A jq program that gives the new body. It sees `$request`, `$captures` and `$principal`, and of answers `$response`.
    #[schemars(length(min = 1, max = 8192))]
    pub jq: String,
    /// The largest body, which is held in memory whole. Default: `1MiB`, at most `16MiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<ByteSize>,
    /// The content types that are changed, without parameters. Default: `application/json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub content_types: Option<Vec<String>>,
    /// What becomes of bodies of other types. Default: `pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_other: Option<OtherTypes>,
}

/// What becomes of bodies of other types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OtherTypes {
    /// They pass unchanged.
    #[default]
    Pass,
    /// They are refused: a request with 415, an answer with 502.
    Refuse,
}

/// A transform of a body, built.
pub(crate) struct Body {
    program: Arc<Jq>,
    uses: [bool; VARIABLES.len()],
    types: Box<[Box<str>]>,
    pub(crate) refuses_others: bool,
    pub(crate) max: u64,
}

/// Whether a body was changed at once.
pub(crate) enum Changed {
    /// It was, or can't be.
    Now(Result<Bytes, JqError>),
    /// It takes longer: to be run on the compute pool.
    Later(Box<dyn FnOnce() -> Result<Bytes, JqError> + Send>),
}

impl Body {
    /// Builds it; `problems` stands at the transform.
    pub(crate) fn build(config: &BodyTransform, response: bool, problems: &mut Problems) -> Option<Body> {
        let variables = if response { &VARIABLES[..] } else { &VARIABLES[..3] };
        let program = Jq::compile_with(&config.jq, variables);
        let program = program.map_err(|why| problems.add_at("jq", "invalid_expression", why.to_string())).ok();
        let max = config.max.map_or(BODY_BYTES, |max| max.bytes());
        if max > BODY_BYTES_MAX {
            problems.add_at("max", "out_of_range", "must be at most `16MiB`: bodies are held in memory");
        }
        let types = match &config.content_types {
            None => vec!["application/json".into()],
            Some(types) => types.iter().map(|content_type| content_type.to_ascii_lowercase().into()).collect(),
        };
        Some(Body {
            program: Arc::new(program?),
            uses: VARIABLES.map(|name| config.jq.contains(name)),
            types: types.into(),
            refuses_others: config.on_other.unwrap_or_default() == OtherTypes::Refuse,
            max,
        })
    }

    /// Whether it is for a body with these headers.
    pub(crate) fn is_for(&self, headers: &HeaderMap) -> bool {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim();
        self.types.iter().any(|known| known.eq_ignore_ascii_case(essence))
    }

    /// The new body; `facts` gives the value of a variable that the program uses.
    pub(crate) fn change(&self, body: &Bytes, facts: impl Fn(&str) -> Json) -> Changed {
        let variables: Vec<Json> = VARIABLES
            .iter()
            .zip(self.uses)
            .map(|(name, used)| if used { facts(name) } else { Json::default() })
            .collect();
        let input_bytes = usize::try_from(self.max).unwrap_or(usize::MAX);
        let bounds =
            Bounds { input_bytes, output_bytes: input_bytes.saturating_mul(OUTPUT_TIMES), ..Bounds::default() };
        if body.len() <= INLINE_BYTES_MAX {
            let small = Bounds { steps: INLINE_STEPS, ..bounds };
            match self.program.run_text(body, variables.clone(), &small) {
                Err(JqError::Steps) => {}
                done => return Changed::Now(done.map(Bytes::from)),
            }
        }
        let (program, body) = (self.program.clone(), body.clone());
        Changed::Later(Box::new(move || program.run_text(&body, variables, &bounds).map(Bytes::from)))
    }

    /// Takes off what told of the old body.
    pub(crate) fn forget(headers: &mut HeaderMap) {
        for name in ["content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"] {
            headers.remove(HeaderName::from_static(name));
        }
        headers.remove(ETAG);
        headers.remove(CONTENT_ENCODING);
    }
}

/// The value of a variable.
pub(crate) fn facts(
    name: &str,
    request: Option<&RequestHead>,
    captures: &Captures,
    principal: &Principal,
    response: Option<&ResponseHead>,
) -> Json {
    match (name, request, response) {
        ("$request", Some(head), _) => Json::object([
            ("method", Json::text(head.method.as_str())),
            ("path", Json::text(head.path())),
            ("query", Json::text(head.query().unwrap_or(""))),
            ("headers", headers(&head.headers)),
        ]),
        ("$captures", ..) => Json::object(captures.iter().map(|(name, value)| (name, Json::text(value)))),
        ("$principal", ..) => {
            let (kind, subject) = match &principal.subject {
                Subject::Anonymous => ("anonymous", Json::default()),
                Subject::Consumer(consumer) => ("consumer", Json::text(&*consumer.name)),
                Subject::External(subject) => ("external", Json::text(&**subject)),
            };
            Json::object([
                ("kind", Json::text(kind)),
                ("subject", subject),
                ("scopes", Json::array(principal.scopes.iter().map(|scope| Json::text(&**scope)))),
                ("claims", principal.claims.as_deref().map(Json::from).unwrap_or_default()),
            ])
        }
        ("$response", _, Some(head)) => Json::object([
            ("status", Json::from(&serde_json::Value::from(head.status.as_u16()))),
            ("headers", headers(&head.headers)),
        ]),
        _ => Json::default(),
    }
}

/// Each by its name in small letters; several values of one are joined by commas.
fn headers(headers: &HeaderMap) -> Json {
    Json::object(headers.keys().map(|name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        (name.as_str(), Json::text(values.collect::<Vec<_>>().join(", ")))
    }))
}
