//! Two control planes on one Postgres, and the loss of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_testkit::postgres::{Durability, Postgres};

use crate::plane::{Plane, until};

/// Two with the same secret key and database.
async fn two(database: &str) -> (Plane, Plane, [tempfile::TempDir; 2]) {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    for folder in &folders {
        std::fs::write(folder.path().join("secret-key"), "7".repeat(64)).expect("written");
    }
    let (a, b) =
        tokio::join!(Plane::start_in(folders[0].path(), database), Plane::start_in(folders[1].path(), database));
    (a, b, folders)
}

async fn database() -> (Arc<Postgres>, String) {
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.expect("it runs").expect("a server");
    let url = postgres.create_database().expect("a database");
    (postgres, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_start_at_once_agree_and_follow_each_other() {
    let (_postgres, url) = database().await;
    let (a, b, folders) = two(&url).await;
    assert_eq!(a.api.token, b.api.token);
    let join = |folder: &tempfile::TempDir| std::fs::read_to_string(folder.path().join("join-token")).expect("there");
    assert_eq!(join(&folders[0]), join(&folders[1]), "one authority, one first join token");
    let made = [&a.ready.first_token, &b.ready.first_token].into_iter().flatten().count();
    assert_eq!(made, 1, "one of them made the first revision");
    assert_eq!(a.api.get("/v1/status").await.expect(200)["revision"], 1);

    // a write to one is read from the other
    let revision = a.api.put("/v1/services/s", json!({ "url": "http://127.0.0.1:9" })).await.revision();
    until("the other replica follows", || async { b.api.get("/v1/services/s").await.status == 200 }).await;
    assert_eq!(b.api.get("/v1/services/s").await.expect(200)["revision"], revision);

    // both write at once: each change is made once, in one order
    let writes = (0..40).map(|n| {
        let api = if n % 2 == 0 { a.api.clone() } else { b.api.clone() };
        tokio::spawn(async move {
            let answer = api.put(&format!("/v1/consumers/c{n}"), json!({})).await;
            let revision = answer.revision();
            answer.expect(201);
            revision
        })
    });
    let mut revisions = Vec::new();
    for write in writes.collect::<Vec<_>>() {
        revisions.push(write.await.expect("it ends"));
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (revision + 1..=revision + 40).collect::<Vec<_>>());
    until("both are at the end", || async {
        let at = |plane: &Plane| {
            let api = plane.api.clone();
            async move { api.get("/v1/status").await.body["revision"].as_u64() }
        };
        at(&a).await == Some(revision + 40) && at(&b).await == Some(revision + 40)
    })
    .await;

    // the same idempotency key at the other replica is the same wish
    let send = |plane: &Plane| {
        let request = plane.api.request("POST", "/v1/consumers/c0/keys").header("Idempotency-Key", "k");
        crate::plane::reply(request.json(&json!({})))
    };
    let (first, second) = tokio::join!(send(&a), send(&b));
    assert_eq!(first.expect(201)["key"], second.expect(201)["key"]);

    // a session of one holds at the other
    let signed = a.api.with_token(None).post("/v1/session", json!({ "token": a.api.token })).await;
    let cookie = signed.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    let request = b.api.with_token(None).request("GET", "/v1/status").header("Cookie", cookie);
    crate::plane::reply(request).await.expect(200);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgres_reads_go_on_and_writes_say_so_in_time() {
    let start = || Postgres::start(Durability::Durable).and_then(|p| Ok((p.create_database()?, p)));
    let (url, postgres) = tokio::task::spawn_blocking(start).await.expect("it runs").expect("a server");
    let (a, b, _folders) = two(&url).await;
    a.api.put("/v1/consumers/acme", json!({})).await.expect(201);
    until("the other replica follows", || async { b.api.get("/v1/consumers/acme").await.status == 200 }).await;

    postgres.stop().expect("stopped");
    for plane in [&a, &b] {
        let began = Instant::now();
        let writes = (0..8).map(|n| {
            let api = plane.api.clone();
            tokio::spawn(async move { api.put(&format!("/v1/consumers/w{n}"), json!({})).await })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.expect("it ends").expect_problem(503, "store_unavailable");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        plane.api.get("/v1/consumers/acme").await.expect(200);
        plane.api.get("/v1/nodes").await.expect(200);
        plane.api.get("/readyz").await.expect(200);
        // what is wrong with a document is told all the same
        plane.api.put("/v1/consumers/acme", json!({ "grups": [] })).await.expect_problem(400, "invalid");
        // and a change that changes nothing needs no database
        plane.api.put("/v1/consumers/acme", json!({})).await.expect(200);
        until("the figures tell", || async {
            plane.status_page("/metrics").await.text.contains("tidegate_control_plane_store_up 0")
        })
        .await;
    }
    let recent = a.api.get("/v1/revisions").await.expect(200);
    assert_eq!(recent["data"][0]["changes"][0]["name"], "acme");

    let postgres = tokio::task::spawn_blocking(move || postgres.start_again().map(|()| postgres));
    let _postgres = postgres.await.expect("it runs").expect("started again");
    until("writes work again", || async { a.api.put("/v1/consumers/back", json!({})).await.status < 300 }).await;
    until("both follow again", || async { b.api.get("/v1/consumers/back").await.status == 200 }).await;
    until("the figures tell", || async { b.api.get("/readyz").await.body["store_up"] == true }).await;
    a.stop().await;
    b.stop().await;
}
