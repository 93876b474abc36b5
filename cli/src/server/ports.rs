//! Looks whether the ports are free before anything starts, so that the message can name the flag.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use anyhow::bail;

use tidegate_data_plane::node::Inherited;

use crate::settings::{PROXY_LISTEN, STATUS_LISTEN, Setting, Settings};

/// Fails with one line for each listener whose address cannot be had.
///
/// A node's workers share their port, which would let a second process in as well; this look does not. Where there are
/// sockets already, there is nothing to look at.
pub(super) fn check(settings: &Settings, inherited: &Inherited) -> anyhow::Result<()> {
    let has = |setting: &Setting| {
        std::ptr::eq(setting, &PROXY_LISTEN) && !inherited.proxy.is_empty()
            || std::ptr::eq(setting, &STATUS_LISTEN) && inherited.status.is_some()
    };
    let refused: Vec<String> = settings
        .listeners()
        .filter(|(setting, _)| !has(setting))
        .filter_map(|(setting, address)| {
            let why = refusal(address)?;
            Some(format!("{}: {why}", settings.origin(setting)))
        })
        .collect();
    if !refused.is_empty() {
        bail!("{}", refused.join("\n       "));
    }
    Ok(())
}

fn refusal(address: SocketAddr) -> Option<String> {
    let error = TcpListener::bind(address).err()?;
    let port = address.port();
    Some(match error.kind() {
        ErrorKind::AddrInUse => format!("port {port} is in use by another process; stop that one or choose another"),
        ErrorKind::AddrNotAvailable => format!("this machine has no address {}", address.ip()),
        ErrorKind::PermissionDenied => {
            format!("port {port} is not for this user; choose one from 1024 up, or grant CAP_NET_BIND_SERVICE")
        }
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        assert!(refusal(address).unwrap().contains(&format!("port {} is in use", address.port())));
        drop(held);
        assert_eq!(refusal(address), None);
    }
}
