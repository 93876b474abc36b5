use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tidegate_model::{TokenKind, write_token};

use crate::testing::{Bench, id, problems};
use crate::{Authentication, PolicyError, Principal, Subject};

fn key(n: u8) -> String {
    write_token(TokenKind::ApiKey, &[n; 32])
}

fn any_of(more: Value) -> Value {
    let mut config = json!({ "any_of": [{ "kind": "key-auth", "config": { "header": "x-a", "realm": "a" } }, { "kind": "key-auth", "config": { "header": "x-b", "realm": "b" } }] });
    config.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    config
}

fn all_of(more: Value) -> Value {
    let mut config = any_of(more);
    let members = config["any_of"].take();
    config.as_object_mut().expect("an object").shift_remove("any_of");
    config["all_of"] = members;
    config
}

/// A request with these headers: who it is (`name`, with `*` if it only stands in; `-` for nobody), or the code of the refusal.
fn who(config: &Value, headers: &[(&str, &str)]) -> String {
    let mut bench = Bench::new("auth", config.clone())
        .with_key(&key(1), "one", None)
        .with_key(&key(2), "two", None)
        .with_consumer(id(0xf), "free");
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header name");
        bench.head.headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let outcome = bench.request();
    assert!(bench.head.headers.is_empty(), "credentials went upstream: {:?}", bench.head.headers);
    match outcome {
        Ok(()) => {
            let principal = &bench.cx.principal;
            let star = if principal.is_stand_in { "*" } else { "" };
            match &principal.subject {
                Subject::Consumer(consumer) => format!("{}{star}", consumer.name),
                _ => format!("-{star}"),
            }
        }
        Err(reply) => {
            assert_eq!(reply.status, 401);
            let said: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "www-authenticate").collect();
            assert_eq!(said.iter().map(|(_, v)| v).collect::<Vec<_>>(), ["ApiKey realm=\"a\"", "ApiKey realm=\"b\""]);
            reply.code.to_owned()
        }
    }
}

#[test]
fn who_is_let_in_by_which_credentials() {
    let (good, other, unknown) = (key(1), key(2), key(9));
    let (good, other, unknown, broken) = (good.as_str(), other.as_str(), unknown.as_str(), "tg_broken");
    let missing = "missing_credentials";
    let invalid = "invalid_credentials";
    let stand_in = json!({ "anonymous": id(0xf) });
    for (config, cases) in [
        (
            any_of(json!({})),
            vec![
                (vec![("x-a", good)], "one"),
                (vec![("x-b", other)], "two"),
                (vec![("x-a", good), ("x-b", other)], "one"),
                (vec![("x-a", unknown), ("x-b", other)], invalid),
                (vec![("x-a", broken), ("x-b", other)], invalid),
                (vec![("x-a", good), ("x-b", unknown)], "one"),
                (vec![("x-a", good), ("x-a", other)], invalid),
                (vec![], missing),
            ],
        ),
        (
            any_of(stand_in.clone()),
            vec![
                (vec![("x-b", other)], "two"),
                (vec![("x-b", unknown)], invalid),
                (vec![("x-a", "")], invalid),
                (vec![], "free*"),
            ],
        ),
        (
            any_of(json!({ "optional": true })),
            vec![(vec![], "-"), (vec![("x-a", good)], "one"), (vec![("x-a", broken)], invalid)],
        ),
        // a consumer that is not there matches nobody
        (any_of(json!({ "anonymous": id(0xdead) })), vec![(vec![], missing), (vec![("x-a", good)], "one")]),
        (any_of(json!({ "anonymous": "not-resolved" })), vec![(vec![], missing)]),
        (
            all_of(json!({})),
            vec![
                (vec![("x-a", good), ("x-b", other)], "two"),
                (vec![("x-a", other), ("x-b", good)], "one"),
                (vec![("x-a", good)], missing),
                (vec![("x-b", good)], missing),
                (vec![("x-a", good), ("x-b", unknown)], invalid),
                (vec![("x-a", unknown), ("x-b", good)], invalid),
                (vec![], missing),
            ],
        ),
        (
            all_of(stand_in),
            vec![
                (vec![], "free*"),
                (vec![("x-a", good)], missing),
                (vec![("x-b", good)], missing),
                (vec![("x-a", good), ("x-b", other)], "two"),
            ],
        ),
    ] {
        for (headers, expected) in cases {
            assert_eq!(who(&config, &headers), expected, "{config} {headers:?}");
        }
    }
}

#[test]
fn one_that_can_not_decide_is_not_a_no() {
    use super::runtime::{Combined, Without};
    use crate::{AuthAnswer, Authenticator, RequestContext, RequestHead};
    use std::sync::Arc;

    struct Says(fn() -> Authentication);
    impl Authenticator for Says {
        fn authenticate<'a>(&'a self, _: &'a RequestHead, _: &'a RequestContext) -> AuthAnswer<'a> {
            // as one that must ask: what follows is asked later too
            AuthAnswer::Later(Box::pin(async { (self.0)() }))
        }
        fn strip(&self, _: &mut RequestHead) {}
        fn challenge(&self) -> HeaderValue {
            HeaderValue::from_static("X")
        }
    }
    let unsure = || Authentication::CannotDecide(PolicyError("the keys are away".into()));
    let nothing = || Authentication::NoCredentials;
    let yes = || Authentication::Principal(Box::new(Principal { credential: Some(id(1)), ..Principal::default() }));
    let no = || Authentication::Invalid(crate::Refusal { code: "no", detail: "no" });
    let bench = Bench::new("key-auth", json!({}));
    let asked = |all: bool, members: [fn() -> Authentication; 2]| {
        let members = members.map(|says| Arc::new(Says(says)) as Arc<dyn Authenticator>);
        let combined = Combined { members: members.into(), all, without: Without::Nobody };
        let answer = match combined.authenticate(&bench.head, &bench.cx) {
            AuthAnswer::Now(answer) => answer,
            AuthAnswer::Later(asked) => futures_util::FutureExt::now_or_never(asked).expect("nothing here waits"),
        };
        match answer {
            Authentication::NoCredentials => "nothing",
            Authentication::Invalid(_) | Authentication::Refused(_) => "no",
            Authentication::Principal(found) if found.credential.is_none() => "nobody",
            Authentication::Principal(_) => "yes",
            Authentication::CannotDecide(_) => "unsure",
        }
    };
    for (all, members, expected) in [
        (false, [unsure as fn() -> Authentication, nothing], "unsure"),
        (false, [nothing, unsure], "unsure"),
        (false, [unsure, yes], "yes"),
        (false, [unsure, no], "no"),
        (false, [nothing, nothing], "nobody"),
        (true, [yes, unsure], "unsure"),
        (true, [nothing, unsure], "unsure"),
        (true, [yes, yes], "yes"),
        (true, [yes, nothing], "no"),
        (true, [nothing, yes], "no"),
    ] {
        assert_eq!(asked(all, members), expected, "all {all}");
    }
}

#[test]
fn problems_point_into_the_members() {
    let member =
        |kind: &str, config: Value| json!({ "any_of": [{ "kind": "key-auth" }, { "kind": kind, "config": config }] });
    for (config, pointer, code) in [
        (json!({}), "/any_of", "missing_field"),
        (json!({ "any_of": [] }), "/any_of", "out_of_range"),
        (json!({ "any_of": [{ "kind": "key-auth" }], "all_of": [{ "kind": "key-auth" }] }), "/all_of", "conflict"),
        (member("nonsense", json!({})), "/any_of/1/kind", "unknown_kind"),
        (
            member("rate-limit", json!({ "limits": [{ "name": "a", "limit": 1, "window": "1m" }] })),
            "/any_of/1/kind",
            "invalid_value",
        ),
        (member("key-auth", json!({ "realm": "a\"b" })), "/any_of/1/config/realm", "invalid_value"),
        (member("key-auth", json!({ "nonsense": 1 })), "/any_of/1/config/nonsense", "unknown_field"),
        (member("auth", json!({ "any_of": [{ "kind": "key-auth" }] })), "/any_of/1/kind", "invalid_value"),
        (json!({ "any_of": [{ "all_of": [] }] }), "/any_of/0/all_of", "unknown_field"),
        (any_of(json!({ "anonymous": "a", "optional": false })), "/optional", "conflict"),
        (any_of(json!({ "anonymous": "a b" })), "/anonymous", "invalid_value"),
    ] {
        let found = problems("auth", &config);
        assert!(found.iter().any(|p| p.pointer == pointer && p.code == code), "{config}: {found:?}");
    }
}
