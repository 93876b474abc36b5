//! What hyper answers by itself to a head that is no HTTP, put into the words of all other replies.
//!
//! hyper writes such an answer straight to the connection: a status, no body. It is told from the answers of the proxy by this:
//! none of those was under way, nor was anything of one left to write. What hyper wrote is held back, and [`Held::problem`]
//! tells what to say instead. Where the last answer was not written yet, hyper's own goes out behind it as it is.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::watch::Connection;
use crate::proxy::GatewayError;

/// What hyper answered by itself on a connection.
pub(super) struct Held<'a> {
    connection: &'a Connection,
    /// An answer of the proxy is on its way through hyper.
    answering: Cell<bool>,
    status: Cell<Option<u16>>,
}

impl<'a> Held<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Held { connection, answering: Cell::new(false), status: Cell::new(None) }
    }

    /// The proxy has an answer, which hyper will write.
    pub(super) fn answers(&self) {
        self.answering.set(true);
    }

    /// All that was to be written is.
    fn flushed(&self) {
        if self.answering.get() && !self.connection.is_busy() {
            self.answering.set(false);
        }
    }

    /// What the caller did, if hyper answered by itself.
    pub(super) fn problem(&self) -> Option<GatewayError> {
        Some(match self.status.get()? {
            414 => GatewayError::UriTooLong,
            431 => GatewayError::HeadTooLarge,
            _ => GatewayError::HeadInvalid,
        })
    }

    /// Whether this is hyper's own; if so, it is held back.
    fn takes(&self, bytes: &[u8]) -> bool {
        if self.answering.get() || self.connection.is_busy() {
            return false;
        }
        let status = bytes.strip_prefix(b"HTTP/1.1 4").and_then(|rest| rest.first_chunk::<2>());
        let Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) = status else { return false };
        self.status.set(Some(400 + u16::from(tens - b'0') * 10 + u16::from(ones - b'0')));
        true
    }
}

/// A caller's byte stream, as hyper writes to it.
pub(super) struct Listened<'a, S> {
    pub(super) stream: S,
    pub(super) held: &'a Held<'a>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Listened<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listened<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.takes(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.first().is_some_and(|first| self.held.takes(first)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.held.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // a reply of ours follows
        if self.held.status.get().is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
