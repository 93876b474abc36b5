//! What upstreams are told of the caller. What others wrote under these names is gone: the header policy saw to it.

use std::cell::RefCell;
use std::io::Write;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderValue};

use super::caller::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PORT, FORWARDED_PROTO};
use super::{Caller, Edge, Peer, Scheme, TrustedHeaders};
use crate::exchange::host::Host;

static HTTP: HeaderValue = HeaderValue::from_static("http");
static HTTPS: HeaderValue = HeaderValue::from_static("https");

/// Tells of the caller: who it is, by which proxies it came, and what it asked for at the first of them.
pub(crate) fn tell(
    headers: &mut HeaderMap,
    caller: &Caller,
    peer: &Peer,
    host_seen: Option<HeaderValue>,
    edge: &Edge,
    ports: &Ports,
) {
    let host = caller.told.as_ref().and_then(|told| told.host.clone()).or(host_seen);
    let port = caller.told.as_ref().and_then(|told| told.port).or_else(|| port_of(host.as_ref()?));
    if edge.headers == TrustedHeaders::Forwarded {
        headers.insert(FORWARDED, forwarded(caller, peer, host.as_ref()));
    }
    headers.insert(FORWARDED_FOR.clone(), way(caller, peer));
    headers.insert(FORWARDED_PROTO.clone(), if caller.scheme == Scheme::Https { &HTTPS } else { &HTTP }.clone());
    headers.insert(FORWARDED_PORT.clone(), ports.value(port.unwrap_or(caller.scheme.port())));
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST.clone(), host);
    }
}

fn port_of(host: &HeaderValue) -> Option<u16> {
    Host::parse(host.as_bytes())?.port
}

/// The caller, and the proxies that it came by: only what is believed, so that its first entry can be relied on.
fn way(caller: &Caller, peer: &Peer) -> HeaderValue {
    let hops = caller.told.as_ref().map_or(&[][..], |told| &told.hops);
    if hops.is_empty() {
        return peer.header.clone();
    }
    let mut text = BytesMut::with_capacity(48 * (hops.len() + 1)).writer();
    for hop in hops {
        put(&mut text, format_args!("{hop}, "));
    }
    put(&mut text, format_args!("{}", peer.address));
    header(text)
}

/// The same by RFC 7239.
fn forwarded(caller: &Caller, peer: &Peer, host: Option<&HeaderValue>) -> HeaderValue {
    let hops = caller.told.as_ref().map_or(&[][..], |told| &told.hops);
    let mut text = BytesMut::with_capacity(64 * (hops.len() + 2)).writer();
    for (index, hop) in hops.iter().chain([&peer.address]).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        match hop {
            IpAddr::V4(v4) => put(&mut text, format_args!("{comma}for={v4}")),
            IpAddr::V6(v6) => put(&mut text, format_args!("{comma}for=\"[{v6}]\"")),
        }
        if index == 0 {
            put(&mut text, format_args!(";proto={}", caller.scheme.as_str()));
            if let Some(host) = host.and_then(|host| host.to_str().ok()) {
                // a checked host: nothing in it needs an escape
                put(&mut text, format_args!(";host=\"{host}\""));
            }
        }
    }
    header(text)
}

type Text = bytes::buf::Writer<BytesMut>;

fn put(text: &mut Text, piece: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(piece);
    debug_assert!(written.is_ok(), "memory takes all");
}

fn header(text: Text) -> HeaderValue {
    let value = HeaderValue::from_maybe_shared(text.into_inner().freeze());
    value.expect("addresses, schemes and checked hosts are of header characters")
}

/// The port that was told last, ready for a header: nearly always it is the one to tell next.
pub(crate) struct Ports(RefCell<(u16, HeaderValue)>);

static PORT_HTTP: HeaderValue = HeaderValue::from_static("80");
static PORT_HTTPS: HeaderValue = HeaderValue::from_static("443");

impl Ports {
    pub(crate) fn new() -> Self {
        Ports(RefCell::new((80, PORT_HTTP.clone())))
    }

    fn value(&self, port: u16) -> HeaderValue {
        match port {
            80 => PORT_HTTP.clone(),
            443 => PORT_HTTPS.clone(),
            _ => {
                let mut last = self.0.borrow_mut();
                if last.0 != port {
                    *last = (port, HeaderValue::from(port));
                }
                last.1.clone()
            }
        }
    }
}
