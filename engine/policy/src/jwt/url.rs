//! Where an issuer publishes its keys.

use std::fmt;

/// `https://host[:port]/path[?query]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeySetUrl {
    text: Box<str>,
    tls: bool,
    host: Box<str>,
    port: u16,
    target: Box<str>,
}

/// The longest one.
const LENGTH_MAX: usize = 2048;

impl KeySetUrl {
    /// Reads one. Plain HTTP is for this machine, or where it is asked for: whoever can change what passes there, makes the keys.
    pub(super) fn read(text: &str, plain: bool) -> Result<KeySetUrl, String> {
        let form = || format!("`{text}` is not a url of the form `https://host[:port]/path`");
        let url = url::Url::parse(text).ok().filter(|_| text.len() <= LENGTH_MAX).ok_or_else(form)?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(form()),
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("a url of keys has no user, password or fragment".into());
        }
        let local = match url.host().ok_or_else(form)? {
            url::Host::Domain(name) => name == "localhost",
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
        };
        if !tls && !local && !plain {
            return Err("keys that come by plain HTTP can be swapped on their way; use `https`, or set \
                        `jwks_plain_http` where nobody else can be on the network"
                .into());
        }
        let host = url.host_str().ok_or_else(form)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(KeySetUrl {
            text: url.as_str().into(),
            tls,
            host: host.into(),
            port: url.port_or_known_default().ok_or_else(form)?,
            target: format!("{}{query}", url.path()).into(),
        })
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// A name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl fmt::Display for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
