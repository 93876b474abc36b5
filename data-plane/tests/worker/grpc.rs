//! Calls by gRPC: streams both ways at once, errors in trailers, deadlines.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use tidegate_model::Change;
use tokio::time::Instant;

use crate::support::h2::{connect, ok, whole};
use crate::support::{Gateway, policy, route, run, service};

fn service_with(timeouts: Value) -> [Change; 2] {
    let api = json!({ "url": "http://up:50051", "protocol": "h2c", "timeouts": timeouts });
    [service("api", api), route("all", "api", json!({ "match": { "path": "/shop.Orders" } }))]
}

fn call(path: &str) -> http::request::Builder {
    Request::post(format!("http://a{path}")).header("content-type", "application/grpc+proto").header("te", "trailers")
}

async fn fails(sender: &mut SendRequest<Bytes>, request: Request<()>) -> (Response<()>, String, String) {
    let (response, _) = sender.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert!(response.body().is_end_stream(), "trailers only");
    let (head, _) = response.into_parts();
    let text = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert_eq!((head.status.as_u16(), text("content-type").as_str()), (200, "application/grpc"));
    let (status, message) = (text("grpc-status"), text("grpc-message"));
    (Response::from_parts(head, ()), status, message)
}

#[test]
fn messages_go_both_ways_at_once() {
    run(async {
        let gateway = Gateway::new(&service_with(json!({})));
        gateway.net.serve_h2("up:50051", 100, |mut body, mut sender| async move {
            let mut stream = sender.send_response(ok(), false).unwrap();
            while let Some(Ok(piece)) = body.data().await {
                body.flow_control().release_capacity(piece.len()).unwrap();
                stream.send_data(piece, false).unwrap();
            }
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            stream.send_trailers(trailers).unwrap();
        });
        let (mut sender, _task) = connect(&gateway).await;
        let (response, mut stream) = sender.send_request(call("/shop.Orders/Chat").body(()).unwrap(), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        for message in ["one", "two", "three"] {
            stream.send_data(message.into(), false).unwrap();
            let echo = body.data().await.unwrap().unwrap();
            body.flow_control().release_capacity(echo.len()).unwrap();
            assert_eq!(echo, message);
        }
        stream.send_data(Bytes::new(), true).unwrap();
        let (rest, trailers) = whole(&mut body).await.unwrap();
        assert_eq!(
            (rest.as_str(), &trailers.unwrap()["grpc-status"]),
            ("", &"0".parse::<http::HeaderValue>().unwrap())
        );
    });
}

#[test]
fn a_side_that_listens_is_not_a_side_that_is_gone() {
    run(async {
        let gateway = Gateway::new(&service_with(json!({ "idle": "2s" })));
        gateway.net.serve_h2("up:50051", 100, |mut body, mut sender| async move {
            // answers early, and then only listens
            let mut stream = sender.send_response(ok(), false).unwrap();
            let (text, _) = whole(&mut body).await.unwrap();
            stream.send_data(text.len().to_string().into(), true).unwrap();
        });
        let (mut sender, _task) = connect(&gateway).await;
        let (response, mut stream) = sender.send_request(call("/shop.Orders/Upload").body(()).unwrap(), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stream.send_data("x".into(), false).unwrap();
        }
        stream.send_data("x".into(), true).unwrap();
        assert_eq!(whole(&mut body).await.unwrap().0, "11");
    });
}

#[test]
fn what_the_gateway_answers_itself_is_said_in_trailers() {
    run(async {
        let [api, all] = service_with(json!({}));
        let gateway = Gateway::new(&[
            api,
            all,
            route("keyed", "api", json!({ "match": { "path": "/keyed.Orders" } })),
            policy("key", "keyed", "key-auth", json!({})),
        ]);
        let (mut sender, _task) = connect(&gateway).await;
        for (path, status, begins) in [
            ("/other.Service/Get", "12", "no_route: "),
            ("/keyed.Orders/Get", "16", "missing_credentials: "),
            ("/shop.Orders/Get", "14", "upstream_connect_failed: no connection"),
            ("/shop.Orders/%00", "3", "path_refused: "),
        ] {
            let (head, code, message) = fails(&mut sender, call(path).body(()).unwrap()).await;
            assert_eq!(code, status, "{path} {message}");
            assert!(message.starts_with(begins), "{path} {message}");
            assert!(head.headers().contains_key("x-request-id"));
            assert!(!head.headers().contains_key("content-length"));
        }
        // who does not speak gRPC gets what HTTP knows
        let request = Request::post("http://a/other").header("content-type", "application/grpc-web").body(()).unwrap();
        let response = sender.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (404, &"application/problem+json".parse::<http::HeaderValue>().unwrap())
        );
    });
}

#[test]
fn a_call_takes_no_longer_than_it_may() {
    run(async {
        for (timeouts, asked, seconds) in
            [(json!({}), "3S", 3.0), (json!({ "request": "2s" }), "3S", 2.0), (json!({ "request": "4s" }), "500m", 0.5)]
        {
            let gateway = Gateway::new(&service_with(timeouts));
            let seen = gateway.net.serve_h2("up:50051", 100, |_, sender| async move {
                std::future::pending::<()>().await;
                drop(sender);
            });
            let (mut sender, _task) = connect(&gateway).await;
            let begun = Instant::now();
            let request = call("/shop.Orders/Get").header("grpc-timeout", asked).body(()).unwrap();
            let (_, status, message) = fails(&mut sender, request).await;
            assert_eq!((status.as_str(), message.starts_with("upstream_timeout_request: ")), ("4", true), "{message}");
            let took = begun.elapsed().as_secs_f64();
            assert!((seconds..seconds + 0.25).contains(&took), "{took}");
            assert_eq!(seen.requests.borrow()[0].headers["grpc-timeout"], asked);
        }
    });
}

#[test]
fn a_stream_that_runs_out_of_time_says_so_behind_its_messages() {
    run(async {
        let gateway = Gateway::new(&service_with(json!({})));
        gateway.net.serve_h2("up:50051", 100, |_, mut sender| async move {
            let mut stream = sender.send_response(ok(), false).unwrap();
            stream.send_data("one".into(), false).unwrap();
            std::future::pending::<()>().await;
        });
        let (mut sender, _task) = connect(&gateway).await;
        let request = call("/shop.Orders/Watch").header("grpc-timeout", "1S").body(()).unwrap();
        let mut body = sender.send_request(request, true).unwrap().0.await.unwrap().into_body();
        let (text, trailers) = whole(&mut body).await.unwrap();
        assert_eq!(
            (text.as_str(), &trailers.unwrap()["grpc-status"]),
            ("one", &"4".parse::<http::HeaderValue>().unwrap())
        );
    });
}
