//! Several small pieces go out as one: cheaper for the kernel than a list of pieces.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// A head and a small body.
const SMALL: usize = 2048;

/// Writes the pieces; as one if they are small.
pub(crate) fn poll_write_pieces<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    pieces: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    if pieces.len() < 2 || length > SMALL {
        return Pin::new(stream).poll_write_vectored(cx, pieces);
    }
    let mut all = [0; SMALL];
    let mut at = 0;
    for piece in pieces {
        all[at..at + piece.len()].copy_from_slice(piece);
        at += piece.len();
    }
    Pin::new(stream).poll_write(cx, &all[..length])
}
