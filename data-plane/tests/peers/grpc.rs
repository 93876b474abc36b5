//! A server and a client of tonic, all four shapes of a call.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::support::{DEADLINE, Gateway};

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

fn text(text: impl Into<String>) -> Text {
    Text { text: text.into() }
}

type Codec = ProstCodec<Text, Text>;
type Texts = BoxStream<'static, Result<Text, Status>>;

/// Says back what it is told, in each shape.
#[derive(Clone)]
struct Echo;

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        async move {
            let mut grpc = tonic::server::Grpc::new(Codec::default());
            Ok(match request.uri().path().rsplit('/').next() {
                Some("Unary") => grpc.unary(service_fn(unary), request).await,
                Some("Collect") => grpc.client_streaming(service_fn(collect), request).await,
                Some("Count") => grpc.server_streaming(service_fn(count), request).await,
                _ => grpc.streaming(service_fn(chat), request).await,
            })
        }
        .boxed()
    }
}

async fn unary(request: Request<Text>) -> Result<Response<Text>, Status> {
    match request.get_ref().text.as_str() {
        "fail" => Err(Status::failed_precondition("ä: not now")),
        "hang" => std::future::pending().await,
        said => Ok(Response::new(text(said))),
    }
}

async fn collect(request: Request<Streaming<Text>>) -> Result<Response<Text>, Status> {
    let mut all = 0;
    let mut messages = request.into_inner();
    while let Some(message) = messages.message().await? {
        all += message.text.len();
    }
    Ok(Response::new(text(all.to_string())))
}

async fn count(request: Request<Text>) -> Result<Response<Texts>, Status> {
    let to: usize = request.get_ref().text.parse().map_err(|_| Status::invalid_argument("no number"))?;
    let messages = (0..to).map(|n| Ok(text(n.to_string())));
    let end = stream::iter([Err(Status::out_of_range("that was all"))]);
    Ok(Response::new(stream::iter(messages).chain(end).boxed()))
}

async fn chat(request: Request<Streaming<Text>>) -> Result<Response<Texts>, Status> {
    Ok(Response::new(request.into_inner().boxed()))
}

async fn server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(Server::builder().add_service(Echo).serve_with_incoming(TcpListenerStream::new(listener)));
    at
}

async fn client(gateway: &Gateway) -> Grpc<Channel> {
    Grpc::new(Endpoint::from_shared(format!("http://{}", gateway.at)).unwrap().connect().await.unwrap())
}

async fn say(client: &mut Grpc<Channel>, request: Request<Text>) -> Result<String, Status> {
    client.ready().await.unwrap();
    let reply = client.unary(request, PathAndQuery::from_static("/test.Echo/Unary"), Codec::default()).await?;
    Ok(reply.into_inner().text)
}

fn path(name: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(name)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it ends in time")
}

#[tokio::test]
async fn all_four_shapes_of_a_call_pass() {
    let gateway = Gateway::before(server().await, "h2c");
    let mut client = client(&gateway).await;
    within(async {
        let large = "x".repeat(3 << 20);
        for said in ["", "hello", &large] {
            assert!(say(&mut client, Request::new(text(said))).await.unwrap() == said);
        }
        client.ready().await.unwrap();
        let pieces = stream::iter((0..200).map(|_| text("x".repeat(10_000))));
        let reply =
            client.client_streaming(Request::new(pieces), path("/test.Echo/Collect"), Codec::default()).await.unwrap();
        assert_eq!(reply.get_ref().text, "2000000");

        let request = Request::new(text("1000"));
        client.ready().await.unwrap();
        let mut counted =
            client.server_streaming(request, path("/test.Echo/Count"), Codec::default()).await.unwrap().into_inner();
        for n in 0..1000 {
            assert_eq!(counted.message().await.unwrap(), Some(text(n.to_string())));
        }
        let end = counted.message().await.unwrap_err();
        assert_eq!((end.code(), end.message()), (Code::OutOfRange, "that was all"));

        let (say, said) = tokio::sync::mpsc::channel(1);
        let request = Request::new(ReceiverStream::new(said));
        client.ready().await.unwrap();
        let mut chat = client.streaming(request, path("/test.Echo/Chat"), Codec::default()).await.unwrap().into_inner();
        for n in 0..100 {
            say.send(text(n.to_string())).await.unwrap();
            assert_eq!(chat.message().await.unwrap(), Some(text(n.to_string())), "each is answered before the next");
        }
        drop(say);
        assert_eq!(chat.message().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn errors_arrive_as_what_they_are() {
    let gateway = Gateway::before(server().await, "h2c");
    let mut client = client(&gateway).await;
    within(async {
        let error = say(&mut client, Request::new(text("fail"))).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::FailedPrecondition, "ä: not now"));

        let mut request = Request::new(text("hang"));
        request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
        let error = say(&mut client, request).await.unwrap_err();
        // whoever of the three that know of the time is the first
        assert!(matches!(error.code(), Code::DeadlineExceeded | Code::Cancelled), "{error:?}");
    })
    .await;
    let nobody = Gateway::before(std::net::SocketAddr::from(([127, 0, 0, 1], 1)), "h2c");
    let mut client = self::client(&nobody).await;
    let error = within(say(&mut client, Request::new(text("a")))).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert!(error.message().starts_with("upstream_connect_failed: "), "{error:?}");
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_upstream_and_leaves_others_alone() {
    let gateway = Gateway::before(server().await, "h2c");
    let mut client = client(&gateway).await;
    let mut other = client.clone();
    // it is under way once another call, which went behind it on the same connection, is answered
    let mut hangs = Box::pin(say(&mut client, Request::new(text("hang"))));
    assert!(futures_util::poll!(&mut hangs).is_pending());
    let said = within(async {
        tokio::select! {
            _ = &mut hangs => panic!("it hangs"),
            said = say(&mut other, Request::new(text("a"))) => said.unwrap(),
        }
    });
    assert_eq!(said.await, "a");
    drop(hangs);
    within(async {
        while gateway.cells.requests[0].get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
