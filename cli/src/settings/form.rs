//! What the text of a setting may be.

use std::net::SocketAddr;

use tidegate_data_plane::node::Network;
use tidegate_data_plane::node::access_log::LogTarget;
use tidegate_model::{ByteSize, Name, Span};
use url::Url;

/// What the text of a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An IP address and a port.
    Address,
    /// A whole number from 1.
    Count { max: usize },
    /// A whole number, or 0 for a default that is found.
    CountOrZero { max: usize },
    /// A length of time.
    Duration,
    /// A number of bytes.
    Size,
    /// `true` or `false`; the flag alone is `true`.
    Switch,
    /// A file or a folder.
    Path,
    /// An address with one of these schemes; may hold a password.
    Url(&'static [&'static str]),
    /// Addresses of config streams, one or more.
    Endpoints,
    /// The name of a resource.
    Name,
    /// Pairs of key and value, any number.
    Labels,
    /// Networks of IP addresses, any number.
    Networks,
    /// A log level, or levels by target.
    Level,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// Any of a few words.
    SomeOf(&'static [&'static str]),
    /// `off`, `stdout` or a file.
    LogTarget,
    /// A part of a whole, from 0 to 1.
    Share,
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Form {
    /// Whether a setting may be given more than once.
    pub(crate) fn many(self) -> bool {
        matches!(self, Form::Endpoints | Form::Labels | Form::Networks | Form::SomeOf(_))
    }

    /// Whether a value may hold a password.
    pub(crate) fn secret(self) -> bool {
        matches!(self, Form::Url(_))
    }

    /// Says what is wrong with a value.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        match self {
            Form::Address => address(text).map(drop),
            Form::Count { max } => match text.parse::<usize>() {
                Ok(count) if (1..=max).contains(&count) => Ok(()),
                _ => Err(format!("it is not a whole number from 1 to {max}")),
            },
            Form::CountOrZero { max } => match text.parse::<usize>() {
                Ok(count) if count <= max => Ok(()),
                _ => Err(format!("it is not a whole number from 0 to {max}")),
            },
            Form::Size => text.parse::<ByteSize>().map(drop).map_err(|e| e.to_string()),
            Form::Switch if matches!(text, "true" | "false") => Ok(()),
            Form::Switch => Err("it is neither `true` nor `false`".to_owned()),
            Form::Duration => text.parse::<Span>().map(drop).map_err(|e| e.to_string()),
            Form::Path => Ok(()),
            Form::Url(schemes) => url(text, schemes).map(drop),
            Form::Endpoints => endpoint(text).map(drop),
            Form::Name => text.parse::<Name>().map(drop).map_err(|e| e.to_string()),
            Form::Labels => label(text).map(drop),
            Form::Networks => network(text).map(drop),
            Form::Level => text.split(',').try_for_each(|part| level(part.trim())),
            Form::LogTarget => log_target(text).map(drop),
            Form::Share => share(text).map(drop),
            Form::OneOf(words) | Form::SomeOf(words) if words.contains(&text) => Ok(()),
            Form::OneOf(words) | Form::SomeOf(words) => Err(format!("it is none of {}", quoted(words))),
        }
    }

    /// The value as it may be shown: without a password.
    pub(crate) fn shown(self, text: &str) -> String {
        if self.secret() { without_password(text) } else { text.to_owned() }
    }
}

/// An address to listen at. Names are not resolved: what a server listens at must not depend on a resolver.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let full = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    full.parse().map_err(|_| "it is not an IP address and a port, such as `0.0.0.0:8000` or `[::1]:8000`".to_owned())
}

/// Where lines go; nothing if nowhere.
pub(super) fn log_target(text: &str) -> Result<Option<LogTarget>, String> {
    match text {
        "off" => Ok(None),
        "stdout" => Ok(Some(LogTarget::Stdout)),
        // a word that was meant to be one of the two would make a file of that name
        word if !word.contains(['/', '.']) => {
            Err(format!("it is neither `off` nor `stdout`; for a file of that name write `./{word}`"))
        }
        file => Ok(Some(LogTarget::File(file.into()))),
    }
}

/// A part of a whole.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it is not a number from 0 to 1, such as `0.01`".to_owned())
}

/// A pair of key and value.
pub(super) fn label(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim(), value.trim())),
        _ => Err("it does not read `key=value`".to_owned()),
    }
}

/// A network of IP addresses.
pub(super) fn network(text: &str) -> Result<Network, String> {
    text.trim().parse::<Network>().map_err(|e| e.to_string())
}

/// The address of a config stream; the port may be left out.
pub(super) fn endpoint(text: &str) -> Result<String, String> {
    let mut url = url(text, &["https"])?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("it has a path; only scheme, host and port belong here".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user; nodes join with a join token".to_owned());
    }
    if url.port().is_none() && !has_port(text) {
        url.set_port(Some(8005)).map_err(|()| "it has no host".to_owned())?;
    }
    let host = url.host_str().unwrap_or_default();
    Ok(format!("https://{host}:{}", url.port().unwrap_or(443)))
}

/// `https://host:443` parses to no port, as that is the default of the scheme; but somebody wrote it.
fn has_port(text: &str) -> bool {
    text.trim_end_matches('/').ends_with(":443")
}

fn url(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let readable = || {
        let starts: Vec<_> = schemes.iter().map(|s| format!("{s}://")).collect();
        format!("it is not an address that starts with {}", quoted(&starts))
    };
    let url = Url::parse(text).map_err(|_| readable())?;
    if !schemes.contains(&url.scheme()) {
        return Err(readable());
    }
    if url.scheme() != "sqlite"
        && url.host_str().is_none_or(str::is_empty)
        && !url.query().is_some_and(|q| q.contains("host="))
    {
        return Err("it names no host".to_owned());
    }
    Ok(url)
}

fn level(text: &str) -> Result<(), String> {
    let word = text.rsplit_once('=').map_or(text, |(_, level)| level);
    if LEVELS.contains(&word) { Ok(()) } else { Err(format!("`{word}` is none of {}", quoted(&LEVELS))) }
}

fn without_password(text: &str) -> String {
    const MASK: &str = "***";
    let Ok(mut url) = Url::parse(text) else { return MASK.to_owned() };
    let pairs: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    if pairs.iter().any(|(key, _)| key.contains("password")) {
        let masked = pairs.iter().map(|(k, v)| (k, if k.contains("password") { MASK } else { v.as_str() }));
        url.query_pairs_mut().clear().extend_pairs(masked);
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    url.to_string()
}

/// "`a`, `b` or `c`"
pub(super) fn quoted(words: &[impl AsRef<str>]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_or_refused_with_what_would_be_right() {
        let pg = Form::Url(&["postgres"]);
        for (form, text, wrong) in [
            (Form::Address, "0.0.0.0:8000", None),
            (Form::Address, "[::]:0", None),
            (Form::Address, "localhost:8000", None),
            (Form::Address, "8000", Some("IP address and a port")),
            (Form::Address, "gateway:8000", Some("IP address and a port")),
            (Form::Address, "", Some("empty")),
            (Form::Duration, "20ms", None),
            (Form::Duration, "20", Some("is not a duration")),
            (Form::CountOrZero { max: 8 }, "0", None),
            (Form::CountOrZero { max: 8 }, "9", Some("from 0 to 8")),
            (Form::Size, "512MiB", None),
            (Form::Size, "512", Some("is not a size")),
            (Form::Switch, "true", None),
            (Form::Switch, "yes", Some("`true` nor `false`")),
            (Form::Count { max: 8 }, "8", None),
            (Form::Count { max: 8 }, "0", Some("from 1 to 8")),
            (Form::Count { max: 8 }, "9", Some("from 1 to 8")),
            (Form::Count { max: 8 }, "-1", Some("from 1 to 8")),
            (pg, "postgres://a:b@h/d", None),
            (pg, "postgres:///d?host=/run/postgresql", None),
            (pg, "postgres:///d", Some("no host")),
            (pg, "mysql://h/d", Some("`postgres://`")),
            (Form::Endpoints, "https://cp:8005", None),
            (Form::Endpoints, "http://cp:8005", Some("`https://`")),
            (Form::Endpoints, "https://cp:8005/x", Some("path")),
            (Form::Name, "eu-1.a", None),
            (Form::Name, "a b", Some("name")),
            (Form::Labels, "zone=eu", None),
            (Form::Labels, "zone", Some("key=value")),
            (Form::Networks, "10.0.0.0/8", None),
            (Form::Networks, "2001:db8::1", None),
            (Form::Networks, "10.0.0.1/8", Some("write `10.0.0.0/8`, or `10.0.0.1`")),
            (Form::Networks, "balancer", Some("it is not a network, such as `10.0.0.0/8`")),
            (Form::Level, "info,hyper=debug", None),
            (Form::Level, "inof", Some("`inof`")),
            (Form::Level, "info,hyper=loud", Some("`loud`")),
            (Form::LogTarget, "off", None),
            (Form::LogTarget, "stdout", None),
            (Form::LogTarget, "/var/log/a.log", None),
            (Form::LogTarget, "false", Some("write `./false`")),
            (Form::Share, "0.01", None),
            (Form::Share, "1", None),
            (Form::Share, "1%", Some("from 0 to 1")),
            (Form::Share, "NaN", Some("from 0 to 1")),
            (Form::SomeOf(&["a", "b"]), "b", None),
            (Form::SomeOf(&["a", "b"]), "c", Some("`a` or `b`")),
            (Form::OneOf(&["text", "json"]), "json", None),
            (Form::OneOf(&["text", "json"]), "xml", Some("`text` or `json`")),
        ] {
            match (form.check(text), wrong) {
                (Ok(()), None) => {}
                (Err(said), Some(part)) if said.contains(part) => {}
                (got, _) => panic!("{form:?} on `{text}`: {got:?}, not {wrong:?}"),
            }
        }
    }

    #[test]
    fn choices_read_as_a_sentence() {
        assert_eq!(quoted(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(quoted(&["a"]), "`a`");
    }

    #[test]
    fn a_stream_has_a_port_of_its_own() {
        assert_eq!(endpoint("https://cp").unwrap(), "https://cp:8005");
        assert_eq!(endpoint("https://cp:443/").unwrap(), "https://cp:443");
        assert_eq!(endpoint("https://[::1]:9").unwrap(), "https://[::1]:9");
    }

    #[test]
    fn passwords_are_not_shown() {
        let form = Form::Url(&["postgres"]);
        assert_eq!(form.shown("postgres://a:hush@h/d"), "postgres://a:***@h/d");
        assert!(!form.shown("postgres://h/d?user=a&password=hush").contains("hush"));
        assert!(!form.shown("postgres//a:hush@h").contains("hush"));
    }
}
