use serde_json::{Value, json};

use crate::Phase;
use crate::testing::{Bench, build, build_for_some, problems};

fn admits(config: &Value, client: &str) -> bool {
    let mut bench = Bench::new("ip-restriction", config.clone());
    bench.cx.client = client.parse().expect("an address");
    match bench.request() {
        Ok(()) => true,
        Err(reply) => {
            assert_eq!((reply.status.as_u16(), reply.code), (403, "ip_refused"));
            false
        }
    }
}

#[test]
fn the_address_decides_and_deny_wins() {
    let both =
        json!({ "allow": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"], "deny": ["10.9.0.0/16", "2001:db8:bad::/48"] });
    let denied = json!({ "deny": ["10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8"] });
    let mapped = json!({ "allow": ["::ffff:10.0.0.0/104"] });
    for (config, client, admitted) in [
        (&both, "10.1.2.3", true),
        (&both, "10.9.2.3", false),
        (&both, "::ffff:10.1.2.3", true),
        (&both, "::ffff:10.9.2.3", false),
        (&both, "2001:db8::1", true),
        (&both, "2001:db8:bad::1", false),
        (&both, "192.0.2.7", true),
        (&both, "192.0.2.8", false),
        (&both, "::1", false),
        (&denied, "10.255.0.1", false),
        (&denied, "11.0.0.1", true),
        (&denied, "::1", true),
        (&mapped, "10.1.1.1", true),
        (&mapped, "::ffff:10.1.1.1", true),
        (&mapped, "::a01:101", false),
    ] {
        assert_eq!(admits(config, client), admitted, "{client} by {config}");
    }
}

#[test]
fn it_screens_and_where_it_is_for_some_it_authorizes() {
    let config = json!({ "deny": ["10.0.0.0/8"] });
    assert_eq!(build("ip-restriction", &config).phase, Phase::Screen);
    assert_eq!(build_for_some("ip-restriction", &config).phase, Phase::Authorize);
}

#[test]
fn a_list_that_can_not_work_is_refused_with_what_would() {
    for (config, pointer, told) in [
        (json!({}), "", "give `allow`, `deny` or both"),
        (json!({ "allow": [] }), "/allow", "at least 1"),
        (json!({ "deny": [] }), "/deny", "at least 1"),
        (json!({ "allow": ["10.0.0.0/8", "10.1.2.3/16"] }), "/allow/1", "the network is `10.1.0.0/16`"),
        (json!({ "deny": ["2001:db8::1/64"] }), "/deny/0", "the network is `2001:db8::/64`"),
        (json!({ "deny": ["10.0.0.0/33"] }), "/deny/0", "32 bits"),
        (json!({ "deny": ["acme.example"] }), "/deny/0", "is not a network"),
        (json!({ "deny": vec!["10.0.0.1"; 10_001] }), "/deny", "at most 10000"),
    ] {
        let problems = problems("ip-restriction", &config);
        assert_eq!(problems[0].pointer, pointer);
        assert!(problems[0].detail.contains(told), "{}", problems[0].detail);
    }
}
