//! The listener of the admin API: HTTP/1.1 and HTTP/2, over TLS or, on loopback only, plain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Api, Peer};
use crate::app::TlsFiles;
use crate::vault::{Authority, Issued};

/// The most connections at once.
const CONNECTIONS_MAX: usize = 1_024;
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const HEAD_TIME: Duration = Duration::from_secs(15);
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long requests may go on after the process was told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// How the listener speaks TLS.
pub enum ListenerTls {
    /// With a certificate of the operator's.
    Files(TlsFiles),
    /// With one that the cluster's authority issues at each start; who connects trusts that authority.
    Issued,
    /// Not at all: on loopback only.
    Plain,
}

/// A listener that is bound.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// The address is taken, or there is something wrong with the certificate.
    pub async fn bind(address: SocketAddr, tls: ListenerTls, authority: &Authority) -> anyhow::Result<Listener> {
        use anyhow::Context as _;
        let tls = match tls {
            ListenerTls::Plain => None,
            ListenerTls::Files(files) => {
                let (chain, key) = read(&files)?;
                Some(acceptor(chain, key)?)
            }
            ListenerTls::Issued => {
                let names = ["localhost".to_owned()].into_iter().chain(host_name()).collect::<Vec<_>>();
                let loopback = [[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()];
                let own = (!address.ip().is_unspecified()).then_some(address.ip());
                let addresses: Vec<_> = loopback.into_iter().chain(own).collect();
                let Issued { certificate, key } = authority.issue_admin(&names, &addresses)?;
                Some(acceptor(vec![certificate, authority.certificate().clone()], key)?)
            }
        };
        let tcp = TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))?;
        Ok(Listener { tcp, tls })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

fn read(files: &TlsFiles) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    use anyhow::Context as _;
    let name = |path: &std::path::Path| path.display().to_string();
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("the certificate `{}` can't be read", name(&files.cert)))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("the key `{}` can't be read", name(&files.key)))?;
    Ok((chain, key))
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    fits.then(|| name.to_owned())
}

/// Serves until it is told to stop, and lets requests under way end.
pub async fn serve(listener: Listener, api: Arc<Api>, shutdown: CancellationToken) {
    let router = api.router();
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener.tcp, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let (api, router, tls, watcher) = (api.clone(), router.clone(), listener.tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _slot = slot;
            let peer = Peer { address: peer.ip().to_canonical(), tls: tls.is_some() };
            match tls {
                None => connection(stream, api, router, peer, watcher).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, api, router, peer, watcher).await,
                    Ok(Err(why)) => debug!(client.address = %peer.address, error = %why, "a TLS handshake failed"),
                    Err(_) => debug!(client.address = %peer.address, "a TLS handshake took too long"),
                },
            }
        });
    }
    drop(listener);
    api.drain();
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await.is_err() {
        warn!("requests to the admin API were cut off, as they did not end in time");
    }
}

async fn accept(
    tcp: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match tcp.accept().await {
        Ok((stream, peer)) => {
            // answers are small and wanted at once
            let _ = stream.set_nodelay(true);
            Some((stream, peer, slot))
        }
        Err(why) => {
            warn!(error = %why, "a connection to the admin API could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection<S>(stream: S, api: Arc<Api>, router: axum::Router, peer: Peer, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (api, router) = (api.clone(), router.clone());
        async move { Ok::<_, std::convert::Infallible>(api.serve(router, request.map(Body::new), peer).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(64)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).expect("it is small"));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(why) = watcher.watch(connection).await {
        debug!(client.address = %peer.address, error = %why, "a connection to the admin API broke");
    }
}
