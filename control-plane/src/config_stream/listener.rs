//! Where nodes connect: TLS with the cluster's own certificates, or a pipe inside the process.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tidegate_model::{Id, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use tracing::{debug, error, warn};

use crate::vault::{Authority, SERVER_CERTIFICATE_LIFE, node_of_certificate};

const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes under way at once; further connections wait in the kernel's queue.
const HANDSHAKES_AT_ONCE: usize = 128;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// Nobody in particular yet: may enrol.
    Anonymous { address: SocketAddr },
    /// Shows a certificate of ours. Whether it is enrolled is for the configuration to say.
    Node { id: Id, key: Sha256, address: SocketAddr },
    /// The node in this very process.
    InProcess,
}

/// A connection and who is at its other end.
pub(super) struct Connection<T> {
    stream: T,
    peer: Peer,
}

impl<T> Connection<T> {
    pub(super) fn new(stream: T, peer: Peer) -> Self {
        Connection { stream, peer }
    }
}

impl<T> Connected for Connection<T> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Takes connections, shakes hands, and hands over those that hold.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    to: mpsc::Sender<std::io::Result<Connection<TlsStream<TcpStream>>>>,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let slots = Arc::new(Semaphore::new(HANDSHAKES_AT_ONCE));
    loop {
        let slot = slots.clone().acquire_owned().await.expect("it is never closed");
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (acceptor, to) = (acceptor.clone(), to.clone());
        tokio::spawn(async move {
            let _slot = slot;
            let _ = stream.set_nodelay(true); // it is slower without, no more
            match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let certificates = stream.get_ref().1.peer_certificates();
                    let peer = match certificates.and_then(|c| c.first()).and_then(|c| node_of_certificate(c)) {
                        Some((id, key)) => Peer::Node { id, key, address },
                        None => Peer::Anonymous { address },
                    };
                    let _ = to.send(Ok(Connection::new(stream, peer))).await; // gone at shutdown
                }
                Ok(Err(error)) => debug!(remote = %address, "no TLS with {address}: {error}"),
                Err(_) => debug!(remote = %address, "the handshake of {address} took too long"),
            }
        });
    }
}

/// TLS 1.3, a certificate of the authority on this side, one or none on the other.
pub(super) fn server_config(authority: Arc<Authority>) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()?;
    let own = OwnCertificate { authority, current: Mutex::default() };
    own.current()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// This control plane's certificate; made when first needed, and again after half of its life.
struct OwnCertificate {
    authority: Arc<Authority>,
    current: Mutex<Option<(Instant, Arc<CertifiedKey>)>>,
}

impl OwnCertificate {
    fn current(&self) -> anyhow::Result<Arc<CertifiedKey>> {
        let mut current = self.current.lock();
        if let Some((made, key)) = current.as_ref()
            && made.elapsed() < SERVER_CERTIFICATE_LIFE / 2
        {
            return Ok(key.clone());
        }
        let issued = self.authority.issue_server()?;
        // the authority's own certificate goes along: a joining node knows only the hash of its key
        let chain = vec![issued.certificate, self.authority.certificate().clone()];
        let key = Arc::new(CertifiedKey::from_der(chain, issued.key, &aws_lc_rs::default_provider())?);
        *current = Some((Instant::now(), key.clone()));
        Ok(key)
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
            .inspect_err(|error| error!("the certificate of the stream listener could not be made: {error:#}"))
            .ok()
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnCertificate")
    }
}
