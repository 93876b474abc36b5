//! As much of HTTP/1.1 as both sides need.

use std::cell::RefCell;
use std::io;

use tokio::net::TcpStream;

/// What is read at a time of what nobody looks at.
const SINK: usize = 256 << 10;

thread_local! {
    static SUNK: RefCell<Vec<u8>> = RefCell::new(vec![0; SINK]);
}

/// Reads messages off a connection.
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

/// The first lines of a message.
pub(crate) struct Head {
    text: Vec<u8>,
}

/// How a body is framed.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    Length(usize),
    Chunked,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Reader { buffer: Vec::with_capacity(4 << 10) }
    }

    /// The next head; none if the connection ends before one.
    pub(crate) async fn head(&mut self, stream: &TcpStream) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let rest = self.buffer.split_off(end + 4);
                return Ok(Some(Head { text: std::mem::replace(&mut self.buffer, rest) }));
            }
            if self.more(stream).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads a body and drops it.
    pub(crate) async fn drop_body(&mut self, stream: &TcpStream, body: Body) -> io::Result<()> {
        match body {
            Body::Length(length) => self.drop_bytes(stream, length).await,
            Body::Chunked => loop {
                let size = self.line(stream).await?;
                let digits = size.split(|b| *b == b';').next().unwrap_or_default();
                let size = std::str::from_utf8(digits).ok().and_then(|hex| usize::from_str_radix(hex.trim(), 16).ok());
                match size.ok_or(io::ErrorKind::InvalidData)? {
                    0 => {
                        while !self.line(stream).await?.is_empty() {}
                        return Ok(());
                    }
                    size => self.drop_bytes(stream, size + 2).await?,
                }
            },
        }
    }

    async fn drop_bytes(&mut self, stream: &TcpStream, count: usize) -> io::Result<()> {
        let here = count.min(self.buffer.len());
        self.buffer.drain(..here);
        let mut left = count - here;
        while left > 0 {
            stream.readable().await?;
            let read = SUNK.with_borrow_mut(|sink| stream.try_read(&mut sink[..left.min(SINK)]));
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => left -= count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn line(&mut self, stream: &TcpStream) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let rest = self.buffer.split_off(end + 2);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(end);
                return Ok(line);
            }
            if self.more(stream).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn more(&mut self, stream: &TcpStream) -> io::Result<usize> {
        loop {
            stream.readable().await?;
            self.buffer.reserve(4 << 10);
            match stream.try_read_buf(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

impl Head {
    /// The second word of the first line: a request's target, an answer's status.
    pub(crate) fn second_word(&self) -> &[u8] {
        self.text.split(|b| *b == b' ').nth(1).unwrap_or_default()
    }

    /// How its body is framed; no framing is no body.
    pub(crate) fn body(&self) -> Body {
        let mut length = 0;
        for line in self.text.split(|b| *b == b'\n') {
            let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                return Body::Chunked;
            }
            if name.eq_ignore_ascii_case(b"content-length") {
                length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()).unwrap_or(0);
            }
        }
        Body::Length(length)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
