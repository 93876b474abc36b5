//! A caller's byte stream: tells the watch what moves, and what does not.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::frames::{Frame, Frames};
use super::proxy_protocol::{self, Parsed};
use crate::exchange::small_write::poll_write_pieces;
use crate::exchange::watch::Connection;

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A caller's byte stream.
pub(crate) struct Guarded<S> {
    stream: S,
    connection: Rc<Connection>,
    /// What was read to see which protocol it is.
    first: [u8; PREFACE.len()],
    first_from: usize,
    first_to: usize,
    /// Of HTTP/2, which frames come.
    frames: Option<Frames>,
    is_shut: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    pub(crate) fn new(stream: S, connection: Rc<Connection>) -> Self {
        Guarded { stream, connection, first: [0; 24], first_from: 0, first_to: 0, frames: None, is_shut: false }
    }

    /// What the PROXY protocol says that each connection begins with: whom it is from, if it says so.
    ///
    /// Never reads further beyond the header than what the first bytes of HTTP are kept in.
    pub(crate) async fn proxy_header(&mut self) -> io::Result<Option<IpAddr>> {
        let mut head = [0; proxy_protocol::HEAD_MAX];
        let mut read = 0;
        let (from, length) = loop {
            let room = PREFACE.len().min(head.len() - read);
            let n = self.stream.read(&mut head[read..read + room]).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            read += n;
            match proxy_protocol::parse(&head[..read]).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))? {
                Parsed::More => {}
                Parsed::Whole { from, length } => break (from, length),
            }
        };
        if let Some(beyond) = head[..read].get(length..) {
            self.first[..beyond.len()].copy_from_slice(beyond);
            self.first_to = beyond.len();
        }
        let mut lacking = length.saturating_sub(read);
        while lacking > 0 {
            let n = self.stream.read(&mut head[..lacking.min(proxy_protocol::HEAD_MAX)]).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            lacking -= n;
        }
        Ok(from)
    }

    /// Whether the caller speaks HTTP/2, by what it says first.
    pub(crate) async fn speaks_h2(&mut self) -> io::Result<bool> {
        while self.first[..self.first_to] == PREFACE[..self.first_to] {
            if self.first_to == PREFACE.len() {
                self.frames = Some(Frames::default());
                return Ok(true);
            }
            let n = self.stream.read(&mut self.first[self.first_to..]).await?;
            if n == 0 {
                break;
            }
            self.first_to += n;
            self.connection.heard();
        }
        Ok(false)
    }
}

impl<S> Guarded<S> {
    fn tell_writing(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.connection.blocked(),
            Poll::Ready(written) => self.connection.taken(*written.as_ref().unwrap_or(&0)),
        }
    }

    /// Whether what came of HTTP/2 is more than noise.
    fn is_of_use(&mut self, came: &[u8]) -> bool {
        let Some(frames) = &mut self.frames else { return true };
        let mut idle = 0;
        frames.read(came, |frame| idle += u32::from(frame == Frame::Idle));
        idle == 0 || self.connection.spend(idle)
    }
}

/// GOAWAY: ENHANCE_YOUR_CALM, no stream after the first.
const CALM_DOWN: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first_from < self.first_to {
            let n = buf.remaining().min(self.first_to - self.first_from);
            buf.put_slice(&self.first[self.first_from..self.first_from + n]);
            self.first_from += n;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.connection.heard();
        }
        if !self.is_of_use(&buf.filled()[before..]) {
            // for whoever reads it; the connection ends either way
            let _ = Pin::new(&mut self.stream).poll_write(cx, &CALM_DOWN);
            return Poll::Ready(Err(io::Error::other("frames of HTTP/2 that are of no use")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.tell_writing(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = poll_write_pieces(&mut self.stream, cx, bufs);
        self.tell_writing(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
            if !self.connection.lingers() {
                return Poll::Ready(Ok(()));
            }
        }
        // closing now would throw away what the caller has not read of its reply
        let mut scrap = [0; 4096];
        loop {
            let mut scrap = ReadBuf::new(&mut scrap);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut scrap))?;
            if scrap.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
