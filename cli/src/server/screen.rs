//! What a server says once it serves: a short screen for people, a line in the log for machines.

use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tidegate_control_plane::app;
use tidegate_data_plane::node;
use tracing::info;

use crate::settings::{ACCESS_LOG, DATA_DIR, JOIN_TOKEN_OUT, LOG_FORMAT, OPERATOR_TOKEN_FILE, Settings};

pub(super) fn standalone(settings: &Settings, admin: &app::Ready, node: &node::Ready) {
    let (proxy, status, admin_url) = (url("http", node.proxy), url("http", node.status), admin_url(admin));
    info!(proxy, admin = admin_url, status, "ready: the gateway at {proxy}, the admin API at {admin_url}");
    let token_file = settings.path(&OPERATOR_TOKEN_FILE);
    let mut text = Screen::new();
    text.row("Gateway", &proxy, "what callers use");
    text.row("Web admin", &format!("{admin_url}/"), "sign in with the operator token");
    text.row("Admin API", &format!("{admin_url}/v1/"), "its reference: /docs");
    text.row("Node", &status, "/readyz /metrics /status");
    text.row("Data", &settings.path(&DATA_DIR).display().to_string(), "");
    text.token(&token_file, admin.first_token.as_deref());
    text.tour(&proxy, &admin_url, &token_file);
    text.show(settings, Beside::of(settings));
}

pub(super) fn control_plane(settings: &Settings, admin: &app::Ready) {
    let admin_url = admin_url(admin);
    let stream = admin.stream.map(|at| url("https", at)).unwrap_or_default();
    info!(admin = admin_url, stream, "ready: the admin API at {admin_url}, nodes join at {stream}");
    let join_token = settings.path(&JOIN_TOKEN_OUT);
    let mut text = Screen::new();
    text.row("Web admin", &format!("{admin_url}/"), "sign in with the operator token");
    text.row("Admin API", &format!("{admin_url}/v1/"), "its reference: /docs");
    text.row("Nodes join at", &stream, "");
    if let Some(status) = admin.status {
        text.row("Status", &url("http", status), "/readyz /metrics");
    }
    text.row("Join token", &join_token.display().to_string(), "");
    text.token(&settings.path(&OPERATOR_TOKEN_FILE), admin.first_token.as_deref());
    text.line("");
    text.line("Next, a node:");
    let join_token = quoted(&join_token);
    text.line(&format!(
        "  {} data-plane --control-plane {stream} --join-token-file {join_token} --data-dir ./node-1",
        me()
    ));
    text.show(settings, Beside::Nothing);
}

pub(super) fn data_plane(settings: &Settings, node: &node::Ready) {
    let (proxy, status) = (url("http", node.proxy), url("http", node.status));
    info!(proxy, status, "ready: the gateway at {proxy}");
    let mut text = Screen::new();
    text.row("Gateway", &proxy, "what callers use");
    text.row("Node", &status, "/readyz /metrics /status");
    text.row("Data", &settings.path(&DATA_DIR).display().to_string(), "");
    text.show(settings, Beside::of(settings));
}

/// What else goes to standard output.
#[derive(PartialEq, Eq)]
enum Beside {
    Nothing,
    AccessLog,
}

impl Beside {
    /// Of a server that is a node.
    fn of(settings: &Settings) -> Self {
        if settings.text(&ACCESS_LOG) == Some("stdout") { Beside::AccessLog } else { Beside::Nothing }
    }
}

struct Screen {
    text: String,
}

impl Screen {
    fn new() -> Self {
        Screen { text: format!("\nTidegate {} is ready.\n\n", env!("CARGO_PKG_VERSION")) }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn row(&mut self, what: &str, value: &str, note: &str) {
        let line = format!("  {what:<15} {value:<32} {note}");
        self.line(line.trim_end());
    }

    /// Where the operator's token is; the token itself only when it was just made, and only to a person.
    fn token(&mut self, file: &Path, first: Option<&str>) {
        self.row("Operator token", &file.display().to_string(), "readable by you only");
        if let (Some(token), true) = (first, std::io::stdout().is_terminal()) {
            self.row("", token, "shown this once");
        }
    }

    /// The first tour, with the addresses that this process has.
    fn tour(&mut self, proxy: &str, admin: &str, token_file: &Path) {
        let me = me();
        let mut options = String::new();
        if admin != crate::client::DEFAULT_ADMIN_URL {
            options.push_str(&format!(" --admin-url {admin}"));
        }
        if token_file != Path::new(crate::client::DEFAULT_TOKEN_FILE) {
            options.push_str(&format!(" --token-file {}", quoted(token_file)));
        }
        self.line("");
        self.line("Try next, in another terminal (with an API of your own at 127.0.0.1:9000):");
        let mut tide = |arguments: &str| self.text.push_str(&format!("  {me} {arguments}{options}\n"));
        tide(r#"put services/orders '{"url":"http://127.0.0.1:9000"}'"#);
        tide(r#"put routes/orders '{"service":"orders","match":{"path":"/orders"},"strip_prefix":true}'"#);
        tide(r#"put policies/orders-key '{"kind":"key-auth","scope":{"service":"orders"},"config":{}}'"#);
        tide(
            r#"put policies/orders-limit '{"kind":"rate-limit","scope":{"service":"orders"},"config":{"limits":[{"name":"burst","limit":5,"window":"1m","per":"consumer"}]}}'"#,
        );
        tide("put consumers/acme '{}'");
        tide("keys issue acme --label laptop --wait");
        self.line(&format!("  curl -i {proxy}/orders/1 -H 'X-Api-Key: <the key>'"));
        self.line("");
        self.line(&format!("`{me} status` shows what serves; `{me} --help` what else there is. Ctrl-C ends."));
    }

    /// For people. Who reads JSON lines finds the same in the log.
    fn show(&self, settings: &Settings, beside: Beside) {
        let out = std::io::stdout();
        if !out.is_terminal() && settings.text(&LOG_FORMAT) != Some("text") {
            return;
        }
        // nobody may be there to read it
        drop(if beside == Beside::AccessLog {
            // which is for lines of JSON then
            writeln!(std::io::stderr(), "{}", self.text)
        } else {
            let mut out = out.lock();
            writeln!(out, "{}", self.text).and_then(|()| out.flush())
        });
    }
}

fn admin_url(admin: &app::Ready) -> String {
    url(if admin.admin_tls { "https" } else { "http" }, admin.admin)
}

/// Where to reach a listener from this machine.
fn url(scheme: &str, at: SocketAddr) -> String {
    let ip = match at.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, at.port()))
}

/// How this program was called, so that its commands can be copied.
fn me() -> String {
    std::env::args_os().next().map_or_else(|| "tidegate".to_owned(), |arg| quoted(&PathBuf::from(arg)))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/~+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_can_be_called_from_here() {
        let of = |at: &str| url("http", at.parse().unwrap());
        assert_eq!(of("0.0.0.0:8000"), "http://127.0.0.1:8000");
        assert_eq!(of("[::]:8000"), "http://[::1]:8000");
        assert_eq!(of("10.0.0.1:8000"), "http://10.0.0.1:8000");
    }

    #[test]
    fn paths_can_be_pasted() {
        assert_eq!(quoted(Path::new("./data/operator-token")), "./data/operator-token");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
