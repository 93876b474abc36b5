//! A caller that speaks HTTP/2 frame by frame, and may say anything.

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::task::{JoinHandle, spawn_local};

use std::cell::RefCell;
use std::rc::Rc;

use super::Gateway;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `:method GET`, `:scheme http`, `:path /`, `:authority a`.
pub(crate) const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];
/// The same with `:method POST`.
pub(crate) const POST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 1, b'a'];

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Raw {
    write: WriteHalf<tokio::io::DuplexStream>,
    came: Rc<RefCell<Vec<Came>>>,
    reading: JoinHandle<()>,
}

impl Raw {
    /// Connects, and says the preface and these settings (identifier, value).
    pub(crate) async fn connect(gateway: &Gateway, settings: &[(u16, u32)]) -> Raw {
        let (read, write) = split(gateway.connect().stream);
        let came = Rc::<RefCell<Vec<Came>>>::default();
        let reading = spawn_local(read_all(read, came.clone()));
        let mut raw = Raw { write, came, reading };
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend(id.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        assert!(raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await);
        assert!(raw.send(&frame(SETTINGS, 0, 0, &payload)).await);
        raw
    }

    /// Whether the gateway took it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.write.write_all(bytes).await.is_ok()
    }

    /// The connection ended.
    pub(crate) fn is_over(&self) -> bool {
        self.reading.is_finished()
    }

    /// All frames that came so far.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.borrow().clone()
    }

    /// Whether a frame of this kind came on this stream.
    pub(crate) fn has(&self, kind: u8, stream: u32) -> bool {
        self.came.borrow().iter().any(|came| came.kind == kind && came.stream == stream)
    }
}

async fn read_all(mut read: ReadHalf<tokio::io::DuplexStream>, came: Rc<RefCell<Vec<Came>>>) {
    let mut head = [0; 9];
    while read.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        if read.read_exact(&mut payload).await.is_err() {
            return;
        }
        came.borrow_mut().push(Came { kind: head[3], flags: head[4], stream, payload });
    }
}
