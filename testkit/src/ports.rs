//! Loopback ports for servers that must be told theirs before they start.
//!
//! The kernel's "give me any" (port 0) is better where a server can report what it got. For the others a port must be
//! free between choosing it and the child's bind, so ports come from blocks below the kernel's own range, and each block
//! belongs to one test process by a file lock.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;

use rand::RngExt as _;

const FIRST: u16 = 12_000;
const BLOCKS: u16 = 1_000;
const BLOCK: u16 = 20;

struct Block {
    next: u16,
    end: u16,
    /// Held until the process ends; the kernel lets go of it then.
    _lock: File,
}

static BLOCKS_HELD: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// A port on which nothing listens and which no other caller is given, in this process or another that uses this module.
pub fn free_port() -> u16 {
    let mut held = BLOCKS_HELD.lock().expect("nothing panics while holding it");
    loop {
        if let Some(block) = held.last_mut() {
            while block.next < block.end {
                let port = block.next;
                block.next += 1;
                if is_free(port) {
                    return port;
                }
            }
        }
        held.push(claim_block());
    }
}

/// `127.0.0.1` with a free port.
pub fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

/// The wanted port if nothing listens there, else a free one.
pub fn port_or_free(wanted: u16) -> u16 {
    if is_free(wanted) { wanted } else { free_port() }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

fn claim_block() -> Block {
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("tidegate-ports-{user}"));
    std::fs::create_dir_all(&folder).expect("the temporary folder takes files");
    for _ in 0..10_000 {
        let number = rand::rng().random_range(0..BLOCKS);
        let name = folder.join(number.to_string());
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(name);
        let lock = lock.expect("the folder is this user's");
        if lock.try_lock().is_ok() {
            let first = FIRST + number * BLOCK;
            return Block { next: first, end: first + BLOCK, _lock: lock };
        }
    }
    panic!("all {BLOCKS} blocks of ports are taken; is something leaking processes?");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..60).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 60);
    }

    #[test]
    fn a_port_in_use_is_replaced() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(port_or_free(port), port);
    }
}
