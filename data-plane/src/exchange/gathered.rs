//! Gathers what HTTP/2 writes into few writes to the connection.
//!
//! The codec flushes each DATA frame by itself, which for small replies is a system call a frame. Here a flush means nothing: what
//! is written lies in a buffer until the connection's task has had its turn, in which all of its streams write, and goes out then
//! ([`Gathered::after`]). A large piece goes out at once, without being copied.
//!
//! Invariant: nothing lies here while the task sleeps, unless the caller takes nothing; then the codec soon meets a full buffer.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much lies in the buffer before it goes out within a turn.
const GATHERED_MAX: usize = 32 << 10;

/// From this size on a piece is not copied.
const LARGE: usize = 8 << 10;

/// How much of a buffer is kept while there is nothing to write.
const KEPT: usize = 2 << 10;

/// A byte stream whose writes are gathered.
pub(super) struct Gathered<S>(Rc<RefCell<Inner<S>>>);

struct Inner<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S> Gathered<S> {
    /// Two handles on one stream: for the codec, and for the task that gives it its turns.
    pub(super) fn pair(stream: S) -> (Self, Self) {
        let inner = Rc::new(RefCell::new(Inner { stream, buffer: BytesMut::new() }));
        (Gathered(inner.clone()), Gathered(inner))
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// The codec had its turn: sends what it wrote, as far as the connection takes it. If that is gone, all is over.
    pub(super) fn after<E>(&self, turn: Poll<Result<(), E>>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        match self.0.borrow_mut().poll_send(cx) {
            Poll::Ready(Err(_)) if turn.is_pending() => Poll::Ready(Ok(())),
            _ => turn,
        }
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.buffer))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.buffer.advance(n);
        }
        if self.buffer.capacity() > KEPT {
            // many connections rest at a time
            self.buffer = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let inner = &mut *self.0.borrow_mut();
        let length: usize = bufs.iter().map(|buf| buf.len()).sum();
        if length >= LARGE || inner.buffer.len() + length > GATHERED_MAX {
            ready!(inner.poll_send(cx))?;
        }
        if length >= LARGE {
            return Pin::new(&mut inner.stream).poll_write_vectored(cx, bufs);
        }
        for buf in bufs {
            inner.buffer.extend_from_slice(buf);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}
