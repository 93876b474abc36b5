//! A caller that speaks raw HTTP/1, and reads what comes with a mind of its own.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

pub(crate) struct Client {
    pub(crate) stream: DuplexStream,
    served: JoinHandle<()>,
    buffer: Vec<u8>,
}

/// A message: of a caller or of a target.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) first_line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// All of the body came.
    pub(crate) whole: bool,
}

pub(crate) type Reply = Message;

impl Message {
    pub(crate) fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The code of a reply that the gateway made.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        assert_eq!(problem["status"].as_u64(), Some(u64::from(self.status())), "{self:?}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(crate) fn new(stream: DuplexStream, served: JoinHandle<()>) -> Self {
        Client { stream, served, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the gateway takes it");
    }

    /// The next reply, to a request with a method that has a body in its reply.
    pub(crate) async fn reply(&mut self) -> Reply {
        read(&mut self.stream, &mut self.buffer, false).await.expect("a reply comes")
    }

    /// As [`Client::reply`]; `None` if the connection ends before it.
    pub(crate) async fn maybe_reply(&mut self) -> Option<Reply> {
        read(&mut self.stream, &mut self.buffer, false).await
    }

    /// The next reply, to HEAD.
    pub(crate) async fn reply_head(&mut self) -> Reply {
        read(&mut self.stream, &mut self.buffer, true).await.expect("a reply comes")
    }

    /// A request and its reply.
    pub(crate) async fn ask(&mut self, request: &str) -> Reply {
        self.send(request).await;
        self.reply().await
    }

    /// What comes until the gateway closes the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }

    /// Whether the gateway has ended the connection.
    pub(crate) fn is_over(&self) -> bool {
        self.served.is_finished()
    }
}

/// Reads one message; `None` at the end of the stream.
pub(crate) async fn read(stream: &mut DuplexStream, buffer: &mut Vec<u8>, is_head: bool) -> Option<Message> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let first_line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("no header: {line}")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut message = Message { first_line, headers, body: Vec::new(), whole: true };
    let is_reply = message.first_line.starts_with("HTTP/");
    if is_reply && message.status() == 100 {
        return Some(message);
    }
    if is_head || is_reply && matches!(message.status(), 204 | 304) {
        return Some(message);
    }
    if let Some(length) = message.header("content-length") {
        let length: usize = length.parse().unwrap();
        while buffer.len() < length && message.whole {
            message.whole = more(stream, buffer).await.is_some();
        }
        message.body = buffer.drain(..length.min(buffer.len())).collect();
    } else if message.header("transfer-encoding").is_some() {
        message.whole = chunks(stream, buffer, &mut message.body).await.is_some();
    } else if is_reply {
        while more(stream, buffer).await.is_some() {}
        message.body = std::mem::take(buffer);
    }
    Some(message)
}

async fn chunks(stream: &mut DuplexStream, buffer: &mut Vec<u8>, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let line = loop {
            if let Some(at) = buffer.windows(2).position(|w| w == b"\r\n") {
                break at;
            }
            more(stream, buffer).await?;
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..line]).unwrap(), 16).unwrap();
        while buffer.len() < line + 2 + size + 2 {
            more(stream, buffer).await?;
        }
        body.extend_from_slice(&buffer[line + 2..line + 2 + size]);
        buffer.drain(..line + 2 + size + 2);
        if size == 0 {
            return Some(());
        }
    }
}

async fn more(stream: &mut DuplexStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
