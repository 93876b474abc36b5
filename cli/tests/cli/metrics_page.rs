//! docs/operations/metrics.md is made from the code.

use std::collections::HashSet;

use tidegate_control_plane::telemetry::catalogue as control_plane;
use tidegate_data_plane::telemetry::catalogue as node;
use tidegate_telemetry::{Type, page, process};

const HEAD: &str = "# Metrics

Nodes and control planes tell them to Prometheus at `/metrics` of `--status-listen`: by default `127.0.0.1:8100` on a node, `127.0.0.1:8101` on a
control plane. Nobody needs to sign in there, so let it listen where only your monitoring reaches it. `tidegate standalone` tells
those of both planes on its one status listener. This page is made from the code; a test compares them.

```yaml
scrape_configs:
  - job_name: tidegate
    static_configs:
      - targets: [node-1:8100, node-2:8100, control-plane-1:8101]
```

What the labels may be is bounded. Names are names, not ids. Of routes, services and targets so many have series of their own, those that
came first; the rest is summed under `_other` ([limits](limits.md): `metric_routes_max` and its neighbours). What is deleted is told for ten more minutes.
A route has series once it has had a request.

Some questions:

| question | PromQL |
|---|---|
| How much of what each service answers is an error? | `sum by (service) (rate(tidegate_route_requests_total{status=\"5xx\"}[5m])) / sum by (service) (rate(tidegate_route_requests_total[5m]))` |
| How long do 99 of 100 requests take? | `histogram_quantile(0.99, sum by (service, le) (rate(tidegate_service_request_duration_seconds_bucket[5m])))` |
| Which target can't be reached? | `sum by (upstream, target) (rate(tidegate_target_connect_failures_total[5m])) > 0` |
| Does a node serve an old configuration? | `max(tidegate_control_plane_revision) - tidegate_config_revision{class=\"traffic\"} > 0` for a minute, or `time() - tidegate_control_plane_last_heard_timestamp_seconds > 60` |
| Is a worker full? | `rate(tidegate_worker_busy_seconds_total[1m]) > 0.9` |
";

fn whole() -> String {
    let mut whole = String::from(HEAD);
    for (title, groups) in
        [("Nodes", node::GROUPS), ("Control planes", control_plane::GROUPS), ("Both", process::GROUPS)]
    {
        whole.push_str(&format!("\n## {title}\n"));
        whole.push_str(&page(groups));
    }
    whole
}

#[test]
fn the_page_of_metrics_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations/metrics.md");
    let page = whole();
    if std::env::var_os("TIDEGATE_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).expect("the page is written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == page, "docs/operations/metrics.md is out of date: run this test with TIDEGATE_WRITE_DOCS=1");
}

#[test]
fn metrics_are_named_as_is_the_habit_and_once() {
    let mut names = HashSet::new();
    let groups = [node::GROUPS, control_plane::GROUPS, process::GROUPS].into_iter().flatten();
    for family in groups.flat_map(|group| group.families) {
        let name = family.name;
        // in a standalone process all are on one page
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.starts_with("tidegate_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Type::Counter, "{name}");
        let has_unit = family.kind != Type::Histogram || name.ends_with("_seconds");
        assert!(has_unit && !name.contains("_ms") && !name.contains("_millis"), "{name}: base units");
        assert!(family.help.ends_with('.') && !family.help.contains('|'), "{name}: {}", family.help);
        assert!(!family.labels.contains(&"le") && !family.labels.contains(&"id"), "{name}");
    }
}
