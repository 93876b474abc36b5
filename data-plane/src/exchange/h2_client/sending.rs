//! A request's body on its way to a target, as fast as the target's windows open.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;

use crate::exchange::body::RequestBody;

/// Sends a body; done once there is no more to send, or nobody who wants it.
pub(super) struct Sending {
    body: RequestBody,
    stream: SendStream<Bytes>,
    /// What waits for a window.
    held: Bytes,
    /// Something was taken of the body.
    touched: bool,
}

impl Sending {
    pub(super) fn new(body: RequestBody, stream: SendStream<Bytes>) -> Self {
        Sending { body, stream, held: Bytes::new(), touched: false }
    }

    /// The body, if nothing was taken of it.
    pub(super) fn untouched(self) -> Option<RequestBody> {
        (!self.touched).then_some(self.body)
    }

    /// Sends what is held; whether anybody still wants it.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while !self.held.is_empty() {
            self.stream.reserve_capacity(self.held.len());
            while self.stream.capacity() == 0 {
                let Some(Ok(_)) = ready!(self.stream.poll_capacity(cx)) else { return Poll::Ready(false) };
            }
            let piece = self.held.split_to(self.held.len().min(self.stream.capacity()));
            let last = self.held.is_empty() && self.body.is_end_stream();
            if self.stream.send_data(piece, last).is_err() || last {
                return Poll::Ready(false);
            }
        }
        Poll::Ready(true)
    }

    fn ends(&mut self) {
        // an error means that nobody waits for it any more
        let _ = self.stream.send_data(Bytes::new(), true);
    }
}

impl Future for Sending {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if this.stream.poll_reset(cx).is_ready() || !ready!(this.poll_held(cx)) {
                return Poll::Ready(());
            }
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) else {
                this.ends();
                return Poll::Ready(());
            };
            this.touched = true;
            let Ok(frame) = frame else {
                this.stream.send_reset(Reason::CANCEL);
                return Poll::Ready(());
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() && this.body.is_end_stream() => {
                    this.ends();
                    return Poll::Ready(());
                }
                Ok(data) => this.held = data,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        let _ = this.stream.send_trailers(trailers);
                    }
                    return Poll::Ready(());
                }
            }
        }
    }
}
