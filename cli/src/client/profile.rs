//! What a client needs to know: flags, then the environment, then the profile, then the defaults.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::Common;

/// Where `tidegate standalone` serves its admin API.
pub(crate) const DEFAULT_ADMIN_URL: &str = "http://127.0.0.1:8001";

/// Where `tidegate standalone` writes the first token.
pub(crate) const DEFAULT_TOKEN_FILE: &str = "./data/operator-token";

/// What is kept between calls.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Stored {
    /// Where the admin API is.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_url: Option<String>,
    /// The file with the operator's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    /// The key that each control plane is known by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    trusted: BTreeMap<String, String>,
}

/// What holds for this call.
pub(super) struct Profile {
    pub(super) url: Url,
    pub(super) trust: Trust,
    token: Token,
    file: Option<PathBuf>,
    stored: Stored,
}

/// How to know the control plane over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// By what the machine trusts.
    System,
    /// By these certificates alone.
    Ca(PathBuf),
    /// By the fingerprint of its key.
    Pinned(String),
    /// By whatever it shows now, to be kept.
    AsShown,
}

enum Token {
    Given(String),
    In(PathBuf),
}

impl Profile {
    /// Looks everywhere.
    pub(super) fn find(common: &Common) -> anyhow::Result<Self> {
        let file =
            common.profile.clone().or_else(|| variable("TIDEGATE_PROFILE").map(PathBuf::from)).or_else(usual_file);
        let stored = match &file {
            Some(file) => read(file).with_context(|| format!("the profile {}", file.display()))?,
            None => Stored::default(),
        };
        let url = first([common.admin_url.clone(), variable("TIDEGATE_ADMIN_URL"), stored.admin_url.clone()]);
        let url = admin_url(url.as_deref().unwrap_or(DEFAULT_ADMIN_URL))?;
        let ca = common.admin_ca.clone().or_else(|| variable("TIDEGATE_ADMIN_CA").map(PathBuf::from));
        let trust = match (common.trust, ca, stored.trusted.get(&origin(&url))) {
            (true, _, _) if url.scheme() == "http" => bail!("--trust is for https; {url} has no certificate"),
            (true, _, _) => Trust::AsShown,
            (_, Some(ca), _) => Trust::Ca(ca),
            (_, _, Some(pin)) => Trust::Pinned(pin.clone()),
            _ => Trust::System,
        };
        let token_file = || variable("TIDEGATE_TOKEN_FILE").map(PathBuf::from).or_else(|| stored.token_file.clone());
        let token = match (&common.token_file, variable("TIDEGATE_TOKEN")) {
            (Some(file), _) => Token::In(file.clone()),
            (None, Some(token)) => Token::Given(token),
            (None, None) => Token::In(token_file().unwrap_or_else(|| DEFAULT_TOKEN_FILE.into())),
        };
        Ok(Profile { url, trust, token, file, stored })
    }

    /// The operator's token.
    pub(super) fn token(&self) -> anyhow::Result<String> {
        let (token, place) = match &self.token {
            Token::Given(token) => (token.clone(), "TIDEGATE_TOKEN".to_owned()),
            Token::In(file) => {
                let read = std::fs::read_to_string(file).with_context(|| {
                    let file = file.display();
                    format!("no operator token in {file}; name its file with --token-file or TIDEGATE_TOKEN_FILE")
                });
                (read?, file.display().to_string())
            }
        };
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            bail!("{place} holds no operator token");
        }
        Ok(token.to_owned())
    }

    /// Where the token comes from, for a message.
    pub(super) fn token_place(&self) -> String {
        match &self.token {
            Token::Given(_) => "TIDEGATE_TOKEN".to_owned(),
            Token::In(file) => file.display().to_string(),
        }
    }

    /// Keeps the key that this control plane is known by.
    pub(super) fn keep_pin(&mut self, pin: &str) -> anyhow::Result<PathBuf> {
        let Some(file) = self.file.clone() else {
            bail!("there is no home to keep a profile in; name one with --profile")
        };
        self.stored.trusted.insert(origin(&self.url), pin.to_owned());
        write(&file, &self.stored).with_context(|| format!("the profile {} cannot be written", file.display()))?;
        self.trust = Trust::Pinned(pin.to_owned());
        Ok(file)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn first<const N: usize>(sources: [Option<String>; N]) -> Option<String> {
    sources.into_iter().flatten().next()
}

fn usual_file() -> Option<PathBuf> {
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let config = config.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(config.join("tidegate/profile.yaml"))
}

fn read(file: &Path) -> anyhow::Result<Stored> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(serde_saphyr::from_str::<Option<Stored>>(&text)?.unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Stored::default()),
        Err(error) => Err(error.into()),
    }
}

/// Beside it and then renamed, so that no reader meets half a profile.
fn write(file: &Path, stored: &Stored) -> anyhow::Result<()> {
    use std::io::Write as _;
    if let Some(dir) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let next = file.with_extension(format!("{}.tmp", std::process::id()));
    let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    out.write_all(serde_saphyr::to_string(stored)?.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&next, file)?;
    Ok(())
}

/// Where the admin API is; a path in front of it is kept.
fn admin_url(text: &str) -> anyhow::Result<Url> {
    let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url
        .as_mut()
        .with_context(|| format!("`{text}` is not the address of an admin API, such as {DEFAULT_ADMIN_URL}"))?;
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url.clone())
}

/// Scheme, host and port: what a fingerprint belongs to.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Whether an address is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_written_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/profile.yaml");
        let trusted = BTreeMap::from([("https://h:8001".to_owned(), "sha256:00ff".to_owned())]);
        write(&file, &Stored { admin_url: Some("https://h:8001".into()), token_file: None, trusted }).unwrap();
        let back = read(&file).unwrap();
        assert_eq!(back.admin_url.as_deref(), Some("https://h:8001"));
        assert_eq!(back.trusted["https://h:8001"], "sha256:00ff");
        assert!(read(&dir.path().join("missing")).unwrap().trusted.is_empty());
        std::fs::write(&file, "admin_url: x\n").unwrap();
        assert!(read(&file).is_err(), "a key that means nothing is refused");
    }

    #[test]
    fn an_admin_url_is_http_and_may_have_a_path() {
        assert_eq!(admin_url("http://h:1/t").unwrap().as_str(), "http://h:1/t/");
        assert!(admin_url("h:8001").is_err());
        assert!(admin_url("ftp://h").is_err());
    }
}
