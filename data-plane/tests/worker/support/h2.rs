//! Both ends of HTTP/2, frame by frame: a caller, and targets that do as they are told.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::io::DuplexStream;
use tokio::task::{JoinHandle, spawn_local};

use super::{Gateway, Net};

/// A caller's connection, and the task that ends with it.
pub(crate) async fn connect(gateway: &Gateway) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let (sender, connection) = h2::client::handshake(gateway.connect().stream).await.unwrap();
    (sender.ready().await.unwrap(), spawn_local(connection))
}

/// All of a body, and its trailers; or why it was cut.
pub(crate) async fn whole(body: &mut RecvStream) -> Result<(String, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
    }
    Ok((String::from_utf8(all).unwrap(), body.trailers().await?))
}

/// A request without a body, and its answer.
pub(crate) async fn ask(sender: &mut SendRequest<Bytes>, request: Request<()>) -> (Response<()>, String) {
    let (response, _) = sender.send_request(request, true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    let (text, _) = whole(&mut body).await.unwrap();
    (Response::from_parts(head, ()), text)
}

pub(crate) fn ok() -> Response<()> {
    Response::new(())
}

/// What a target of HTTP/2 saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: Cell<usize>,
    pub(crate) open: Cell<usize>,
    pub(crate) requests: RefCell<Vec<http::request::Parts>>,
    /// The most streams at a time on one connection.
    pub(crate) peak: Cell<usize>,
}

impl Seen {
    pub(crate) fn count(&self) -> usize {
        self.requests.borrow().len()
    }
}

pub(crate) type Sender = SendResponse<Bytes>;

impl Net {
    /// A target of HTTP/2 that takes so many streams on a connection and does this with each.
    pub(crate) fn serve_h2<F: Future<Output = ()> + 'static>(
        &self,
        address: &str,
        streams: u32,
        does: impl Fn(RecvStream, Sender) -> F + 'static,
    ) -> Rc<Seen> {
        let seen = Rc::<Seen>::default();
        let (notes, does) = (seen.clone(), Rc::new(does));
        self.serve(address, move |stream: DuplexStream| {
            let (seen, does) = (notes.clone(), does.clone());
            async move {
                seen.connections.set(seen.connections.get() + 1);
                seen.open.set(seen.open.get() + 1);
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(streams);
                let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
                let active = Rc::new(Cell::new(0));
                while let Some(Ok((request, sender))) = connection.accept().await {
                    let (head, body) = request.into_parts();
                    seen.requests.borrow_mut().push(head);
                    active.set(active.get() + 1);
                    seen.peak.set(seen.peak.get().max(active.get()));
                    let (work, active) = (does(body, sender), active.clone());
                    spawn_local(async move {
                        work.await;
                        active.set(active.get() - 1);
                    });
                }
                seen.open.set(seen.open.get() - 1);
            }
        });
        seen
    }

    /// A target of HTTP/2 that answers `ok`.
    pub(crate) fn h2_upstream(&self, address: &str) -> Rc<Seen> {
        self.serve_h2(address, 100, |mut body, mut sender| async move {
            let _ = whole(&mut body).await;
            let mut stream = sender.send_response(ok(), false).unwrap();
            stream.send_data("ok".into(), true).unwrap();
        })
    }
}
