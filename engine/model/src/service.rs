//! An API behind the gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::{Document, Pointed};
use crate::{HttpUrl, Kind, Path, Problems, Reference, Span};

/// An API behind the gateway: where it is and how long it may take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Where it is, if it has one address: `http://host[:port][/path]`. Either this or `upstream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<HttpUrl>,
    /// The upstream whose targets serve it. Either this or `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Reference>,
    /// With `upstream`: what is put before the path of each request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// What its targets speak. Default: `http1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Whether the API sees the Host header of the caller; else it sees its own address. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preserve_host: Option<bool>,
    /// How long each phase may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// To find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
}

/// What the targets of a service speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// HTTP/1.1, a request at a time on each connection.
    #[default]
    #[serde(rename = "http1")]
    Http1,
    /// HTTP/2 without TLS, by prior knowledge: many requests on each connection. What gRPC needs.
    #[serde(rename = "h2c")]
    H2c,
}

/// How long each phase of a request to a service may take. What is not set has the default of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Until a connection to a target stands. Default: 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Span>,
    /// From the request's last byte until the first byte of the answer. Default: 60 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Span>,
    /// Between two pieces of a body, either way. Default: 60 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
    /// The whole exchange, from the request's head to the last byte of the answer. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Span>,
}

impl Document for Service {
    const KIND: Kind = Kind::Service;

    fn check(&self, problems: &mut Problems) {
        match (&self.url, &self.upstream) {
            (None, None) => problems.add_at("url", "missing_field", "give either `url` or `upstream`"),
            (Some(_), Some(_)) => problems.add_at("upstream", "conflict", "give either `url` or `upstream`, not both"),
            (Some(_), None) if self.path.is_some() => {
                problems.add_at("path", "conflict", "with `url` the path is part of it: `http://host/path`");
            }
            _ => {}
        }
        if let Some(timeouts) = self.timeouts {
            let each = [
                ("connect", timeouts.connect),
                ("first_byte", timeouts.first_byte),
                ("idle", timeouts.idle),
                ("request", timeouts.request),
            ];
            for (name, span) in each {
                if span.is_some_and(|s| s.millis() == 0) {
                    problems.within("timeouts", |p| p.add_at(name, "out_of_range", "must be at least `1ms`"));
                }
            }
        }
    }

    fn references(&self) -> Pointed<'_> {
        self.upstream.iter().map(|r| ("/upstream".into(), Kind::Upstream, r)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{decode, schema_of};

    #[test]
    fn a_protocol_that_there_is_not_is_told_with_those_there_are() {
        let schema = schema_of::<Service>();
        let given = json!({ "url": "http://a", "protocol": "h3" });
        let problems = decode::<Service>(&schema, &given).expect_err("it is no protocol");
        let told = &problems[0];
        assert_eq!((&*told.pointer, &*told.code), ("/protocol", "invalid_value"));
        assert!(told.detail.contains("`http1`") && told.detail.contains("`h2c`"), "{}", told.detail);
        for (text, protocol) in [("http1", Protocol::Http1), ("h2c", Protocol::H2c)] {
            let service =
                decode::<Service>(&schema, &json!({ "url": "http://a", "protocol": text })).expect("it is one");
            assert_eq!(service.protocol, Some(protocol));
        }
    }
}
