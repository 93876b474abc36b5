//! `cors`: which other sites' scripts may call.

mod config;
mod origins;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::CorsConfig;

use std::sync::Arc;

use http::HeaderValue;
use tidegate_model::{Pattern, Problem, Problems};

use self::origins::Origins;
use self::runtime::Rules;
use crate::{Attachment, Behaviour, Built, Combine, KindInfo, Needs, Phase, PolicyKind};

/// The kind.
pub struct Cors;

/// What scripts may use if nothing is said: what APIs are made of.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// What browsers keep at most is less than that everywhere.
const MAX_AGE_SECONDS: u64 = 7 * 86_400;

impl PolicyKind for Cors {
    type Config = CorsConfig;

    const INFO: KindInfo = KindInfo {
        name: "cors",
        title: "CORS",
        summary: "Says which other sites' scripts may call, by the fetch standard.",
        combine: Combine::Replace,
        by_principal: false,
        decides: false,
        page: include_str!("README.md"),
    };

    fn build(config: CorsConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let origins = Origins::read(&config.origins, &config.origin_patterns, &mut problems);
        let credentials = config.credentials.unwrap_or(false);
        if credentials && matches!(origins, Origins::Any) {
            let detail = "any site could act in the name of whoever visits it; name the sites in `origins`";
            problems.add_at("credentials", "conflict", detail);
        }
        for (index, pattern) in config.origin_patterns.iter().enumerate() {
            if credentials && takes_any_site(pattern) {
                let detail =
                    "takes any site, which could act in the name of whoever visits it; bind it to names of yours";
                problems.within("origin_patterns", |p| p.add_at(index, "conflict", detail));
            }
        }
        let max_age = config.max_age.map_or(600, |age| age.duration().as_secs());
        if max_age > MAX_AGE_SECONDS {
            problems.add_at("max_age", "out_of_range", "must be at most `7d`; browsers keep it for a day or less");
        }
        let methods = match &config.methods {
            Some(methods) => listed(methods.iter().map(|method| method.as_str())),
            None => Some(HeaderValue::from_static(METHODS)),
        };
        let names = |names: &[tidegate_model::HeaderName]| listed(names.iter().map(|name| name.as_str()));
        let rules = Rules {
            origins,
            credentials,
            methods,
            request_headers: config.request_headers.as_deref().map(names),
            expose_headers: names(&config.expose_headers),
            max_age: HeaderValue::from(max_age),
            private_network: config.private_network.unwrap_or(false),
            keep_upstream: config.keep_upstream.unwrap_or(false),
        };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(rules)),
            // scripts are to read refusals too
            phase: Phase::Around,
            needs: Needs::default(),
        })
    }
}

/// Whether a pattern takes sites that nobody can have meant.
fn takes_any_site(pattern: &Pattern) -> bool {
    let fits = |origin: &str| pattern.compiled().is_match(origin.as_bytes());
    ["https://xn--nobodys-3ya.invalid", "http://nobody.invalid", "null"].into_iter().any(fits)
}

/// Names with commas between. `None` for none.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let all: Vec<&str> = names.collect();
    if all.is_empty() { None } else { HeaderValue::try_from(all.join(", ")).ok() }
}
