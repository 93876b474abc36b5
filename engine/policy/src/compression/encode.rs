//! The codings, piece by piece and in bounded memory.

use std::io::{self, Write};

use bytes::Bytes;

use super::Coding;

/// How far back Brotli and Zstandard look, as powers of two: what one stream takes of a node's memory follows from them.
const BR_WINDOW_LOG: u32 = 18;
const ZSTD_WINDOW_LOG: u32 = 18;
/// What Brotli gathers before it writes.
const BR_BUFFER_BYTES: usize = 4096;

/// One body under way.
pub(super) enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    pub(super) fn new(coding: Coding, level: u32) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level))),
            Coding::Br => {
                let writer = brotli::CompressorWriter::new(Vec::new(), BR_BUFFER_BYTES, level, BR_WINDOW_LOG);
                Encoder::Br(Box::new(writer))
            }
            Coding::Zstd => {
                let level = i32::try_from(level).unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
                encoder.window_log(ZSTD_WINDOW_LOG)?;
                Encoder::Zstd(encoder)
            }
        })
    }

    /// Takes a piece and gives all that can be read of it: what streams goes on streaming.
    pub(super) fn piece(&mut self, data: &[u8]) -> io::Result<Bytes> {
        let written = match self {
            Encoder::Gzip(to) => flushed(to, data).map(|()| std::mem::take(to.get_mut())),
            Encoder::Br(to) => flushed(to, data).map(|()| std::mem::take(to.get_mut())),
            Encoder::Zstd(to) => flushed(to, data).map(|()| std::mem::take(to.get_mut())),
        };
        written.map(Bytes::from)
    }

    /// The end.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        let rest = match self {
            Encoder::Gzip(to) => to.finish()?,
            Encoder::Br(to) => to.into_inner(),
            Encoder::Zstd(to) => to.finish()?,
        };
        Ok(rest.into())
    }
}

fn flushed(to: &mut impl Write, data: &[u8]) -> io::Result<()> {
    to.write_all(data)?;
    to.flush()
}
