use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;
use smallvec::smallvec;

use super::{Condition, Facts, Names, SOURCE_BYTES_MAX, Template};
use crate::testing::Bench;
use crate::{Captures, Origin, Principal, ResponseHead, Subject};

fn bench() -> Bench {
    let mut bench = Bench::new("key-auth", json!({}));
    bench.head.method = Method::POST;
    bench.head.target = PathAndQuery::from_static("/orders/7%20a?size=big&q=a+b%26c&size=small");
    for (name, value) in [("host", "shop.example"), ("x-tier", "gold"), ("x-many", "a"), ("x-many", "b")] {
        bench.head.headers.append(name, HeaderValue::from_static(value));
    }
    let target = PathAndQuery::from_static("/orders/7%20a");
    bench.cx.captures = Captures::new(["id".into()].into(), target, smallvec![Some((8, 13))]);
    bench.cx.principal = Principal {
        subject: Subject::External("auth0|7".into()),
        scopes: smallvec!["read".into(), "write".into()],
        claims: Some(json!({ "sub": "auth0|7", "age": 30, "org": { "id": "acme" }, "roles": ["a", "b"] }).into()),
        ..Principal::default()
    };
    bench
}

fn holds(text: &str) -> Result<bool, String> {
    let bench = bench();
    let condition = Condition::compile(text, Names::REQUEST).map_err(|problem| problem.to_string())?;
    let facts = Facts::of_request(&bench.head, &bench.cx);
    condition.holds(&facts, &bench.cx).map_err(|error| error.to_string())
}

#[test]
fn conditions_see_the_request_and_who_calls() {
    for text in [
        r#"request.method == "POST""#,
        r#"request.path.startsWith("/orders/")"#,
        r#"request.host == "shop.example" && request.client_ip == "127.0.0.1""#,
        r#"request.headers["x-tier"] == "gold" && request.headers["X-Tier"] == "gold""#,
        r#"request.headers["x-many"] == "a, b""#,
        r#"request.query.size == "big" && request.query.q == "a b&c""#,
        r#"has(request.query.size) && !has(request.query.colour)"#,
        r#""x-tier" in request.headers && !("x-none" in request.headers)"#,
        r#"request.headers["x-none"] == null"#,
        r#"captures.id == "7 a""#,
        r#"principal.kind == "external" && principal.subject == "auth0|7""#,
        r#"principal.consumer.name == null"#,
        r#""write" in principal.scopes && size(principal.scopes) == 2"#,
        r#"principal.scopes.exists(s, s.startsWith("wr"))"#,
        r#"principal.claims.age >= 18 && principal.claims.org.id == "acme" && "b" in principal.claims.roles"#,
        r#"!has(principal.claims.email) && principal.claims.email == null"#,
        r#"request.path.matches("^/orders/[0-9]+")"#,
        r#"request.headers["x-tier"].lowerAscii() in ["gold", "silver"]"#,
        r#"request.method == "GET" ? false : request.method.size() == 4"#,
        r#"size(principal.groups) == 0"#,
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
    assert_eq!(holds(r#"request.method == "GET""#), Ok(false));
}

#[test]
fn a_slip_is_told_with_its_place() {
    for (text, told) in [
        ("request.metod == 'GET'", "line 1, column 9: `request` has no `metod`"),
        ("request.method == 'GET' &&\n  reqest.path == '/'", "line 2, column 3: there is no `reqest`"),
        ("response.status == 200", "line 1, column 1: there is no `response` yet"),
        ("request.path.startWith('/a')", "line 1, column 14: there is no function `startWith`"),
        ("request.path.matches('(')", "line 1, column 14: `(` is no pattern"),
        ("request.path.matches(request.query.p)", "must be a constant"),
        ("principal.consumer.nam == 'a'", "column 20: `principal.consumer` has no `nam`"),
        ("request['metod'] == 'GET'", "`request` has no `metod`"),
        ("request.path", "must yield true or false"),
        ("principal.scopes.map(s, s)", "must yield true or false"),
        ("request.method = 'GET'", "line 1, column"),
        ("", "there is no expression"),
        ("request.path.startsWith('/a', '/b')", "takes 1 arguments"),
    ] {
        let problem = holds(text).expect_err(text);
        assert!(problem.contains(told), "{text}: {problem}");
    }
}

#[test]
fn what_would_cost_without_bound_is_refused() {
    let deep = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    let wide = (0..600).map(|_| "true").collect::<Vec<_>>().join(" && ");
    for text in [
        "[".repeat(4000),
        format!("request.path == '{}'", "a".repeat(SOURCE_BYTES_MAX)),
        "[1, 2].all(a, [1, 2].all(b, a == b))".into(),
        "principal.scopes.exists(a, principal.scopes.exists(b, principal.scopes.exists(c, true)))".into(),
        format!("{}.a == 1", "request.headers".to_owned() + &".a".repeat(1500)),
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]] == 1".into(),
        "request.path.matches('(a{1000}){1000}')".into(),
    ] {
        let told = holds(&text).expect_err(&text);
        assert!(told.contains("line 1, column") || told.contains("at most"), "{told}");
    }
    // brackets and terms in a row cost no stack, whether they are taken or refused
    for text in [deep(10), deep(2000), wide, format!("{}true", "!".repeat(3000))] {
        let found = holds(&text);
        assert!(found == Ok(true) || found.is_err_and(|told| told.contains("column")), "{text}");
    }
}

#[test]
fn parts_that_do_not_go_together_have_no_value() {
    for text in ["request.method > 3", "request.headers['x-none'].startsWith('a')", "principal.claims.roles < 2"] {
        let told = holds(text).expect_err(text);
        assert!(told.contains("has no value here") && !told.contains("gold"), "{told}");
    }
}

fn written(text: &str) -> Result<String, String> {
    let bench = bench();
    let names = Names { response: true, further: &["steps"] };
    let template = Template::compile(text, names).map_err(|problem| problem.to_string())?;
    let response = ResponseHead { status: StatusCode::CREATED, headers: Default::default(), origin: Origin::Upstream };
    let steps = json!({ "user": { "body": { "name": "Ada" } } });
    let further = [("steps", &steps)];
    let facts = Facts::of_request(&bench.head, &bench.cx).and_response(&response).with(&further);
    let mut out = String::new();
    template.write(&facts, &bench.cx, &mut out).map_err(|error| error.to_string())?;
    Ok(out)
}

#[test]
fn templates_are_written() {
    for (text, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("sub=${principal.claims.sub}; age=${principal.claims.age}", "sub=auth0|7; age=30"),
        ("${request.method}${request.headers['x-none']}", "POST"),
        ("$${not} $5 {x} ${'}'}", "${not} $5 {x} }"),
        ("${response.status}", "201"),
        ("${steps.user.body.name}!", "Ada!"),
        ("${has(principal.claims.email) ? principal.claims.email : 'none'}", "none"),
        ("${request.method == 'POST'}", "true"),
        ("${{'a': 'b'}.a}", "b"),
    ] {
        assert_eq!(written(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_slip_in_a_template_is_told_at_its_place_in_the_whole() {
    for (text, told) in [
        ("Hello ${request.nam}", "line 1, column 17: `request` has no `nam`"),
        ("a\nbc ${ \n request.nam }", "line 3, column 10"),
        ("open ${request.path", "line 1, column 6: `${` without its `}`"),
        ("${request.headers}", "a list or an object"),
        ("${}", "there is no expression"),
    ] {
        let problem = written(text).expect_err(text);
        assert!(problem.contains(told), "{text}: {problem}");
    }
}

#[test]
fn a_template_without_expressions_is_known_as_one() {
    let constant = |text: &str| {
        let template = Template::compile(text, Names::REQUEST).expect("it reads");
        template.constant().map(str::to_owned)
    };
    assert_eq!(constant("a $${b}").as_deref(), Some("a ${b}"));
    assert_eq!(constant("${request.id}"), None);
}

#[test]
fn the_conditions_of_the_guide_are_read() {
    let page = include_str!("../../../../docs/guide/expressions.md");
    let blocks: Vec<&str> =
        page.split("```cel\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::trim).collect();
    assert!(blocks.len() >= 4);
    for block in blocks {
        Condition::compile(block, Names::REQUEST).unwrap_or_else(|problem| panic!("{problem}: {block}"));
    }
}
