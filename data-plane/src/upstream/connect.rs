//! New connections to targets.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

use futures_util::future::LocalBoxFuture;
use tidegate_model::Authority;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::exchange::h2_client;
use crate::exchange::hyper_client::{Connection, Opener};
use crate::exchange::switching::Fresh;

/// Makes byte streams to targets.
pub trait Connector: 'static {
    /// What is made.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// A stream to this address.
    fn connect(&self, to: &Authority) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// Connects by TCP; names are looked up each time.
pub struct TcpConnector;

impl Connector for TcpConnector {
    type Stream = TcpStream;

    async fn connect(&self, to: &Authority) -> io::Result<TcpStream> {
        let stream = match to.host.parse::<IpAddr>() {
            Ok(address) => TcpStream::connect(SocketAddr::new(address, to.port)).await?,
            Err(_) => TcpStream::connect((&*to.host, to.port)).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Makes connections that speak HTTP.
pub(crate) trait Dial {
    /// A connection of HTTP/1 to this address.
    fn dial<'a>(&'a self, to: &'a Authority) -> LocalBoxFuture<'a, io::Result<Connection>>;

    /// One that may become a tunnel.
    fn dial_to_switch<'a>(&'a self, to: &'a Authority) -> LocalBoxFuture<'a, io::Result<Fresh>>;

    /// A connection of HTTP/2.
    fn dial_h2<'a>(&'a self, to: &'a Authority) -> LocalBoxFuture<'a, io::Result<h2_client::Connection>>;
}

/// Makes them of a connector's streams.
pub(crate) struct Dialer<C> {
    pub(crate) connector: C,
    pub(crate) opener: Opener,
    pub(crate) h2_opener: h2_client::Opener,
}

/// The stream stood, and its other end did not speak.
fn silent() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

impl<C: Connector> Dial for Dialer<C> {
    fn dial<'a>(&'a self, to: &'a Authority) -> LocalBoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            let stream = self.connector.connect(to).await?;
            self.opener.open(stream).await.ok_or_else(silent)
        })
    }

    fn dial_to_switch<'a>(&'a self, to: &'a Authority) -> LocalBoxFuture<'a, io::Result<Fresh>> {
        Box::pin(async move {
            let stream = self.connector.connect(to).await?;
            self.opener.open_to_switch(Box::new(stream)).await.ok_or_else(silent)
        })
    }

    fn dial_h2<'a>(&'a self, to: &'a Authority) -> LocalBoxFuture<'a, io::Result<h2_client::Connection>> {
        Box::pin(async move {
            let stream = self.connector.connect(to).await?;
            self.h2_opener.open(stream).await.ok_or_else(silent)
        })
    }
}
