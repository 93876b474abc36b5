//! A target that remembers what reached it and answers as it is told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::client::{Message, read};

#[derive(Clone, Default)]
pub(crate) struct Upstream(Rc<Inner>);

struct Inner {
    /// Each request that came whole.
    seen: RefCell<Vec<Message>>,
    connections: Cell<usize>,
    open: Cell<usize>,
    /// What is answered: raw.
    answer: RefCell<Vec<u8>>,
    /// Whether the connection ends after an answer.
    closes: Cell<bool>,
}

impl Default for Inner {
    fn default() -> Self {
        Inner {
            seen: RefCell::default(),
            connections: Cell::new(0),
            open: Cell::new(0),
            answer: RefCell::new(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
            closes: Cell::new(false),
        }
    }
}

impl Upstream {
    /// Answers all with this from now on.
    pub(crate) fn answers(&self, raw: impl AsRef<[u8]>) {
        *self.0.answer.borrow_mut() = raw.as_ref().to_vec();
    }

    /// Closes the connection after each answer from now on.
    pub(crate) fn closes(&self) {
        self.0.closes.set(true);
    }

    /// The requests that reached it.
    pub(crate) fn seen(&self) -> Vec<Message> {
        self.0.seen.borrow().clone()
    }

    /// The last request that reached it.
    pub(crate) fn last(&self) -> Message {
        self.seen().pop().expect("a request reached it")
    }

    pub(crate) fn count(&self) -> usize {
        self.0.seen.borrow().len()
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.get()
    }

    /// How many of them are open.
    pub(crate) fn open(&self) -> usize {
        self.0.open.get()
    }

    pub(crate) async fn serve(self, mut stream: DuplexStream) {
        self.0.connections.set(self.0.connections.get() + 1);
        self.0.open.set(self.0.open.get() + 1);
        let mut buffer = Vec::new();
        while let Some(request) = read(&mut stream, &mut buffer, false).await {
            if !request.whole {
                break;
            }
            self.0.seen.borrow_mut().push(request);
            let answer = self.0.answer.borrow().clone();
            if stream.write_all(&answer).await.is_err() || self.0.closes.get() {
                break;
            }
        }
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// Reads the head of a request and nothing of its body; what came with it stays in the buffer.
pub(crate) async fn read_head(stream: &mut DuplexStream, buffer: &mut Vec<u8>) -> String {
    loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            return String::from_utf8(buffer.drain(..at + 4).collect()).unwrap();
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return String::new();
        }
    }
}
