//! Bytes both ways, once caller and target have agreed to speak something else.
//!
//! A tunnel stays in the watch: so it ends with a drain, by its idle time-out, and with the credential that opened it. It holds
//! the route and its chain, never a whole snapshot. Each side's end is passed on to the other side and to it alone.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::Ending;
use super::watch::{Exchange, Phase};

/// Bytes both ways.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// The bytes of a target that agreed, and those that came with its agreement.
pub(crate) struct Switched {
    pub(crate) io: Box<dyn Io>,
    pub(crate) first: Bytes,
}

/// A tunnel that was agreed to.
pub(crate) struct Tunnel {
    target: Box<dyn Io>,
    towards_target: Direction,
    towards_caller: Direction,
    exchange: Rc<Exchange>,
    /// How long nothing may move, in ticks.
    idle: u32,
    /// Both sides came to their end.
    whole: bool,
    ending: Option<Box<dyn Ending>>,
}

impl Tunnel {
    pub(crate) fn new(switched: Switched, exchange: Rc<Exchange>, idle: u32, ending: Box<dyn Ending>) -> Self {
        Tunnel {
            target: switched.io,
            towards_target: Direction::default(),
            towards_caller: Direction { held: switched.first, ..Direction::default() },
            exchange,
            idle,
            whole: false,
            ending: Some(ending),
        }
    }

    /// Moves bytes until both sides have ended, or one breaks, or the watch ends it. The caller's first bytes are those that
    /// came behind its request: they waited for the agreement.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut self: Box<Self>, mut caller: S, first: Bytes) {
        self.towards_target.held = first;
        self.exchange.enter(Phase::Tunnel, self.idle);
        poll_fn(|cx| self.poll(cx, &mut caller)).await;
    }

    fn poll<S: AsyncRead + AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, caller: &mut S) -> Poll<()> {
        if self.exchange.is_cut().is_some() {
            return Poll::Ready(());
        }
        let before = (self.towards_target.bytes, self.towards_caller.bytes);
        let up = self.towards_target.poll(cx, caller, &mut self.target);
        let down = self.towards_caller.poll(cx, &mut self.target, caller);
        if before != (self.towards_target.bytes, self.towards_caller.bytes) {
            self.exchange.enter(Phase::Tunnel, self.idle);
        }
        match (up, down) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => {
                self.whole = true;
                Poll::Ready(())
            }
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                tracing::debug!(%error, "a tunnel broke: {error}");
                Poll::Ready(())
            }
            _ => Poll::Pending,
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.exchange.request_bytes.set(self.towards_target.bytes);
        if let Some(ending) = self.ending.take() {
            ending.ended(self.whole, self.towards_caller.bytes);
        }
    }
}

/// How much is read at a time. It lies on the stack: a tunnel that rests holds no buffer.
const PIECE: usize = 16 << 10;

/// So many pieces in one turn: others on this worker have theirs.
const PIECES_A_TURN: usize = 16;

#[derive(Default)]
struct Direction {
    /// What was read and could not be written yet.
    held: Bytes,
    /// Something was written since the last flush.
    unflushed: bool,
    stage: Stage,
    bytes: u64,
}

#[derive(Default)]
enum Stage {
    #[default]
    Moves,
    Closes,
    Done,
}

impl Direction {
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        for _ in 0..PIECES_A_TURN {
            match self.stage {
                Stage::Moves => ready!(self.poll_move(cx, from, to))?,
                Stage::Closes => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One piece, from one side to the other.
    fn poll_move<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        while !self.held.is_empty() {
            let n = ready!(Pin::new(&mut *to).poll_write(cx, &self.held))?;
            self.wrote(n)?;
            self.held.advance(n);
        }
        let mut piece = [MaybeUninit::<u8>::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        if Pin::new(&mut *from).poll_read(cx, &mut piece)?.is_pending() {
            if self.unflushed {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                self.unflushed = false;
            }
            return Poll::Pending;
        }
        let mut rest = piece.filled();
        if rest.is_empty() {
            self.stage = Stage::Closes;
        }
        while !rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, rest)? {
                Poll::Ready(n) => {
                    self.wrote(n)?;
                    rest = &rest[n..];
                }
                Poll::Pending => {
                    self.held = Bytes::copy_from_slice(rest);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, n: usize) -> io::Result<()> {
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes += n as u64;
        self.unflushed = true;
        Ok(())
    }
}
