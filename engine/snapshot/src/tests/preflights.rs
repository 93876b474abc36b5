//! Which route a preflight leads to.

use serde_json::{Value, json};
use tidegate_model::Kind;

use super::{find, id, put, request, route, service, snapshot, taken};
use crate::{Lookup, Snapshot};

fn cors(n: u128, scope: Value) -> tidegate_model::Change {
    put(Kind::Policy, n, json!({ "kind": "cors", "scope": scope, "config": { "origins": ["https://a.example"] } }))
}

fn shop() -> Snapshot {
    snapshot(vec![
        service(100),
        route(1, 100, json!({ "path": "/orders", "methods": ["GET"] })),
        route(2, 100, json!({ "path": "/orders", "methods": ["POST", "PUT"] })),
        route(3, 100, json!({ "path": "/carts", "methods": ["GET"] })),
        route(4, 100, json!({ "path": "/" })),
        route(5, 100, json!({ "path": "/any" })),
        route(6, 100, json!({ "path": "/asked", "methods": ["OPTIONS"] })),
        route(7, 100, json!({ "path": "/asked", "methods": ["PUT"] })),
        cors(10, json!({ "route": id(1) })),
        cors(11, json!({ "route": id(2) })),
        cors(12, json!({ "route": id(5) })),
    ])
}

#[test]
fn a_preflight_leads_to_the_route_of_the_request_that_it_asks_about() {
    const ORIGIN: (&str, &str) = ("origin", "https://a.example");
    let shop = shop();
    let asks = |method: &'static str| [ORIGIN, ("access-control-request-method", method)];
    for (line, method, route) in [
        ("OPTIONS /orders", "GET", "1"),
        // a route that takes GET takes HEAD
        ("OPTIONS /orders/7", "HEAD", "1"),
        ("OPTIONS /orders", "PUT", "2"),
        // nothing there answers preflights: it goes where any OPTIONS goes
        ("OPTIONS /orders", "DELETE", "4"),
        ("OPTIONS /orders", "get", "4"),
        ("OPTIONS /orders", "no method", "4"),
        ("OPTIONS /carts", "GET", "4"),
        ("OPTIONS /any", "DELETE", "5"),
        ("OPTIONS /asked", "PUT", "6"),
        ("GET /orders", "PUT", "1"),
    ] {
        assert_eq!(taken(&shop, line, &asks(method)), route, "{line} {method}");
    }
    // what is no preflight
    assert_eq!(find(&shop, "OPTIONS /orders"), "4");
    assert_eq!(taken(&shop, "OPTIONS /orders", &[ORIGIN]), "4");
    assert_eq!(taken(&shop, "OPTIONS /orders", &[("access-control-request-method", "GET")]), "4");
}

#[test]
fn it_is_told_whether_the_route_takes_the_method_itself() {
    let shop = shop();
    let for_preflight = |line: &str| {
        let headers = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
        match request(line, &headers).lookup(&shop) {
            Lookup::Found(found) => (found.for_preflight, found.route.allow().to_str().map(str::to_owned).ok()),
            _ => panic!("no route for {line}"),
        }
    };
    assert_eq!(for_preflight("OPTIONS /orders"), (true, Some("GET, HEAD".into())));
    assert_eq!(for_preflight("OPTIONS /any"), (false, Some(String::new())));
    assert_eq!(for_preflight("GET /orders"), (false, Some("GET, HEAD".into())));
}
