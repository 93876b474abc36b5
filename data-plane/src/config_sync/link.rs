//! A connection to a control plane: TLS over TCP, or a pipe inside the process.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tidegate_proto::CONTROL_PLANE_NAME;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::Timings;

/// The port that a control plane listens on if none is said.
const PORT: u16 = 8005;
const PIPE_BYTES: usize = 256 << 10;
const WINDOW: u32 = 1 << 20;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("no connection to `{0}`")]
    Connect(String, #[source] std::io::Error),
    #[error("no connection to `{0}`: it took too long")]
    TimedOut(String),
    #[error("`{0}` is not the control plane that this node knows, or does not want it")]
    Tls(String, #[source] std::io::Error),
    #[error("the control plane in this process is gone")]
    NoPipe,
    #[error("no HTTP/2")]
    Http(#[source] tonic::transport::Error),
}

/// Host and port of `https://host[:port]` or `host[:port]`.
pub(super) fn address(endpoint: &str) -> Option<(String, u16)> {
    let full = if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
    let url = url::Url::parse(&full).ok().filter(|url| url.scheme() == "https")?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
    // the url crate leaves out what is the scheme's own
    let port = url.port().unwrap_or(if full.trim_end_matches('/').ends_with(":443") { 443 } else { PORT });
    bare.then_some((host, port))
}

/// Connects over the network.
pub(super) async fn connect(endpoint: &str, tls: ClientConfig, timings: &Timings) -> Result<Channel, LinkError> {
    let name = || endpoint.to_owned();
    let connected = async {
        let (host, port) = address(endpoint).ok_or_else(|| {
            let why = "it does not read `https://host[:port]`";
            LinkError::Connect(name(), std::io::Error::other(why))
        })?;
        let stream = TcpStream::connect((host, port)).await.map_err(|error| LinkError::Connect(name(), error))?;
        let _ = stream.set_nodelay(true); // it is slower without, no more
        let server = ServerName::try_from(CONTROL_PLANE_NAME).expect("it is a DNS name");
        let tls = TlsConnector::from(Arc::new(tls)).connect(server, stream).await;
        let stream = tls.map_err(|error| LinkError::Tls(name(), error))?;
        channel(stream, timings).await
    };
    tokio::time::timeout(timings.connect, connected).await.unwrap_or_else(|_| Err(LinkError::TimedOut(name())))
}

/// Connects inside the process.
pub(super) async fn pipe(to: &mpsc::Sender<DuplexStream>, timings: &Timings) -> Result<Channel, LinkError> {
    let (own, other) = tokio::io::duplex(PIPE_BYTES);
    to.send(other).await.map_err(|_| LinkError::NoPipe)?;
    channel(own, timings).await
}

/// A channel over one connection; it is not made anew when it breaks.
async fn channel<T>(stream: T, timings: &Timings) -> Result<Channel, LinkError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = Some(TokioIo::new(stream));
    let once = tower::service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        std::future::ready(stream)
    });
    // the address is never resolved, and the port means nothing
    Endpoint::from_static("http://control-plane.tidegate.internal")
        .http2_keep_alive_interval(timings.ping_every)
        .keep_alive_timeout(timings.ping_answer)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .connect_with_connector(once)
        .await
        .map_err(LinkError::Http)
}

/// How long to wait before the `n`th attempt in a row: any time up to a bound that doubles.
pub(super) fn backoff(timings: &Timings, attempt: u32, random: f64) -> Duration {
    let bound = timings.backoff.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(timings.backoff_max);
    bound.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_scheme_and_port() {
        for (text, host, port) in [
            ("https://a.example:9", "a.example", 9),
            ("https://a.example", "a.example", 8005),
            ("https://a.example:443", "a.example", 443),
            ("10.0.0.1:8005", "10.0.0.1", 8005),
            ("https://[::1]:7", "::1", 7),
        ] {
            assert_eq!(address(text), Some((host.to_owned(), port)), "{text}");
        }
        for bad in ["http://a", "https://a/b", "https://a?b", "", "https://u@a"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn waiting_grows_to_a_bound_and_is_never_the_same_for_all() {
        let timings = Timings::default();
        assert_eq!(backoff(&timings, 0, 1.0), Duration::from_millis(200));
        assert_eq!(backoff(&timings, 3, 1.0), Duration::from_millis(1600));
        assert_eq!(backoff(&timings, 5, 1.0), Duration::from_secs(4));
        assert_eq!(backoff(&timings, 500, 1.0), Duration::from_secs(4));
        assert_eq!(backoff(&timings, 500, 0.0), Duration::ZERO);
    }
}
