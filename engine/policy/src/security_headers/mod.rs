//! `security-headers`: headers that tell browsers to be careful.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{Hsts, SecurityHeadersConfig, Upstreams, When};

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use tidegate_model::{Problem, Problems};

use crate::{Attachment, Behaviour, Built, Combine, KindInfo, Needs, Phase, PolicyKind, header_names};

/// The kind.
pub struct SecurityHeaders;

const YEAR_SECONDS: u64 = 365 * 86_400;

/// Tell which software serves, and which version of it.
const TELLTALES: [&str; 4] = ["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version"];

impl PolicyKind for SecurityHeaders {
    type Config = SecurityHeadersConfig;

    const INFO: KindInfo = KindInfo {
        name: "security-headers",
        title: "Security headers",
        summary: "Sets headers that tell browsers to be careful, and takes off those that tell too much.",
        combine: Combine::Replace,
        by_principal: false,
        decides: false,
        page: include_str!("README.md"),
    };

    fn build(config: SecurityHeadersConfig, _: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        let fields = [
            ("content_type_options", "x-content-type-options", &config.content_type_options, "nosniff"),
            ("frame_options", "x-frame-options", &config.frame_options, "DENY"),
            ("referrer_policy", "referrer-policy", &config.referrer_policy, "no-referrer"),
            ("content_security_policy", "content-security-policy", &config.content_security_policy, ""),
            (
                "content_security_policy_report_only",
                "content-security-policy-report-only",
                &config.content_security_policy_report_only,
                "",
            ),
            ("permissions_policy", "permissions-policy", &config.permissions_policy, ""),
            ("cross_origin_opener_policy", "cross-origin-opener-policy", &config.cross_origin_opener_policy, ""),
            ("cross_origin_embedder_policy", "cross-origin-embedder-policy", &config.cross_origin_embedder_policy, ""),
            ("cross_origin_resource_policy", "cross-origin-resource-policy", &config.cross_origin_resource_policy, ""),
        ];
        let mut set = Vec::new();
        for (field, name, given, preset) in fields {
            let text = given.as_deref().unwrap_or(preset);
            problems.within(field, |p| known(name, text, p));
            if let Some(value) = problems.within(field, |p| header_names::value(text, p)).filter(|v| !v.is_empty()) {
                set.push((HeaderName::from_static(name), value));
            }
        }
        let hsts = config.hsts.unwrap_or_default();
        let remove = match &config.remove {
            Some(names) => names.iter().filter_map(|name| name.as_str().parse().ok()).collect(),
            None => TELLTALES.iter().map(|name| HeaderName::from_static(name)).collect(),
        };
        let headers = runtime::Headers {
            set: set.into(),
            hsts_when: hsts.when.unwrap_or_default(),
            hsts: problems.within("hsts", |p| strict_transport(&hsts, p)),
            upstream: config.upstream.unwrap_or_default(),
            remove,
        };
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(headers)),
            // refusals have them too
            phase: Phase::Around,
            needs: Needs::default(),
        })
    }
}

fn strict_transport(hsts: &Hsts, problems: &mut Problems) -> HeaderValue {
    let max_age = hsts.max_age.map_or(YEAR_SECONDS, |age| age.duration().as_secs());
    let (below, preload) = (hsts.include_subdomains.unwrap_or(false), hsts.preload.unwrap_or(false));
    if preload && (!below || max_age < YEAR_SECONDS) {
        problems.add_at("preload", "conflict", "needs `include_subdomains` and a `max_age` of at least `365d`");
    }
    let below = if below { "; includeSubDomains" } else { "" };
    let preload = if preload { "; preload" } else { "" };
    HeaderValue::try_from(format!("max-age={max_age}{below}{preload}")).unwrap_or(HeaderValue::from_static("max-age=0"))
}

/// Headers that know few words: what is none of them has no effect in a browser.
fn known(name: &str, text: &str, problems: &mut Problems) {
    let words: &[&str] = match name {
        "x-content-type-options" => &["nosniff"],
        "x-frame-options" => &["DENY", "SAMEORIGIN"],
        "referrer-policy" => &[
            "no-referrer",
            "no-referrer-when-downgrade",
            "origin",
            "origin-when-cross-origin",
            "same-origin",
            "strict-origin",
            "strict-origin-when-cross-origin",
            "unsafe-url",
        ],
        "cross-origin-opener-policy" => {
            &["unsafe-none", "same-origin-allow-popups", "same-origin", "noopener-allow-popups"]
        }
        "cross-origin-embedder-policy" => &["unsafe-none", "require-corp", "credentialless"],
        "cross-origin-resource-policy" => &["same-site", "same-origin", "cross-origin"],
        _ => return,
    };
    // some take a list, of which a browser uses the last word it knows, and parameters
    let each = text.split(',').map(|word| word.split(';').next().unwrap_or("").trim());
    for word in each.filter(|word| !text.is_empty() && !words.contains(word)) {
        let all: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        problems.add("invalid_value", format!("`{word}` is not one of {}", all.join(", ")));
    }
}
