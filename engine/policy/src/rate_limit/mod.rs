//! `rate-limit`: how often a caller may use an API.

mod config;
mod runtime;
#[cfg(test)]
mod tests;

pub use config::{HeaderStyle, Limit, Per, RateLimitConfig};

use std::sync::Arc;

use tidegate_model::{Problem, Problems, Sha256};

use crate::{Attachment, Behaviour, Built, Combine, KindInfo, LimitSpec, Needs, Phase, PolicyKind};

/// The kind.
pub struct RateLimit;

impl PolicyKind for RateLimit {
    type Config = RateLimitConfig;

    const INFO: KindInfo = KindInfo {
        name: "rate-limit",
        title: "Rate limit",
        summary: "Admits so many requests in a window, counted by consumer, credential, address, route or service.",
        combine: Combine::Replace,
        by_principal: true,
        decides: true,
        page: include_str!("README.md"),
    };

    fn build(config: RateLimitConfig, attachment: &Attachment<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Problems::new();
        problems.within("limits", |p| check(&config.limits, p));
        // a limit that needs no principal turns callers away before their credentials are looked at
        let screens = config.limits.iter().all(|limit| limit.per() == Per::Ip);
        let limits = config.limits.iter().map(|limit| {
            let spec = LimitSpec {
                id: counters_of(attachment, limit),
                name: limit.name.as_str().into(),
                limit: limit.limit,
                window: limit.window.duration(),
                on_store_loss: config.on_store_loss.unwrap_or_default(),
            };
            (limit.per(), Arc::new(spec))
        });
        let policy = runtime::Limiter::new(limits.collect(), config.headers.unwrap_or_default());
        problems.or(Built {
            behaviour: Behaviour::Policy(Arc::new(policy)),
            phase: if screens { Phase::Screen } else { Phase::Limit },
            needs: Needs::default(),
        })
    }
}

fn check(limits: &[Limit], problems: &mut Problems) {
    for (index, limit) in limits.iter().enumerate() {
        problems.within(index, |p| {
            let key = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if !limit.name.bytes().all(key) {
                p.add_at(
                    "name",
                    "invalid_value",
                    "must be of letters, digits, `-`, `_` and `.`, as it is sent in headers",
                );
            }
            if limits[..index].iter().any(|other| other.name == limit.name) {
                p.add_at("name", "conflict", format!("there is another limit `{}`", limit.name));
            }
            if limit.window.millis() < 1_000 {
                p.add_at("window", "out_of_range", "must be at least `1s`");
            }
            if limit.window.millis() > 366 * 86_400_000 {
                p.add_at("window", "out_of_range", "must be at most `366d`");
            }
        });
    }
}

/// Names the counters of a limit: made of all but its size, so that a changed limit goes on counting.
fn counters_of(attachment: &Attachment, limit: &Limit) -> u128 {
    let text = format!("{} {} {} {:?}", attachment.policy, limit.name, limit.window.millis(), limit.per());
    Sha256::of(text.as_bytes()).0[..16].iter().fold(0, |id, b| id << 8 | u128::from(*b))
}
