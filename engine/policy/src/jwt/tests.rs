use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::rsa::KeySize;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tidegate_model::{Id, Sha256};

use super::KeySet;
use super::signing::{Signer, b64};
use crate::testing::{Bench, id, problems};
use crate::{ConsumerFacts, Directory, KeyMatch, Reply, Subject};

/// Seconds since 1970, when all of this happens.
const NOW: i64 = 1_800_000_000;

static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa(KeySize::Rsa2048));
static OTHER: LazyLock<Signer> = LazyLock::new(|| Signer::rsa(KeySize::Rsa2048));
static EC: LazyLock<Signer> = LazyLock::new(Signer::p256);

/// Knows the consumer `acme`, whose custom id is `sub-1`, and the group `gold`.
struct Acme;

impl Acme {
    fn facts() -> Arc<ConsumerFacts> {
        let value = |text: &'static str| HeaderValue::from_static(text);
        Arc::new(ConsumerFacts {
            id: id(7),
            name: "acme".into(),
            groups: Default::default(),
            id_header: value("x"),
            name_header: value("acme"),
            custom_id_header: Some(value("sub-1")),
        })
    }
}

impl Directory for Acme {
    fn basic(&self, _: &str) -> Option<crate::BasicMatch> {
        None
    }

    fn api_key(&self, _: &Sha256) -> Option<KeyMatch> {
        None
    }

    fn consumer(&self, wanted: Id) -> Option<Arc<ConsumerFacts>> {
        (wanted == id(7)).then(Acme::facts)
    }

    fn consumer_by_name(&self, name: &str) -> Option<Arc<ConsumerFacts>> {
        (name == "acme").then(Acme::facts)
    }

    fn consumer_by_custom_id(&self, custom_id: &str) -> Option<Arc<ConsumerFacts>> {
        (custom_id == "sub-1").then(Acme::facts)
    }

    fn group_by_name(&self, name: &str) -> Option<Id> {
        (name == "gold").then(|| id(8))
    }

    fn group_name(&self, _: Id) -> Option<Arc<str>> {
        None
    }
}

fn bench(config: Value) -> Bench {
    let mut bench = Bench::new("jwt", config);
    bench.clock.set(NOW * 1000);
    bench.cx.directory = Rc::new(Acme);
    bench
}

fn ask(bench: &mut Bench, headers: &[(&str, &str)]) -> Result<(), Box<Reply>> {
    bench.head.headers.clear();
    // each from an address of its own: many refusals from one are refused as such
    if let std::net::IpAddr::V4(client) = bench.cx.client {
        bench.cx.client = std::net::Ipv4Addr::from_bits(client.to_bits().wrapping_add(1)).into();
    }
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        bench.head.headers.append(name.parse::<HeaderName>().expect("a name"), value);
    }
    bench.request()
}

/// Shows one token: who it is of, or the status and code of the refusal.
fn show(bench: &mut Bench, token: &str) -> Result<String, (u16, &'static str)> {
    let bearer = format!("Bearer {token}");
    ask(bench, &[("authorization", &bearer)]).map_err(|reply| {
        if reply.status == 401 {
            let told = reply.headers.iter().find(|(name, _)| name == "www-authenticate").expect("a challenge");
            assert!(told.1.as_bytes().starts_with(b"Bearer realm=\""), "{told:?}");
            assert!(!reply.detail.contains(token) || token.is_empty());
        }
        (reply.status.as_u16(), reply.code)
    })?;
    assert!(bench.head.headers.is_empty(), "the token went upstream");
    Ok(match &bench.cx.principal.subject {
        Subject::Consumer(consumer) => consumer.name.to_string(),
        Subject::External(subject) => format!("ext:{subject}"),
        Subject::Anonymous => "anonymous".into(),
    })
}

fn fixed(signer: &Signer, kid: &str) -> Value {
    json!({ "jwk": signer.jwk(kid) })
}

fn claims() -> Value {
    json!({ "sub": "sub-1", "iss": "https://a", "aud": ["here"], "exp": NOW + 60, "iat": NOW - 5 })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn good() -> Result<String, (u16, &'static str)> {
    Ok("acme".into())
}

const REFUSED: Result<String, (u16, &str)> = Err((401, "invalid_credentials"));

#[test]
fn each_algorithm_works_with_the_keys_that_fit_it_and_no_other() {
    let signers = [
        ("rsa", Signer::rsa(KeySize::Rsa2048), &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        ("p256", Signer::p256(), &["ES256"]),
        ("p384", Signer::p384(), &["ES384"]),
        ("ed", Signer::ed(), &["EdDSA", "Ed25519"]),
        ("secret", Signer::Secret(vec![b'k'; 64]), &["HS256", "HS384", "HS512"]),
    ];
    let all = signers.iter().flat_map(|(.., algorithms)| algorithms.iter().copied());
    let all: Vec<&str> = all.collect();
    for (name, signer, fitting) in &signers {
        let keys = match signer {
            Signer::Secret(secret) => vec![json!({ "secret": std::str::from_utf8(secret).expect("text") })],
            _ => vec![json!({ "jwk": signer.jwk("k") }), json!({ "pem": signer.pem(), "kid": "k" })],
        };
        for key in keys {
            let mut bench = bench(json!({ "keys": [key] }));
            for algorithm in &all {
                let token = signer.token(&json!({ "alg": algorithm, "kid": "k" }), &claims());
                let expected = if fitting.contains(algorithm) { good() } else { REFUSED };
                assert_eq!(show(&mut bench, &token), expected, "{name} {algorithm} {key}");
            }
        }
    }
}

#[test]
fn public_attacks_are_refused() {
    let key = fixed(&RSA, "k");
    let (head, body) = (json!({ "alg": "RS256", "kid": "k" }), claims());
    let token = RSA.token(&head, &body);
    let parts: Vec<&str> = token.split('.').collect();
    let admin = b64(with(claims(), "sub", json!("admin")).to_string());
    // as a secret, the public key in each form that a library may have had it in
    let der = Signer::Secret(RSA.pem().into_bytes());
    let trimmed = Signer::Secret(RSA.pem().trim().as_bytes().to_vec());
    let modulus = Signer::Secret(RSA.jwk("k")["n"].as_str().expect("n").as_bytes().to_vec());
    let hs = json!({ "alg": "HS256", "kid": "k" });
    let embedded = json!({ "alg": "RS256", "jwk": OTHER.jwk("k"), "kid": "k" });
    let unsigned = |alg: &str| format!("{}.{}.", b64(json!({ "alg": alg }).to_string()), parts[1]);
    let attacks: Vec<(&str, String)> = vec![
        ("none", unsigned("none")),
        ("NONE", unsigned("NONE")),
        ("nOnE with a signature", format!("{}.{}.{}", b64(r#"{"alg":"nOnE"}"#), parts[1], parts[2])),
        ("no algorithm", RSA.token(&json!({ "kid": "k" }), &body)),
        ("an algorithm that is no text", RSA.token(&json!({ "alg": ["RS256"], "kid": "k" }), &body)),
        ("rs256 in small letters", RSA.token(&json!({ "alg": "rs256", "kid": "k" }), &body)),
        ("the public key as a secret", der.token(&hs, &body)),
        ("the public key as a secret, trimmed", trimmed.token(&hs, &body)),
        ("the modulus as a secret", modulus.token(&hs, &body)),
        ("an empty secret", Signer::Secret(Vec::new()).token(&hs, &body)),
        ("somebody's key", OTHER.token(&head, &body)),
        ("somebody's key by another name", OTHER.token(&json!({ "alg": "RS256", "kid": "other" }), &body)),
        ("a curve's signature under RS256", EC.token(&head, &body)),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("signature cut off", format!("{}.{}.{}", parts[0], parts[1], &parts[2][..parts[2].len() - 4])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{token}.x")),
        ("five parts, as if encrypted", format!("{token}.x.y")),
        ("other claims", format!("{}.{admin}.{}", parts[0], parts[2])),
        ("other header", format!("{}.{}.{}", b64(r#"{"alg":"RS256","kid":"k","x":1}"#), parts[1], parts[2])),
        ("crit", RSA.token(&json!({ "alg": "RS256", "kid": "k", "crit": ["exp"], "exp": 1 }), &body)),
        ("empty crit", RSA.token(&json!({ "alg": "RS256", "kid": "k", "crit": [] }), &body)),
        ("b64", RSA.token(&json!({ "alg": "RS256", "kid": "k", "b64": false, "crit": ["b64"] }), &body)),
        ("b64 that is not critical", RSA.token(&json!({ "alg": "RS256", "kid": "k", "b64": false }), &body)),
        ("a key of its own", OTHER.token(&embedded, &body)),
        (
            "a key elsewhere",
            OTHER.token(
                &json!({ "alg": "RS256", "kid": "k", "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/" }),
                &body,
            ),
        ),
        ("a kid that is a path", OTHER.token(&json!({ "alg": "RS256", "kid": "../../dev/null" }), &body)),
        ("a kid that is no text", RSA.token(&json!({ "alg": "RS256", "kid": 1 }), &body)),
        ("a kid without end", RSA.token(&json!({ "alg": "RS256", "kid": "k".repeat(513) }), &body)),
        ("header twice the same", RSA.token_of(r#"{"alg":"RS256","kid":"k","kid":"k"}"#, &body.to_string())),
        ("two algorithms", RSA.token_of(r#"{"alg":"RS256","alg":"none","kid":"k"}"#, &body.to_string())),
        ("claims twice the same", RSA.token_of(&head.to_string(), r#"{"sub":"x","sub":"sub-1","exp":1800000060}"#)),
        ("claims that are a list", RSA.token_of(&head.to_string(), "[]")),
        ("claims that are no JSON", RSA.token_of(&head.to_string(), "sub-1")),
        ("expired", RSA.token(&head, &with(claims(), "exp", json!(NOW - 31)))),
        ("no end", RSA.token(&head, &json!({ "sub": "sub-1" }))),
        ("an end that is a text", RSA.token(&head, &with(claims(), "exp", json!((NOW + 60).to_string())))),
        ("an end before all time", RSA.token(&head, &with(claims(), "exp", json!(-1)))),
        ("an end that is null", RSA.token(&head, &with(claims(), "exp", Value::Null))),
        ("not yet", RSA.token(&head, &with(claims(), "nbf", json!(NOW + 31)))),
        ("issued tomorrow", RSA.token(&head, &with(claims(), "iat", json!(NOW + 86_400)))),
        ("another issuer", RSA.token(&head, &with(claims(), "iss", json!("https://b")))),
        ("an issuer that is a list", RSA.token(&head, &with(claims(), "iss", json!(["https://a"])))),
        ("another audience", RSA.token(&head, &with(claims(), "aud", json!(["there"])))),
        ("no audience", RSA.token(&head, &with(claims(), "aud", json!([])))),
        ("nobody", RSA.token(&head, &with(claims(), "sub", json!("")))),
        ("somebody unknown", RSA.token(&head, &with(claims(), "sub", json!("sub-2")))),
        ("a subject that is a list", RSA.token(&head, &with(claims(), "sub", json!(["sub-1"])))),
        ("without end", "a".repeat(9_000)),
        ("padding", format!("{}==.{}.{}", parts[0], parts[1], parts[2])),
        ("a space within", token.replacen('.', ". ", 1)),
        ("dots", "..".into()),
        ("nothing", String::new()),
        ("no UTF-8", "\u{ff}\u{fe}".into()),
        ("a header that is no UTF-8", format!("{}.{}.{}", b64([0xff, 0xfe]), parts[1], parts[2])),
        ("deep", RSA.token_of(&head.to_string(), &format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000)))),
    ];
    let config = json!({ "keys": [key], "issuers": ["https://a", "https://c"], "audiences": ["x", "here"] });
    let mut bench = bench(config);
    assert_eq!(show(&mut bench, &token), good(), "the good one");
    for (what, attack) in &attacks {
        assert_eq!(show(&mut bench, attack), REFUSED, "{what}");
    }
    assert_eq!(show(&mut bench, &token), good(), "the good one, still");
}

#[test]
fn the_key_that_a_token_names_is_the_one() {
    let keys = json!({ "keys": [fixed(&RSA, "a"), fixed(&OTHER, "b")] });
    let mut bench = bench(keys);
    let named = |signer: &Signer, kid: &str| signer.token(&json!({ "alg": "RS256", "kid": kid }), &claims());
    assert_eq!(show(&mut bench, &named(&RSA, "a")), good());
    assert_eq!(show(&mut bench, &named(&OTHER, "b")), good());
    assert_eq!(show(&mut bench, &named(&RSA, "b")), REFUSED, "the key of another name");
    assert_eq!(show(&mut bench, &named(&RSA, "c")), REFUSED);
    let unnamed = OTHER.token(&json!({ "alg": "RS256" }), &claims());
    assert_eq!(show(&mut bench, &unnamed), good(), "one that names none may be by any");
}

#[test]
fn only_the_algorithms_that_are_asked_for_are_taken() {
    let mut bench = bench(json!({ "keys": [fixed(&RSA, "k")], "algorithms": ["PS256", "ES256"] }));
    for (algorithm, expected) in [("PS256", good()), ("RS256", REFUSED), ("ES256", REFUSED)] {
        assert_eq!(show(&mut bench, &RSA.token(&json!({ "alg": algorithm, "kid": "k" }), &claims())), expected);
    }
}

#[test]
fn times_have_a_leeway_and_count_also_for_a_token_that_is_known() {
    let mut bench = bench(json!({ "keys": [fixed(&EC, "k")], "leeway": "10s" }));
    let head = json!({ "alg": "ES256", "kid": "k" });
    let token = EC.token(&head, &json!({ "sub": "sub-1", "exp": NOW as f64 + 100.5, "nbf": NOW, "iat": NOW }));
    for (second, expected) in [(-11, REFUSED), (-10, good()), (0, good()), (110, good()), (111, REFUSED), (50, good())]
    {
        bench.clock.set((NOW + second) * 1000);
        assert_eq!(show(&mut bench, &token), expected, "{second}");
    }
    let endless = EC.token(&head, &json!({ "sub": "sub-1" }));
    assert_eq!(show(&mut bench, &endless), REFUSED);
    bench.rebuild(&json!({ "keys": [fixed(&EC, "k")], "without_exp": true }));
    assert_eq!(show(&mut bench, &endless), good());
}

#[test]
fn a_token_that_is_known_is_not_known_to_another_config() {
    let mut bench = bench(json!({ "keys": [fixed(&EC, "k")] }));
    let token = EC.token(&json!({ "alg": "ES256", "kid": "k" }), &claims());
    assert_eq!(show(&mut bench, &token), good());
    bench.rebuild(&json!({ "keys": [fixed(&EC, "k")], "issuers": ["https://b"] }));
    assert_eq!(show(&mut bench, &token), REFUSED);
    bench.rebuild(&json!({ "keys": [fixed(&Signer::p256(), "k")] }));
    assert_eq!(show(&mut bench, &token), REFUSED, "the key is gone");
}

#[test]
fn claims_and_scopes_that_are_asked_for_have_to_be_there() {
    let head = json!({ "alg": "ES256", "kid": "k" });
    let forbidden: Result<String, (u16, &str)> = Err((403, "insufficient_scope"));
    let lacking: Result<String, (u16, &str)> = Err((403, "insufficient_claims"));
    for (config, claim, value, expected) in [
        (json!({ "scopes": ["a", "b"] }), "scope", json!("b c a"), good()),
        (json!({ "scopes": ["a", "b"] }), "scope", json!("a"), forbidden.clone()),
        (json!({ "scopes": ["a"] }), "scope", json!("ab a:x"), forbidden.clone()),
        (json!({ "scopes": ["a", "b"] }), "scp", json!(["a", "b"]), good()),
        (json!({ "scopes": ["a", "b"] }), "scp", json!("a b"), good()),
        (json!({ "scopes": ["a"] }), "other", json!("a"), forbidden),
        (json!({ "claims": { "tenant": [] } }), "tenant", json!({}), good()),
        (json!({ "claims": { "tenant": [] } }), "tenant", Value::Null, lacking.clone()),
        (json!({ "claims": { "tenant": ["x", "y"] } }), "tenant", json!("y"), good()),
        (json!({ "claims": { "tenant": ["x", "y"] } }), "tenant", json!("z"), lacking.clone()),
        (json!({ "claims": { "tenant": ["x"] } }), "tenant", json!(["z", "x"]), good()),
        (json!({ "claims": { "tenant": ["x"] } }), "tenant", json!({ "x": 1 }), lacking.clone()),
        (json!({ "claims": { "ok": ["true"] } }), "ok", json!(true), good()),
        (json!({ "claims": { "/realm/roles": ["r"] } }), "realm", json!({ "roles": ["q", "r"] }), good()),
        (json!({ "claims": { "/realm/roles": ["r"] } }), "realm", json!({ "roles": ["q"] }), lacking),
        (json!({ "claims": { "https://a/b": ["r"] } }), "https://a/b", json!("r"), good()),
    ] {
        let mut config = config;
        config["keys"] = json!([fixed(&EC, "k")]);
        let told = config.to_string();
        let token = EC.token(&head, &with(claims(), claim, value));
        assert_eq!(show(&mut bench(config), &token), expected, "{told}");
    }
}

#[test]
fn a_refusal_says_what_rfc_6750_asks_for() {
    let mut bench = bench(json!({ "keys": [fixed(&EC, "k")], "scopes": ["a", "b"], "realm": "r" }));
    let mut challenge = |headers: &[(&str, &str)]| {
        let reply = ask(&mut bench, headers).expect_err("refused");
        let told: Vec<String> = reply.headers.iter().map(|(_, value)| value.to_str().expect("text").into()).collect();
        (reply.status.as_u16(), reply.code, told.join("; "))
    };
    assert_eq!(challenge(&[]), (401, "missing_credentials", "Bearer realm=\"r\"".into()));
    let basic = [("authorization", "Basic YTpi")];
    assert_eq!(challenge(&basic), (401, "missing_credentials", "Bearer realm=\"r\"".into()));
    let told = "Bearer realm=\"r\", error=\"invalid_token\"";
    assert_eq!(challenge(&[("authorization", "Bearer x")]), (401, "invalid_credentials", told.into()));
    let token = format!("bearer {}", EC.token(&json!({ "alg": "ES256", "kid": "k" }), &claims()));
    let told = "Bearer realm=\"r\", error=\"insufficient_scope\", scope=\"a b\"";
    assert_eq!(challenge(&[("authorization", &token)]), (403, "insufficient_scope", told.into()));
}

#[test]
fn a_claim_leads_to_a_consumer_or_stands_for_itself() {
    let seven = id(7).to_string();
    for (config, claims, expected) in [
        (json!({}), json!({ "sub": "sub-1" }), good()),
        (json!({ "consumer": "name" }), json!({ "sub": "acme" }), good()),
        (json!({ "consumer": "name" }), json!({ "sub": "sub-1" }), REFUSED),
        (json!({ "consumer": "id" }), json!({ "sub": seven }), good()),
        (json!({ "consumer": "id" }), json!({ "sub": "acme" }), REFUSED),
        (json!({ "subject_claim": "azp" }), json!({ "azp": "sub-1", "sub": "x" }), good()),
        (json!({ "subject_claim": "azp" }), json!({ "sub": "sub-1" }), REFUSED),
        (json!({ "subject_claim": "/app/id" }), json!({ "app": { "id": "sub-1" } }), good()),
        (json!({ "consumer": "none" }), json!({ "sub": "u1" }), Ok("ext:u1".into())),
        (json!({ "consumer": "none" }), json!({ "sub": 12 }), Ok("ext:12".into())),
        (json!({ "consumer": "none" }), json!({}), REFUSED),
    ] {
        let (mut config, mut claims) = (config, claims);
        config["keys"] = json!([fixed(&EC, "k")]);
        claims["exp"] = json!(NOW + 60);
        let token = EC.token(&json!({ "alg": "ES256", "kid": "k" }), &claims);
        let told = config.to_string();
        let mut bench = bench(config);
        // the second time from memory
        assert_eq!(show(&mut bench, &token), expected, "{told}");
        assert_eq!(show(&mut bench, &token), expected, "{told}");
    }
}

#[test]
fn groups_scopes_and_claims_are_the_principals() {
    let config = json!({ "keys": [fixed(&EC, "k")], "consumer": "none", "groups_claim": "/realm/roles" });
    let mut bench = bench(config);
    let told =
        json!({ "sub": "u", "exp": NOW + 60, "scope": "a b a", "realm": { "roles": ["gold", "no-such", "gold"] } });
    let token = EC.token(&json!({ "alg": "ES256", "kid": "k" }), &told);
    for _ in 0..2 {
        assert_eq!(show(&mut bench, &token), Ok("ext:u".into()));
        let principal = &bench.cx.principal;
        assert_eq!(principal.groups.as_slice(), [id(8)]);
        assert_eq!(principal.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(principal.claims.as_deref(), Some(&told));
    }
}

#[test]
fn a_token_is_found_where_it_is_said_to_be_and_taken_off_there() {
    let token = EC.token(&json!({ "alg": "ES256", "kid": "k" }), &claims());
    let bearer = format!("Bearer {token}");
    let crumb = format!("a=1; t={token}; b=2");
    let target = format!("/p?a=%20&t={token}&b");
    let check = |config: Value, headers: &[(&str, &str)], target: &str| {
        let mut config = config;
        config["keys"] = json!([fixed(&EC, "k")]);
        let mut bench = bench(config);
        bench.head.target = target.parse().expect("a target");
        let outcome = ask(&mut bench, headers).map_err(|reply| reply.code);
        let left: Vec<String> =
            bench.head.headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().expect("text"))).collect();
        (outcome, left.join("\n"), bench.head.target.to_string())
    };
    assert_eq!(check(json!({}), &[("authorization", &bearer)], "/p?a"), (Ok(()), String::new(), "/p?a".into()));
    let other = check(json!({ "header": "x-token" }), &[("x-token", &token), ("authorization", "Basic x")], "/");
    assert_eq!(other, (Ok(()), "authorization: Basic x".into(), "/".into()));
    assert_eq!(check(json!({ "header": "x-token" }), &[("x-token", &bearer)], "/").0, Ok(()));
    let cookie = check(json!({ "cookie": "t" }), &[("cookie", &crumb), ("cookie", "c=3")], "/");
    assert_eq!(cookie, (Ok(()), "cookie: a=1; b=2\ncookie: c=3".into(), "/".into()));
    assert_eq!(check(json!({ "query": "t" }), &[], &target), (Ok(()), String::new(), "/p?a=%20&b".into()));
    let escaped = format!("/p?%74={token}");
    assert_eq!(check(json!({ "query": "t" }), &[], &escaped), (Ok(()), String::new(), "/p".into()));
    let kept = check(json!({ "forward_token": true }), &[("authorization", &bearer)], "/");
    assert_eq!(kept, (Ok(()), format!("authorization: {bearer}"), "/".into()));
    // what is not looked at is no token
    assert_eq!(check(json!({ "cookie": "t" }), &[("authorization", &bearer)], "/").0, Err("missing_credentials"));
    assert_eq!(check(json!({ "query": "t" }), &[("cookie", &crumb)], "/").0, Err("missing_credentials"));
    // two tokens, also the same one twice
    let two = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
    let both = json!({ "header": "authorization", "query": "t" });
    for (config, headers, at) in
        [(json!({}), &two[..], "/"), (json!({}), &[two[0], two[0]][..], "/"), (both, &two[..1], target.as_str())]
    {
        let (outcome, left, target) = check(config, headers, at);
        assert_eq!(outcome, Err("invalid_credentials"));
        assert!(!left.contains("Bearer") && !target.contains("t="), "{left} {target}");
    }
}

#[test]
fn keys_of_a_published_set_that_can_not_be_used_are_counted() {
    let weak = json!({ "kty": "RSA", "kid": "w", "n": b64([0xffu8; 128]), "e": "AQAB" });
    let mut private = EC.jwk("private");
    private["d"] = json!("AAAA");
    let mut encrypting = RSA.jwk("enc");
    encrypting["use"] = json!("enc");
    let mut other_ops = RSA.jwk("ops");
    other_ops["key_ops"] = json!(["encrypt"]);
    let mut odd = RSA.jwk("odd");
    odd["alg"] = json!("RSA-OAEP");
    let mut even = RSA.jwk("even");
    even["e"] = json!("AQAA");
    let secret = Signer::Secret(vec![1; 64]).jwk("secret");
    let list = json!([weak, private, encrypting, other_ops, odd, even, secret, 7, { "kty": "EC", "crv": "P-521" }, RSA.jwk("k")]);
    let set = KeySet::read(json!({ "keys": list }).to_string().as_bytes()).expect("one can be used");
    let skipped = set.skipped();
    assert_eq!((set.len(), skipped.weak, skipped.other), (1, 3, 6));
    let many: Vec<Value> = (0..200).map(|n| EC.jwk(&n.to_string())).collect();
    let set = KeySet::read(json!({ "keys": many }).to_string().as_bytes()).expect("a set");
    assert_eq!((set.len(), set.skipped().other), (super::KEYS_MAX, 200 - super::KEYS_MAX));
    for nothing in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, r#"{"keys":[],"keys":[]}"#, "<html>"] {
        assert!(KeySet::read(nothing.as_bytes()).is_err(), "{nothing}");
    }
}

#[test]
fn a_config_that_can_not_work_is_refused() {
    let mut private = EC.jwk("k");
    private["d"] = json!("AAAA");
    let small = json!({ "kty": "RSA", "n": b64([0xffu8; 255]), "e": "AQAB" });
    let one = json!([fixed(&EC, "k")]);
    for (config, pointer, says) in [
        (json!({}), "/jwks_url", "give one of"),
        (json!({ "keys": [] }), "/keys", "at least 1"),
        (json!({ "jwks_url": "https://a/k", "keys": one }), "/keys", "only one of"),
        (json!({ "jwks_url": "ftp://a/k" }), "/jwks_url", "https://host"),
        (json!({ "jwks_url": "http://a.example/k" }), "/jwks_url", "swapped"),
        (json!({ "jwks_url": "https://u:p@a/k" }), "/jwks_url", "no user"),
        (json!({ "jwks_url": "https://a/k", "algorithms": ["HS256"] }), "/algorithms", "never secrets"),
        (json!({ "jwks_url": "https://a/k", "algorithms": ["none"] }), "/algorithms/0", "not one of"),
        (json!({ "keys": [{ "kid": "a" }] }), "/keys/0/pem", "give one of"),
        (json!({ "keys": [{ "secret": "x".repeat(31) }] }), "/keys/0/secret", "at least 32 bytes"),
        (json!({ "keys": [{ "secret": "x".repeat(40) }], "algorithms": ["HS512"] }), "/keys/0/secret", "at least 64"),
        (json!({ "keys": [{ "secret": "x".repeat(40), "encoding": "base64" }] }), "/keys/0/secret", "at least 32"),
        (json!({ "keys": [{ "secret": "!".repeat(40), "encoding": "base64" }] }), "/keys/0/secret", "neither base64"),
        (json!({ "keys": [{ "pem": EC.pem(), "encoding": "text" }] }), "/keys/0/encoding", "there is none"),
        (json!({ "keys": [{ "pem": "x" }] }), "/keys/0/pem", "not PEM"),
        (
            json!({ "keys": [{ "pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----" }] }),
            "/keys/0/pem",
            "private half",
        ),
        (
            json!({ "keys": [{ "pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" }] }),
            "/keys/0/pem",
            "openssl",
        ),
        (json!({ "keys": [{ "jwk": private }] }), "/keys/0/jwk", "private half"),
        (json!({ "keys": [{ "jwk": small }] }), "/keys/0/jwk", "2048"),
        (json!({ "keys": [{ "jwk": Signer::Secret(vec![1; 64]).jwk("k") }] }), "/keys/0/jwk", "sealed"),
        (json!({ "keys": [{ "jwk": EC.jwk("k"), "kid": "l" }] }), "/keys/0/kid", "says it already"),
        (json!({ "keys": one, "algorithms": ["RS256"] }), "/keys/0/jwk", "none of `algorithms`"),
        (json!({ "keys": one, "leeway": "11m" }), "/leeway", "10m"),
        (json!({ "keys": one, "token_bytes_max": "64KiB" }), "/token_bytes_max", "32KiB"),
        (json!({ "keys": one, "header": "a b" }), "/header", "not a header name"),
        (json!({ "keys": one, "header": "cookie" }), "/header", "as `cookie`"),
        (json!({ "keys": one, "cookie": "a;b" }), "/cookie", "not the name"),
        (json!({ "keys": one, "realm": "a\"b" }), "/realm", "quotes"),
        (json!({ "keys": one, "scopes": ["a", "b c"] }), "/scopes/1", "spaces"),
    ] {
        let found = problems("jwt", &config);
        let first = found.first().expect("a problem");
        assert!(first.pointer == pointer && first.detail.contains(says), "{config}: {found:?}");
        assert!(found.iter().all(|problem| !problem.detail.contains("xxxx")), "a secret was told: {found:?}");
    }
}

#[test]
fn tokens_that_fail_count_as_attempts_of_their_address() {
    let mut bench = bench(json!({ "keys": [{ "secret": "0123456789abcdef0123456789abcdef" }], "consumer": "none" }));
    let mut code = || {
        bench.head.headers.insert("authorization", HeaderValue::from_static("Bearer e30.e30.e30"));
        bench.request().expect_err("it does not hold").code
    };
    assert!((0..1000).any(|_| code() == "too_many_failures"));
    assert_eq!(bench.request().expect_err("nothing is shown").code, "missing_credentials");
}
