//! The frames of an HTTP/2 connection as they pass by, by their heads alone: which of them move a request on.
//!
//! The codec bounds what a frame may hold and what it makes the node keep. It does not count frames that cost work and bring
//! nothing, of which a caller could send any number.

/// What a frame does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// It brings a request, or a part of one.
    Useful,
    /// It moves no request on.
    Idle,
}

const HEAD: usize = 9;

/// Reads along.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD],
    have: usize,
    /// What is left of the frame that is under way.
    left: usize,
}

impl Frames {
    /// These bytes came next.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let n = bytes.len().min(HEAD - self.have);
            self.head[self.have..self.have + n].copy_from_slice(&bytes[..n]);
            self.have += n;
            bytes = &bytes[n..];
            if self.have == HEAD {
                self.have = 0;
                self.left =
                    usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2]);
                seen(kind(&self.head, self.left));
            }
        }
    }
}

fn kind(head: &[u8; HEAD], length: usize) -> Frame {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    const PADDED: u8 = 8;
    match (head[3], head[4]) {
        (HEADERS, _) => Frame::Useful,
        (DATA, flags) if flags & END_STREAM != 0 || length > usize::from(flags & PADDED != 0) => Frame::Useful,
        _ => Frame::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        let frames: [(u8, u8, usize, Frame); 8] = [
            (4, 0, 12, Frame::Idle),
            (1, 4, 30, Frame::Useful),
            (0, 0, 5, Frame::Useful),
            (0, 0, 0, Frame::Idle),
            (0, 8, 1, Frame::Idle),
            (0, 1, 0, Frame::Useful),
            (6, 0, 8, Frame::Idle),
            (200, 0, 70_000, Frame::Idle),
        ];
        for (kind, flags, length, _) in frames {
            let size = u32::try_from(length).unwrap().to_be_bytes();
            bytes.extend([size[1], size[2], size[3], kind, flags, 0, 0, 0, 1]);
            bytes.resize(bytes.len() + length, 0xff);
        }
        let expected: Vec<Frame> = frames.iter().map(|frame| frame.3).collect();
        for piece in [1, 2, 7, 9, 10, 1000, bytes.len()] {
            let (mut reader, mut seen) = (Frames::default(), Vec::new());
            bytes.chunks(piece).for_each(|piece| reader.read(piece, |frame| seen.push(frame)));
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }
}
