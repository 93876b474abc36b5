//! Listening sockets that are there before the node: from systemd (socket activation), or from the process whose place it takes.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, bail};
use listenfd::ListenFd;
use tidegate_data_plane::node::Inherited;
use tracing::info;

use crate::settings::{DATA_DIR, HANDOVER, PROXY_LISTEN, STATUS_LISTEN, Settings, Verb};

/// What there is for this server.
pub(super) fn inherit(settings: &Settings) -> anyhow::Result<Inherited> {
    if settings.verb() == Verb::ControlPlane {
        return Ok(Inherited::default());
    }
    if settings.verb() == Verb::DataPlane && settings.is_on(&HANDOVER) {
        let data_dir = settings.path(&DATA_DIR);
        if let Some(inherited) = Inherited::take(&data_dir).with_context(|| settings.origin(&DATA_DIR))? {
            info!("taking over from the process that uses {}", data_dir.display());
            return Ok(inherited);
        }
    }
    activated(settings)
}

/// The sockets that systemd gives, told apart by their addresses.
fn activated(settings: &Settings) -> anyhow::Result<Inherited> {
    let (proxy, status) = (settings.address(&PROXY_LISTEN), settings.address(&STATUS_LISTEN));
    let mut given = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for index in 0..given.len() {
        let socket =
            given.take_tcp_listener(index).context("a socket from LISTEN_FDS is no TCP socket that listens")?;
        let Some(socket) = socket else { continue };
        sort(&mut inherited, socket, proxy, status)?;
    }
    Ok(inherited)
}

fn sort(inherited: &mut Inherited, socket: TcpListener, proxy: SocketAddr, status: SocketAddr) -> anyhow::Result<()> {
    let at = socket.local_addr()?;
    if at == proxy {
        inherited.proxy.push(socket);
    } else if at == status && inherited.status.is_none() {
        inherited.status = Some(socket);
    } else {
        bail!(
            "a socket from LISTEN_FDS listens at {at}, which is neither --proxy-listen ({proxy}) nor --status-listen \
             ({status}); make the .socket unit and the settings agree"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_apart_by_their_addresses() {
        let sockets: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let at: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let mut inherited = Inherited::default();
        let results: Vec<_> = sockets.into_iter().map(|socket| sort(&mut inherited, socket, at[1], at[0])).collect();
        assert_eq!(inherited.proxy[0].local_addr().unwrap(), at[1]);
        assert_eq!(inherited.status.unwrap().local_addr().unwrap(), at[0]);
        let refused = results[2].as_ref().unwrap_err().to_string();
        assert!(refused.contains(&at[2].to_string()) && refused.contains("--proxy-listen"), "{refused}");
    }
}
