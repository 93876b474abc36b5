//! Which types of content are worth compressing.

/// Those of the default: what is text, whatever it is called. What is compressed already is not among them.
const DEFAULT: [&str; 17] = [
    "text/*",
    "*+json",
    "*+xml",
    "*+text",
    "application/json",
    "application/json5",
    "application/x-ndjson",
    "application/ndjson",
    "application/xml",
    "application/javascript",
    "application/ecmascript",
    "application/x-javascript",
    "application/yaml",
    "application/graphql-response+json",
    "application/wasm",
    "font/ttf",
    "image/svg+xml",
];

/// Types, as patterns.
pub(super) struct Types(Box<[Pattern]>);

enum Pattern {
    /// `text/html`.
    Exact(Box<str>),
    /// `text/`.
    Prefix(Box<str>),
    /// `+json`.
    Suffix(Box<str>),
}

impl Default for Types {
    fn default() -> Self {
        Types(DEFAULT.iter().filter_map(|text| Pattern::read(text).ok()).collect())
    }
}

impl Types {
    /// Reads patterns; of each that is none, its place and why.
    pub(super) fn read(texts: &[String]) -> Result<Self, Vec<(usize, &'static str)>> {
        let read: Vec<_> = texts.iter().map(|text| Pattern::read(text)).collect();
        let wrong: Vec<_> = read.iter().enumerate().filter_map(|(at, p)| Some((at, *p.as_ref().err()?))).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Types(read.into_iter().filter_map(Result::ok).collect()))
    }

    /// Whether a `Content-Type` is among them, whatever its parameters.
    pub(super) fn have(&self, content_type: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(content_type) else { return false };
        let name = text.split(';').next().unwrap_or("").trim();
        self.0.iter().any(|pattern| match pattern {
            Pattern::Exact(exact) => name.eq_ignore_ascii_case(exact),
            Pattern::Prefix(start) => name.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start)),
            Pattern::Suffix(end) => name
                .len()
                .checked_sub(end.len())
                .and_then(|at| name.get(at..))
                .is_some_and(|rest| rest.eq_ignore_ascii_case(end)),
        })
    }
}

impl Pattern {
    fn read(text: &str) -> Result<Self, &'static str> {
        let token = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        if let Some(end) = text.strip_prefix("*+") {
            return if token(end) { Ok(Pattern::Suffix(format!("+{end}").into())) } else { Err(WRONG) };
        }
        match text.split_once('/') {
            Some((kind, "*")) if token(kind) => Ok(Pattern::Prefix(format!("{kind}/").into())),
            Some((kind, name)) if token(kind) && token(name) => Ok(Pattern::Exact(text.into())),
            _ => Err(WRONG),
        }
    }
}

const WRONG: &str = "must be a type as `text/html`, a whole kind as `text/*`, or an ending as `*+json`";
