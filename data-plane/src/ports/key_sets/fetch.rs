//! One fetch of a key set: small, bounded in time and bytes, on a connection of its own.
//!
//! Follows no redirect: where keys come from is what the operator wrote. Never goes to link-local addresses, where clouds keep
//! the credentials of machines.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, ETAG, HOST, IF_NONE_MATCH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tidegate_policy::jwt::{InvalidKeySet, KeySetUrl};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::warn;

use crate::limits::Limits;

/// What an issuer answered.
pub(super) enum Answer {
    /// What it said last time holds.
    Same {
        age: Option<Duration>,
    },
    Document {
        body: Bytes,
        etag: Option<HeaderValue>,
        age: Option<Duration>,
    },
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the host can't be found: {0}")]
    Name(io::Error),
    #[error("the address {0} is not asked: it is link-local or no address of a host")]
    Address(IpAddr),
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no TLS: {0}")]
    Tls(String),
    #[error("it took longer than {} s", .0.as_secs_f64())]
    Slow(Duration),
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer was {0}")]
    Status(StatusCode),
    #[error("the answer is larger than {0} bytes, or was cut off")]
    Large(usize),
    #[error("{0}")]
    Keys(InvalidKeySet),
}

impl FetchError {
    /// Whether something came, and was no set of keys.
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self, FetchError::Large(_) | FetchError::Keys(_))
    }
}

pub(super) struct Fetcher {
    tls: OnceLock<Arc<ClientConfig>>,
    roots: Option<RootCertStore>,
    connect: Duration,
    total: Duration,
    bytes_max: usize,
}

/// The largest head of an answer, and its most headers.
const HEAD_BYTES_MAX: usize = 32 << 10;
const HEADERS_MAX: usize = 64;

/// Of the addresses of a name, so many are tried.
const ADDRESSES_MAX: usize = 4;

impl Fetcher {
    pub(super) fn new(limits: &Limits, roots: Option<RootCertStore>) -> Self {
        Fetcher {
            tls: OnceLock::new(),
            roots,
            connect: limits.jwks_connect,
            total: limits.jwks_fetch,
            bytes_max: limits.jwks_bytes_max,
        }
    }

    pub(super) async fn fetch(&self, at: &KeySetUrl, etag: Option<&HeaderValue>) -> Result<Answer, FetchError> {
        let fetched = async {
            let stream = timeout(self.connect, connect(at)).await.map_err(|_| FetchError::Slow(self.connect))??;
            if !at.is_tls() {
                return self.exchange(stream, at, etag).await;
            }
            let name =
                ServerName::try_from(at.host().to_owned()).map_err(|error| FetchError::Tls(error.to_string()))?;
            let connector = TlsConnector::from(self.tls()?);
            let stream = connector.connect(name, stream).await.map_err(|error| FetchError::Tls(error.to_string()))?;
            self.exchange(stream, at, etag).await
        };
        timeout(self.total, fetched).await.map_err(|_| FetchError::Slow(self.total))?
    }

    async fn exchange<S>(&self, stream: S, at: &KeySetUrl, etag: Option<&HeaderValue>) -> Result<Answer, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut http = http1::Builder::new();
        http.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
        let (mut sender, connection) = http.handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await?;
        let asked = async {
            let answer = sender.send_request(request(at, etag)).await?;
            let (head, body) = answer.into_parts();
            let age = max_age(&head.headers);
            match head.status {
                StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(Answer::Same { age }),
                StatusCode::OK => {}
                status => return Err(FetchError::Status(status)),
            }
            let body = Limited::new(body, self.bytes_max).collect().await;
            let body = body.map_err(|_| FetchError::Large(self.bytes_max))?.to_bytes();
            Ok(Answer::Document { body, etag: head.headers.get(ETAG).cloned(), age })
        };
        tokio::pin!(asked);
        // the connection ends with the fetch, however that ends
        tokio::select! {
            answer = &mut asked => answer,
            ended = connection => {
                ended?;
                asked.await
            }
        }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, FetchError> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let roots = self.roots.clone().unwrap_or_else(machine_roots);
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.tls.get_or_init(|| Arc::new(config)).clone())
    }
}

/// Whom the machine trusts (`SSL_CERT_FILE` says otherwise), as an issuer may be the company's own.
fn machine_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        warn!("this machine has no certificates of authorities: keys of issuers can't be fetched by https");
    }
    roots
}

async fn connect(at: &KeySetUrl) -> Result<TcpStream, FetchError> {
    let found: Vec<SocketAddr> =
        tokio::net::lookup_host((at.host(), at.port())).await.map_err(FetchError::Name)?.take(ADDRESSES_MAX).collect();
    let mut failed = FetchError::Name(io::ErrorKind::NotFound.into());
    for address in found {
        if !is_asked(address.ip()) {
            failed = FetchError::Address(address.ip());
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = FetchError::Connect(error),
        }
    }
    Err(failed)
}

/// Whether an issuer may live there.
fn is_asked(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !address.is_link_local() && !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast()
        }
        // the last is where a cloud keeps what fe80::/10 is for elsewhere
        IpAddr::V6(address) => {
            !address.is_unicast_link_local()
                && !address.is_unspecified()
                && !address.is_multicast()
                && address.segments() != [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

fn request(at: &KeySetUrl, etag: Option<&HeaderValue>) -> Request<Empty<Bytes>> {
    let host = if at.host().contains(':') { format!("[{}]", at.host()) } else { at.host().to_owned() };
    let own_port = if at.is_tls() { 443 } else { 80 };
    let host = if at.port() == own_port { host } else { format!("{host}:{}", at.port()) };
    let mut request = Request::new(Empty::new());
    // a url that was read has a path and a host that fit
    *request.uri_mut() = at.target().parse().unwrap_or_default();
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(&host) {
        headers.insert(HOST, host);
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    if let Some(etag) = etag {
        headers.insert(IF_NONE_MATCH, etag.clone());
    }
    request
}

/// How long the answer may be used, as it says. What says that it may not be used again, may be for no time.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let mut directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut age = None;
    for directive in directives.by_ref().flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => age = value.trim().trim_matches('"').parse().ok().map(Duration::from_secs).or(age),
            _ => {}
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_read_as_it_is_written() {
        for (text, expected) in [
            ("max-age=300", Some(300)),
            ("public, Max-Age=\"300\", must-revalidate", Some(300)),
            ("max-age=300, no-store", Some(0)),
            ("no-cache", Some(0)),
            ("max-age=x", None),
            ("max-age=-1", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(text));
            assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn where_clouds_keep_credentials_nobody_is_asked() {
        for bad in
            ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1"]
        {
            assert!(!is_asked(bad.parse().unwrap()), "{bad}");
        }
        for good in ["127.0.0.1", "10.0.0.1", "93.184.216.34", "::1", "fd00::1", "2001:db8::1"] {
            assert!(is_asked(good.parse().unwrap()), "{good}");
        }
    }
}
