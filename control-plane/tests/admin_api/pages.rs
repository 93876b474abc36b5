//! The pages for browsers, from files in the binary.

use crate::plane::{Plane, reply};

#[tokio::test]
async fn the_reference_and_the_web_admin_are_served_to_anyone() {
    let plane = Plane::start().await;
    let nobody = plane.api.with_token(None);
    let root = nobody.get("/").await;
    assert_eq!((root.status, root.header("location")), (302, "/ui/"));
    assert_eq!(nobody.get("/ui").await.header("location"), "/ui/");

    for (path, content_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/docs.js", "text/javascript; charset=utf-8"),
        ("/docs/docs.css", "text/css; charset=utf-8"),
        ("/ui/", "text/html; charset=utf-8"),
        ("/ui/services/orders", "text/html; charset=utf-8"),
        ("/ui/services/orders.v2", "text/html; charset=utf-8"),
    ] {
        let answer = nobody.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, content_type), "{path}");
        assert!(!answer.text.contains("__CSP_NONCE__"), "{path}");
    }
    for path in ["/docs/nothing.js", "/docs/..%2fmod.rs", "/ui/assets/nothing.js", "/ui/.keep", "/ui/nothing.css"] {
        let answer = nobody.get(path).await;
        assert!(answer.status == 404 || path == "/ui/.keep" && answer.header("content-type").starts_with("text/html"));
    }
    let etag = nobody.get("/docs/docs.js").await.header("etag").to_owned();
    assert_eq!(reply(nobody.request("GET", "/docs/docs.js").header("If-None-Match", etag)).await.status, 304);
    plane.stop().await;
}
