//! When credentials were used last, beside what is configured of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tidegate_model::{GatewayConfig, Id, Instant, Kind, Resource};

use super::call::Call;
use super::print;

/// How long the database may take to tell; without it the rest is shown all the same.
const ASKED_MAX: Duration = Duration::from_millis(500);
const HOUR_MS: i64 = 3_600_000;

/// The hours of some credentials.
#[derive(Default)]
pub(super) struct LastUsed(HashMap<Id, u32>);

impl LastUsed {
    /// Of those among these resources that are credentials.
    pub(super) async fn of(call: &Call, resources: &[Arc<Resource>]) -> LastUsed {
        let credentials: Vec<Id> =
            resources.iter().filter(|resource| resource.kind() == Kind::Credential).map(|r| r.id).collect();
        if credentials.is_empty() || !call.api.changes.store_is_up() {
            return LastUsed::default();
        }
        match tokio::time::timeout(ASKED_MAX, call.api.store.uses(&credentials)).await {
            Ok(Ok(hours)) => LastUsed(hours),
            Ok(Err(_)) | Err(_) => LastUsed::default(),
        }
    }

    /// Tells one such answer from another.
    pub(super) fn tag(&self) -> String {
        let sum = self
            .0
            .iter()
            .fold(0u64, |sum, (id, hour)| sum.wrapping_add((id.as_u128() as u64 | 1).wrapping_mul(u64::from(*hour))));
        if self.0.is_empty() { String::new() } else { format!("-{sum:x}") }
    }

    /// A resource, with the hour if there is one.
    pub(super) fn shown(&self, resource: &Resource, config: &GatewayConfig) -> Map<String, Value> {
        let mut shown = print::resource(resource, config);
        if let Some(hour) = self.0.get(&resource.id) {
            shown.insert("last_used".into(), json!(Instant::from_millis(i64::from(*hour) * HOUR_MS)));
        }
        shown
    }
}
