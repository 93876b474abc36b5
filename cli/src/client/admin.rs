//! The admin API, as a client sees it.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Certificate, Client, ClientBuilder, Method, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::problem::Refused;
use super::profile::{Profile, Trust, is_loopback};
use super::tls::ByKey;
use super::{Common, Wait};

const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long an answer may take, beside what the control plane was asked to wait.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A list is read in pages of this many.
const PAGE: u32 = 1000;

/// The admin API of one control plane.
pub(super) struct Admin {
    http: Client,
    profile: Profile,
    token: String,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Null if there was no body.
    pub(super) body: Value,
    /// The revision that a write made.
    pub(super) revision: Option<u64>,
}

/// Which nodes serve a change.
#[derive(Debug, Deserialize)]
pub(super) struct Applied {
    pub(super) revision: u64,
    pub(super) complete: bool,
    pub(super) confirmed: Vec<String>,
    pub(super) behind: Vec<Behind>,
}

/// A node that does not serve a change yet.
#[derive(Debug, Deserialize)]
pub(super) struct Behind {
    pub(super) node: String,
    #[serde(default)]
    at: Option<Value>,
    #[serde(default)]
    reason: Option<String>,
}

impl Admin {
    /// Gets ready to ask; with `--trust` looks at the certificate first.
    pub(super) async fn connect(common: &Common) -> anyhow::Result<Self> {
        let mut profile = Profile::find(common)?;
        let token = profile.token()?;
        if profile.trust == Trust::AsShown {
            trust_as_shown(&mut profile).await?;
        }
        if profile.url.scheme() == "http" && !is_loopback(&profile.url) {
            eprintln!("warning: {} is not encrypted; whoever is in between can read the operator token", profile.url);
        }
        let http = client(&profile.url, &profile.trust)?;
        Ok(Admin { http, profile, token })
    }

    /// Reads.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        Ok(self.send(Method::GET, path, query, None, None).await?.body)
    }

    /// Reads a whole list, page by page.
    pub(super) async fn list(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE.to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            match page.get_mut("data").map(Value::take) {
                Some(Value::Array(data)) => all.extend(data),
                _ => bail!("the answer is no list"),
            }
            match page.get("next") {
                Some(Value::String(next)) => cursor = Some(next.clone()),
                _ => return Ok(all),
            }
        }
    }

    /// Writes. `if_match` is the revision of the resource that may be replaced.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
        wait: &Wait,
        if_match: Option<u64>,
    ) -> anyhow::Result<Answer> {
        let mut query = Vec::new();
        if wait.wait {
            query.push(("wait", "all".to_owned()));
            query.push(("timeout", wait.timeout.to_string()));
        }
        self.send(method, path, &query, body, if_match).await
    }

    /// Does what is no change of the configuration.
    pub(super) async fn act(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        Ok(self.send(method, path, &[], body, None).await?.body)
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
        if_match: Option<u64>,
    ) -> anyhow::Result<Answer> {
        let url = address(&self.profile.url, path, query);
        let waits = query
            .iter()
            .find(|(name, _)| *name == "timeout")
            .and_then(|(_, span)| span.parse::<tidegate_model::Span>().ok());
        let patience = ANSWER_MAX + waits.map_or(Duration::ZERO, tidegate_model::Span::duration);
        let mut request = self.http.request(method, url).bearer_auth(&self.token).timeout(patience);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(revision) = if_match {
            request = request.header("if-match", format!("\"{revision}\""));
        }
        let response = request.send().await.map_err(|error| unreachable(&self.profile, error))?;
        let status = response.status();
        let revision = response.headers().get("tidegate-revision").and_then(|v| v.to_str().ok()?.parse().ok());
        let bytes = response.bytes().await.context("the answer broke off")?;
        if !status.is_success() {
            let mut refused = Refused::read(status, &bytes);
            if status == StatusCode::UNAUTHORIZED {
                let place = self.profile.token_place();
                refused.hint =
                    format!("the token came from {place}; name another with --token-file or TIDEGATE_TOKEN_FILE");
            }
            return Err(refused.into());
        }
        let body = match bytes.as_ref() {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).with_context(|| format!("{} is no admin API", self.profile.url))?,
        };
        Ok(Answer { status, body, revision })
    }
}

impl Answer {
    /// Which nodes serve the change, if that was asked.
    pub(super) fn applied(&self) -> Option<Applied> {
        serde_json::from_value(self.body.get("applied")?.clone()).ok()
    }
}

impl std::fmt::Display for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.node)?;
        match (&self.at, &self.reason) {
            (_, Some(reason)) => write!(f, " ({reason})"),
            (Some(at), None) if !at.is_null() => write!(f, " (at {at})"),
            _ => Ok(()),
        }
    }
}

/// Each part of a path is one segment, whatever is in it.
fn address(base: &Url, path: &[&str], query: &[(&str, String)]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("http has a path").pop_if_empty().push("v1").extend(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

fn client(url: &Url, trust: &Trust) -> anyhow::Result<Client> {
    let builder = bare(url);
    let builder = match trust {
        // no roots are looked for, which a bare machine may not have
        _ if url.scheme() == "http" => builder.tls_certs_only([]),
        Trust::System => builder,
        Trust::Ca(file) => {
            let pem = std::fs::read(file).with_context(|| format!("--admin-ca {}", file.display()))?;
            let certs = Certificate::from_pem_bundle(&pem).with_context(|| format!("--admin-ca {}", file.display()))?;
            if certs.is_empty() {
                bail!("--admin-ca {}: there is no certificate in it", file.display());
            }
            builder.tls_certs_only(certs)
        }
        Trust::Pinned(pin) => builder.tls_backend_preconfigured(ByKey::pinned(pin).config()?),
        Trust::AsShown => bail!("nothing may be sent before the certificate is known"),
    };
    builder.build().context("the HTTP client could not be set up")
}

fn bare(url: &Url) -> ClientBuilder {
    // a redirect would carry the token elsewhere
    let builder = Client::builder().connect_timeout(CONNECT_MAX).redirect(redirect::Policy::none());
    let builder = builder.user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) { builder.no_proxy() } else { builder }
}

/// Looks at the key without sending anything of worth, keeps it, and from then on trusts it alone.
async fn trust_as_shown(profile: &mut Profile) -> anyhow::Result<()> {
    let any = ByKey::any();
    let http = bare(&profile.url)
        .tls_backend_preconfigured(any.config()?)
        .build()
        .context("the HTTP client could not be set up")?;
    let mut url = profile.url.clone();
    url.path_segments_mut().expect("https has a path").pop_if_empty().push("healthz");
    http.get(url).timeout(ANSWER_MAX).send().await.map_err(|error| unreachable(profile, error))?;
    let pin = any.seen().context("it showed no certificate")?;
    let file = profile.keep_pin(&pin)?;
    eprintln!("{} is trusted by its key {pin}, kept in {}", profile.url, file.display());
    Ok(())
}

/// No answer at all: says why, and what may help.
fn unreachable(profile: &Profile, error: reqwest::Error) -> anyhow::Error {
    let url = &profile.url;
    let timed_out = error.is_timeout();
    let error = anyhow!(error.without_url());
    // the layers of the HTTP client above the cause say nothing
    let layers = ["error sending request", "client error (Connect)", "unexpected error"];
    let causes = error.chain().map(ToString::to_string);
    let causes: Vec<_> = causes.filter(|cause| !layers.contains(&cause.as_str())).collect();
    let why = causes.join(": ");
    let certificate = ["certificate", "the profile trusts"].iter().any(|word| why.contains(word));
    match &profile.trust {
        Trust::Pinned(_) if certificate => anyhow!(
            "the control plane at {url} is not the one that was trusted: {why}\n  \
             If its key was renewed, compare fingerprints and use --trust once; if not, somebody is in between"
        ),
        Trust::Ca(file) if certificate => {
            anyhow!("the certificate of {url} is not signed by {}: {why}", file.display())
        }
        _ if certificate => anyhow!(
            "the certificate of {url} is not trusted: {why}\n  \
             Name its authority with --admin-ca FILE; or, if the control plane made it itself, use --trust once"
        ),
        _ if timed_out => anyhow!("the control plane at {url} did not answer in time: {why}"),
        _ => anyhow!(
            "the control plane at {url} cannot be reached: {why}\n  \
             Is it running? Name another with --admin-url or TIDEGATE_ADMIN_URL"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_stays_one_part() {
        let base = Url::parse("http://h:1/t/").unwrap();
        assert_eq!(address(&base, &["services", "a/b?c"], &[]).as_str(), "http://h:1/t/v1/services/a%2Fb%3Fc");
        let query = [("wait", "all".to_owned())];
        assert_eq!(address(&base, &["services"], &query).as_str(), "http://h:1/t/v1/services?wait=all");
    }
}
