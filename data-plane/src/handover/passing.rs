//! Sockets through a Unix socket, from one process to another of the same user.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// How many go in one message; the kernel takes 253.
const AT_ONCE: usize = 64;

/// The longest line that is read.
const LINE_MAX: usize = 200;

/// Sends descriptors, each message with a byte, without which there is no message.
pub(super) fn send(stream: &UnixStream, all: &[BorrowedFd<'_>]) -> io::Result<()> {
    for some in all.chunks(AT_ONCE) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut message = SendAncillaryBuffer::new(&mut space);
        if !message.push(SendAncillaryMessage::ScmRights(some)) {
            return Err(io::Error::other("the descriptors do not fit into a message"));
        }
        sendmsg(stream, &[IoSlice::new(b".")], &mut message, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives so many descriptors.
pub(super) fn receive(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    while all.len() < count {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut message = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut message, RecvFlags::CMSG_CLOEXEC)?;
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = all.len();
        for part in message.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = part {
                all.extend(some);
            }
        }
        if all.len() == before {
            return Err(io::Error::other("a message without descriptors came"));
        }
    }
    Ok(all)
}

/// Reads a line, and nothing behind it. `None` at the end.
pub(super) fn line(mut stream: &UnixStream) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        if byte == *b"\n" {
            return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
        }
        line.push(byte[0]);
        if line.len() > LINE_MAX {
            return Err(io::Error::other("a line without end came"));
        }
    }
    Ok(None)
}

/// Fails unless a process of the same user is at the other end.
pub(super) fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if peer.uid == rustix::process::geteuid() {
        return Ok(());
    }
    Err(io::Error::other(format!("user {} is at the other end", peer.uid.as_raw())))
}
