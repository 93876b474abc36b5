//! Values that are written as text: durations, sizes, instants, host patterns, paths, addresses.
//!
//! Each type names its `format` in its JSON schema; [`crate::schema`] uses the same parser, so that a wrong value is told
//! beside all other problems of the document.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Checks one text of a format; the error says what would be right.
pub(crate) fn check_format(format: &str, text: &str) -> Result<(), String> {
    fn of<T: FromStr>(text: &str) -> Result<(), String>
    where
        T::Err: fmt::Display,
    {
        text.parse::<T>().map(drop).map_err(|e| e.to_string())
    }
    match format {
        "duration" => of::<Span>(text),
        "byte-size" => of::<ByteSize>(text),
        "instant" => of::<Instant>(text),
        "host-pattern" => of::<HostPattern>(text),
        "path" => of::<Path>(text),
        "authority" => of::<Authority>(text),
        "http-url" => of::<HttpUrl>(text),
        "method" => of::<Method>(text),
        "header-name" => of::<crate::HeaderName>(text),
        "host-port" => of::<crate::HostPort>(text),
        "path-template" => of::<crate::PathTemplate>(text),
        "pattern" => of::<crate::Pattern>(text),
        "capture-path" => of::<crate::CapturePath>(text),
        "reference" => of::<crate::Reference>(text),
        "network" => of::<crate::Network>(text),
        "status-range" => of::<crate::StatusRange>(text),
        "sha256" => of::<crate::Sha256>(text),
        "password-hash" => of::<crate::PasswordHash>(text),
        "secret" => of::<crate::Secret>(text),
        _ => Ok(()),
    }
}

macro_rules! text_scalar {
    ($type:ty, $name:literal, $format:literal, $doc:literal, $example:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "format": $format, "description": $doc, "examples": [$example]
                })
            }
        }
    };
}
pub(crate) use text_scalar;

/// A length of time, written `250ms`, `30s`, `1m`, `12h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write a whole number and a unit: `250ms`, `30s`, `1m`, `12h`, `7d`")]
pub struct InvalidSpan(String);

const SPAN_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// From a duration; what is below a millisecond is cut off.
    pub const fn new(duration: Duration) -> Self {
        Span(Duration::from_millis(duration.as_millis() as u64))
    }

    /// The length of time.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In milliseconds.
    pub const fn millis(self) -> u64 {
        self.0.as_millis() as u64
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let invalid = || InvalidSpan(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count: u64 = text[..digits].parse().map_err(|_| invalid())?;
        let (_, unit) = SPAN_UNITS.iter().find(|(unit, _)| *unit == &text[digits..]).ok_or_else(invalid)?;
        // ten thousand years: anything above is a slip, and sums of what is below never overflow
        let millis = count.checked_mul(*unit).filter(|m| *m <= 86_400_000 * 3_650_000).ok_or_else(invalid)?;
        Ok(Span(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.millis();
        let (unit, size) =
            SPAN_UNITS.into_iter().find(|(_, size)| millis != 0 && millis.is_multiple_of(*size)).unwrap_or(("s", 1));
        write!(f, "{}{unit}", millis / size)
    }
}

text_scalar!(Span, "Duration", "duration", "A whole number and a unit: `ms`, `s`, `m`, `h` or `d`.", "30s");

/// A number of bytes, written `512B`, `8KiB`, `10MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size; write a whole number and a unit: `512B`, `8KiB`, `10MiB`, `1GiB`")]
pub struct InvalidByteSize(String);

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl ByteSize {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        ByteSize(bytes)
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        let invalid = || InvalidByteSize(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count: u64 = text[..digits].parse().map_err(|_| invalid())?;
        let (_, unit) = SIZE_UNITS.iter().find(|(unit, _)| *unit == &text[digits..]).ok_or_else(invalid)?;
        count.checked_mul(*unit).filter(|bytes| *bytes <= 1 << 50).map(ByteSize).ok_or_else(invalid)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) =
            SIZE_UNITS.into_iter().find(|(_, size)| self.0 != 0 && self.0.is_multiple_of(*size)).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

text_scalar!(ByteSize, "ByteSize", "byte-size", "A whole number and a unit: `B`, `KiB`, `MiB` or `GiB`.", "1MiB");

/// An instant in milliseconds since 1970, written by RFC 3339 in UTC: `2027-01-31T00:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

/// Why a text is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an instant; write it by RFC 3339: `2027-01-31T00:00:00Z`")]
pub struct InvalidInstant(String);

impl Instant {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Instant(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }
}

impl FromStr for Instant {
    type Err = InvalidInstant;

    fn from_str(text: &str) -> Result<Self, InvalidInstant> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|at| Instant(at.timestamp_millis()))
            .map_err(|_| InvalidInstant(text.to_owned()))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_millis(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
            None => write!(f, "{}ms", self.0),
        }
    }
}

text_scalar!(Instant, "Instant", "instant", "An instant by RFC 3339.", "2027-01-31T00:00:00Z");

/// A host to match: exact (`api.example.com`) or every host below one (`*.example.com`). Stored in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host and no other.
    Exact(Box<str>),
    /// Any host that ends in `.<suffix>`; the suffix is held without its dot.
    Below(Box<str>),
}

/// Why a text is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host; write `api.example.com` or `*.example.com`, without scheme, port or path")]
pub struct InvalidHostPattern(String);

pub(crate) fn is_host(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let v6 = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    text.len() <= 253
        && match v6 {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => text.split('.').all(label),
        }
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, InvalidHostPattern> {
        let lower = text.to_ascii_lowercase();
        match lower.strip_prefix("*.") {
            Some(suffix) if is_host(suffix) => Ok(HostPattern::Below(suffix.into())),
            None if is_host(&lower) => Ok(HostPattern::Exact(lower.into())),
            _ => Err(InvalidHostPattern(text.to_owned())),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(host) => f.write_str(host),
            HostPattern::Below(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

text_scalar!(
    HostPattern,
    "HostPattern",
    "host-pattern",
    "A host, or `*.` and a host for all below it.",
    "api.example.com"
);

/// An absolute path in canonical form: what a request's path is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Box<str>);

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// No leading slash.
    #[error("`{0}` is not a path; it starts with `/`")]
    NotAbsolute(String),
    /// Too long to match anything within the gateway's own limits.
    #[error("a path has at most {} bytes", Path::LENGTH_MAX)]
    TooLong,
    /// Braces, which stand for parameters elsewhere.
    #[error("`{0}` is not a plain path; to match one with parameters write `{{\"template\": \"{0}\"}}`")]
    Braces(String),
    /// A query, fragment, space or control character.
    #[error("`{0}` is not a path; leave out query and fragment, and write other characters percent-encoded")]
    Character(String),
    /// Not what the canonical form of a request's path could ever be.
    #[error("`{0}` can never match: requests are matched by their canonical path, here `{1}`")]
    NotCanonical(String, String),
}

impl Path {
    /// The longest path, in bytes.
    pub const LENGTH_MAX: usize = 4096;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Path {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        if !text.starts_with('/') {
            return Err(InvalidPath::NotAbsolute(text.to_owned()));
        }
        if text.len() > Path::LENGTH_MAX {
            return Err(InvalidPath::TooLong);
        }
        match crate::canonical_path(text) {
            Ok(canonical) if canonical == text => Ok(Path(text.into())),
            Ok(canonical) => Err(InvalidPath::NotCanonical(text.to_owned(), canonical.into_owned())),
            Err(_) if text.contains(['{', '}']) => Err(InvalidPath::Braces(text.to_owned())),
            Err(_) => Err(InvalidPath::Character(text.to_owned())),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_scalar!(Path, "Path", "path", "An absolute path, without query.", "/orders");

/// A target's address: host or IP address, and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address; write host and port: `10.0.0.7:8080`, `orders.internal:80`, `[::1]:8080`")]
pub struct InvalidAuthority(String);

impl FromStr for Authority {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, InvalidAuthority> {
        let invalid = || InvalidAuthority(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
        if !is_host(host) {
            return Err(invalid());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase().into();
        Ok(Authority { host, port })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

text_scalar!(Authority, "Authority", "authority", "Host and port.", "10.0.0.7:8080");

/// Where a service is: `http://host[:port][/path]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    text: Box<str>,
    authority: Authority,
    path: Box<str>,
}

/// Why a text is no service URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHttpUrl {
    /// Not a URL, or not one of `http`.
    #[error("`{0}` is not a service url; write `http://host[:port][/path]`")]
    Form(String),
    /// TLS towards upstreams.
    #[error("`{0}`: TLS towards upstreams is not supported yet; write `http://host[:port][/path]`")]
    Tls(String),
    /// User, query or fragment.
    #[error("`{0}`: a service url has no user, query or fragment")]
    Extra(String),
}

impl HttpUrl {
    /// Host and port (80 if none was given).
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What is put before the path of each request: empty, or starts with `/` and does not end with one.
    pub fn path_prefix(&self) -> &str {
        &self.path
    }

    /// What the Host header says upstream: the port is left out where it is the scheme's own.
    pub fn host_header(&self) -> String {
        let host = self.authority.to_string();
        host.strip_suffix(":80").map(str::to_owned).unwrap_or(host)
    }
}

impl FromStr for HttpUrl {
    type Err = InvalidHttpUrl;

    fn from_str(text: &str) -> Result<Self, InvalidHttpUrl> {
        let form = || InvalidHttpUrl::Form(text.to_owned());
        let url = url::Url::parse(text).map_err(|_| form())?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(InvalidHttpUrl::Tls(text.to_owned())),
            _ => return Err(form()),
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidHttpUrl::Extra(text.to_owned()));
        }
        let host = url.host_str().ok_or_else(form)?;
        let port = url.port_or_known_default().ok_or_else(form)?;
        let authority = format!("{host}:{port}").parse().map_err(|_| form())?;
        Ok(HttpUrl { text: text.into(), authority, path: url.path().trim_end_matches('/').into() })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_scalar!(HttpUrl, "HttpUrl", "http-url", "`http://host[:port][/path]`", "http://127.0.0.1:9000");

/// An HTTP method to match, in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(Box<str>);

/// Why a text is no method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a method; write it in capitals: `GET`, `POST`, ...")]
pub struct InvalidMethod(String);

impl Method {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = InvalidMethod;

    fn from_str(text: &str) -> Result<Self, InvalidMethod> {
        let fits =
            (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
        if fits { Ok(Method(text.into())) } else { Err(InvalidMethod(text.to_owned())) }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_scalar!(Method, "Method", "method", "An HTTP method in capitals.", "GET");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_in_their_largest_unit() {
        for (text, millis, printed) in
            [("250ms", 250, "250ms"), ("60s", 60_000, "1m"), ("90s", 90_000, "90s"), ("0s", 0, "0s")]
        {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.millis(), span.to_string().as_str()), (millis, printed));
        }
        for bad in ["", "5", "s", "-1s", "1.5s", "1 s", "1w", "99999999999999999999s", "9999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_and_addresses() {
        assert_eq!("API.example.com".parse(), Ok(HostPattern::Exact("api.example.com".into())));
        assert_eq!("*.example.com".parse(), Ok(HostPattern::Below("example.com".into())));
        for bad in ["", "*", "a.*.b", "http://a", "a:80", "a/b", "a b", "-a", "a..b", "*.*.a", "u@a"] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
        assert_eq!("[::1]:80".parse::<Authority>().map(|a| a.to_string()), Ok("[::1]:80".to_owned()));
        for bad in ["a", "a:0", "a:70000", ":80", "a:b", "::1:80"] {
            assert!(bad.parse::<Authority>().is_err(), "{bad}");
        }
    }

    #[test]
    fn service_urls_say_what_is_wrong() {
        let url: HttpUrl = "http://127.0.0.1:9000/base/".parse().expect("a url");
        assert_eq!(
            (url.authority().port, url.path_prefix(), url.host_header().as_str()),
            (9000, "/base", "127.0.0.1:9000")
        );
        assert!(matches!("https://a".parse::<HttpUrl>(), Err(InvalidHttpUrl::Tls(_))));
        assert!(matches!("http://u:p@a".parse::<HttpUrl>(), Err(InvalidHttpUrl::Extra(_))));
        assert!(matches!("127.0.0.1:9000".parse::<HttpUrl>(), Err(InvalidHttpUrl::Form(_))));
    }

    #[test]
    fn a_path_that_could_never_match_is_refused_with_the_form_that_would() {
        assert!(matches!("/a/../b".parse::<Path>(), Err(InvalidPath::NotCanonical(_, c)) if c == "/b"));
        assert!(matches!("/%61".parse::<Path>(), Err(InvalidPath::NotCanonical(_, c)) if c == "/a"));
        assert!(matches!("/a?b".parse::<Path>(), Err(InvalidPath::Character(_))));
        assert!("/a/b".parse::<Path>().is_ok());
    }
}
