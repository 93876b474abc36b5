//! The form of the files: messages, each with its length and a checksum that runs on from the one before.
//!
//! ```text
//! title line | length u32 LE, checksum 16, message | ... | (snapshots only) length 0, checksum 16
//! ```
//! Because the checksums are chained, a frame that is lost, repeated, moved or of another file is seen like one that is damaged.

use std::io::{self, BufReader, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use prost::Message;
use tidegate_proto::v1;

/// What a file is; its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// All of a configuration; ends with a closing frame.
    Snapshot,
    /// What came since; ends wherever the process ended.
    Journal,
}

impl FileKind {
    fn title(self) -> &'static [u8] {
        match self {
            FileKind::Snapshot => b"tidegate snapshot 1\n",
            FileKind::Journal => b"tidegate journal  1\n",
        }
    }
}

const SUM: usize = 16;
const HEAD: usize = 4 + SUM;
/// A longer frame is damage: nothing that is written comes near it.
const FRAME_MAX: u32 = 1 << 30;

type Sum = [u8; SUM];

fn sum(former: &Sum, length: [u8; 4], body: &[u8]) -> Sum {
    let mut hash = Context::new(&SHA256);
    hash.update(former);
    hash.update(&length);
    hash.update(body);
    let mut sum = Sum::default();
    sum.copy_from_slice(&hash.finish().as_ref()[..SUM]);
    sum
}

/// Writes frames.
pub(super) struct FrameWriter<W> {
    to: W,
    sum: Sum,
    /// Bytes so far.
    pub(super) written: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn start(mut to: W, kind: FileKind) -> io::Result<Self> {
        let title = kind.title();
        to.write_all(title)?;
        Ok(FrameWriter { to, sum: sum(&Sum::default(), [0; 4], title), written: title.len() as u64 })
    }

    pub(super) fn message(&mut self, message: &v1::ControlMessage) -> io::Result<()> {
        self.frame(&message.encode_to_vec())
    }

    /// Says that the file is complete.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.frame(&[])
    }

    fn frame(&mut self, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).ok().filter(|length| *length <= FRAME_MAX);
        let length = length.ok_or_else(|| io::Error::other("a message is too long for the disk"))?.to_le_bytes();
        let sum = sum(&self.sum, length, body);
        self.to.write_all(&length)?;
        self.to.write_all(&sum)?;
        self.to.write_all(body)?;
        self.sum = sum;
        self.written += (HEAD + body.len()) as u64;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    pub(super) fn get_ref(&self) -> &W {
        &self.to
    }
}

/// What comes next in a file.
#[derive(Debug)]
pub(super) enum Next {
    /// A message.
    Message(v1::ControlMessage),
    /// The closing frame.
    Closed,
    /// The end of the file, at the end of a frame.
    End,
    /// A frame that is not whole, or not what was written.
    Damaged,
}

/// Reads frames.
pub(super) struct FrameReader<R> {
    from: BufReader<R>,
    sum: Sum,
}

impl<R: Read> FrameReader<R> {
    /// `None` if it is no such file.
    pub(super) fn start(from: R, kind: FileKind) -> io::Result<Option<Self>> {
        let mut from = BufReader::with_capacity(1 << 20, from);
        let mut title = vec![0; kind.title().len()];
        let whole = read_whole(&mut from, &mut title)? == title.len();
        let same = whole && title == kind.title();
        Ok(same.then(|| FrameReader { from, sum: sum(&Sum::default(), [0; 4], &title) }))
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        let mut head = [0; HEAD];
        match read_whole(&mut self.from, &mut head)? {
            0 => return Ok(Next::End),
            HEAD => {}
            _ => return Ok(Next::Damaged),
        }
        let (length, expected) = head.split_at(4);
        let length: [u8; 4] = length.try_into().expect("it is four bytes");
        let size = u32::from_le_bytes(length);
        if size > FRAME_MAX {
            return Ok(Next::Damaged);
        }
        // not allocated at once: the length may be damaged
        let mut body = Vec::with_capacity(size.min(1 << 20) as usize);
        let read = self.from.by_ref().take(u64::from(size)).read_to_end(&mut body)?;
        if read != size as usize {
            return Ok(Next::Damaged);
        }
        let sum = sum(&self.sum, length, &body);
        if sum != expected {
            return Ok(Next::Damaged);
        }
        self.sum = sum;
        if body.is_empty() {
            return Ok(Next::Closed);
        }
        // what has its checksum but can't be read was written by another version
        Ok(v1::ControlMessage::decode(Bytes::from(body)).map_or(Next::Damaged, Next::Message))
    }
}

/// Fills a buffer as far as the file goes.
fn read_whole(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
