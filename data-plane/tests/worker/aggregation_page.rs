//! The example of `docs/guide/aggregation.md`: the JSON block is the route, the blocks of text behind it say what is answered.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_model::Kind;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::support::client::read;
use crate::support::{Gateway, id, resource, run, service};

const PAGE: &str = include_str!("../../../docs/guide/aggregation.md");

fn block(language: &str, number: usize) -> &'static str {
    let mut all = PAGE.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let mut all = all.by_ref().filter(|(found, _)| *found == language);
    all.nth(number).expect("the page has it").1.trim_end()
}

/// What each service says, and after how long: each is a server of its own.
fn serve(gateway: &Gateway, name: &str, millis: u64, expected: &'static str, body: &'static str) {
    gateway.net.serve(&format!("{name}:80"), move |mut stream| async move {
        let mut buffer = Vec::new();
        while let Some(request) = read(&mut stream, &mut buffer, false).await {
            assert_eq!(request.first_line, format!("GET {expected} HTTP/1.1"));
            sleep(Duration::from_millis(millis)).await;
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
}

#[test]
fn the_example_of_the_page_about_aggregation_holds() {
    run(async {
        let mut route: Value = serde_json::from_str(block("json", 0)).expect("the route is JSON");
        for step in route["compose"]["steps"].as_object_mut().unwrap().values_mut() {
            step["service"] = json!(id(Kind::Service, step["service"].as_str().unwrap()));
        }
        let mut resources: Vec<_> = ["users", "orders", "offers", "reviews", "news"]
            .map(|name| service(name, json!({ "url": format!("http://{name}") })))
            .into();
        resources.push(resource(Kind::Route, "page", route));
        let gateway = Gateway::new(&resources);
        serve(&gateway, "users", 20, "/users/ada", r#"{"id":7,"name":"Ada","segment":"gold"}"#);
        let orders = r#"[{"id":1,"total":30,"lines":[]},{"id":2,"total":12,"lines":[]}]"#;
        serve(&gateway, "orders", 30, "/orders?customer=7&limit=3", orders);
        serve(&gateway, "offers", 2000, "/offers?segment=gold", "[]");
        serve(&gateway, "news", 10, "/news", r#"[{"title":"Tides turn"}]"#);
        let began = Instant::now();
        let mut lines = block("text", 0).lines();
        let request = format!("{} HTTP/1.1\r\nHost: a\r\n\r\n", lines.next().unwrap());
        let reply = gateway.ask(&request).await;
        assert_eq!(reply.status().to_string(), lines.next().unwrap(), "{reply:?}");
        let (headers, body): (Vec<&str>, Vec<&str>) = lines.partition(|line| !line.starts_with('{'));
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            assert_eq!(reply.header(&name.to_ascii_lowercase()), Some(value), "{name}");
        }
        assert_eq!(reply.text(), body.concat());
        assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());

        gateway.net.remove("users:80");
        let mut lines = block("text", 1).lines().skip(1);
        // a kept connection would still be answered over
        sleep(Duration::from_secs(3600 / 4)).await;
        let reply = gateway.ask(&request).await;
        assert_eq!(reply.status().to_string(), lines.next().unwrap(), "{reply:?}");
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        let told = format!("{}: {}", problem["code"].as_str().unwrap(), problem["step"].as_str().unwrap());
        assert_eq!(told, lines.next().unwrap());
    });
}
