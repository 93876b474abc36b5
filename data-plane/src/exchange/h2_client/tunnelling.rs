//! A stream of HTTP/2 as bytes both ways, once its extended CONNECT was agreed to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Tunnelling {
    sending: SendStream<Bytes>,
    receiving: RecvStream,
    /// What came and was not read yet.
    held: Bytes,
}

impl Tunnelling {
    pub(super) fn new(sending: SendStream<Bytes>, receiving: RecvStream) -> Self {
        Tunnelling { sending, receiving, held: Bytes::new() }
    }
}

impl AsyncRead for Tunnelling {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.held.is_empty() {
            match ready!(self.receiving.poll_data(cx)) {
                Some(Ok(data)) => {
                    let _ = self.receiving.flow_control().release_capacity(data.len());
                    self.held = data;
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = self.held.len().min(buf.remaining());
        buf.put_slice(&self.held[..n]);
        self.held.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnelling {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.sending.reserve_capacity(bytes.len());
        while self.sending.capacity() == 0 {
            match ready!(self.sending.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let n = bytes.len().min(self.sending.capacity());
        self.sending.send_data(Bytes::copy_from_slice(&bytes[..n]), false).map_err(io::Error::other)?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.sending.send_data(Bytes::new(), true).map_err(io::Error::other))
    }
}
