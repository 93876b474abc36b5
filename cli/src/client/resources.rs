//! `tidegate get`, `put` and `delete`: any resource by its collection and name.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tidegate_model::Kind;

use super::output::{self, Output, field};
use super::{Admin, Common, Wait};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tidegate get services\n  tidegate get routes/orders\n  tidegate get consumers --tag beta --output json"
)]
pub(crate) struct Get {
    /// `services` for all, `services/orders` for one; nested lists as in the admin API: `consumers/acme/keys`
    path: String,
    /// Only those with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only those with this text in their name or description
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate put services/orders '{\"url\": \"http://127.0.0.1:9000\"}'\n  \
    tidegate put routes/orders -f route.yaml --wait\n  \
    tidegate get routes/orders --output json | jq '.priority = 10' | tidegate put routes/orders -f -\n\n\
    What is not in the document goes back to its default: a put replaces.")]
pub(crate) struct Put {
    /// Which resource: `services/orders`
    path: String,
    /// The document, JSON or YAML
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    document: Option<String>,
    /// Read the document from a file, `-` for standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<String>,
    /// Only if the resource still is at this revision
    #[arg(long, value_name = "REVISION")]
    if_match: Option<u64>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate delete routes/orders\n  tidegate delete nodes/eu-1 --wait")]
pub(crate) struct Delete {
    /// Which resource: `services/orders`
    path: String,
    /// Only if the resource still is at this revision
    #[arg(long, value_name = "REVISION")]
    if_match: Option<u64>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    common: Common,
}

impl Get {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let path = parts(&self.path)?;
        let admin = Admin::connect(&self.common).await?;
        // collections and resources take turns: services / orders / ...
        if path.len().is_multiple_of(2) {
            let resource = admin.get(&path, &[]).await?;
            return match self.common.output {
                Output::Json => output::json(&resource),
                Output::Table => super::print(&one(&resource)),
            };
        }
        let mut query = Vec::new();
        query.extend(self.tag.map(|tag| ("tag", tag)));
        query.extend(self.search.map(|text| ("q", text)));
        let all = admin.list(&path, &query).await?;
        match self.common.output {
            Output::Json => output::json(&Value::Array(all)),
            Output::Table => super::print(&many(&all)),
        }
    }
}

impl Put {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let path = resource(&self.path)?;
        let document = document(self.document.as_deref(), self.file.as_deref())?;
        let admin = Admin::connect(&self.common).await?;
        let answer = admin.write(Method::PUT, &path, Some(&document), &self.wait, self.if_match).await?;
        match self.common.output {
            Output::Json => output::json(&answer.body)?,
            Output::Table => {
                let done = if answer.status == StatusCode::CREATED { "created" } else { "updated" };
                super::print(&format!("{} {done}{}\n", path.join("/"), output::at(&answer)))?;
            }
        }
        output::tell_applied(&answer, self.common.output)
    }
}

impl Delete {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let path = parts(&self.path)?;
        if !path.len().is_multiple_of(2) {
            bail!("`{}` names a whole collection; name one resource: `{}/NAME`", self.path, self.path);
        }
        let admin = Admin::connect(&self.common).await?;
        let answer = admin.write(Method::DELETE, &path, None, &self.wait, self.if_match).await?;
        output::tell_deleted(&path.join("/"), "deleted", &answer, self.common.output)
    }
}

/// The parts of a path, its collection by the name that the admin API has for it: `service/orders` will do as well.
fn parts(path: &str) -> anyhow::Result<Vec<&str>> {
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        bail!("`{path}` does not read `collection` or `collection/name`");
    }
    let named = |word: &str| Kind::ALL.into_iter().find(|kind| word == kind.collection() || word == kind.as_str());
    match named(parts[0]) {
        Some(kind) => parts[0] = kind.collection(),
        // lists that are no resources
        None if ["revisions", "policy-kinds"].contains(&parts[0]) => {}
        None => {
            let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.collection()).collect();
            let near = all.iter().max_by(|a, b| likeness(parts[0], a).total_cmp(&likeness(parts[0], b)));
            match near.filter(|near| likeness(parts[0], near) > 0.85) {
                Some(near) => bail!("there is no collection `{}`; did you mean `{near}`?", parts[0]),
                None => bail!("there is no collection `{}`; there are {}", parts[0], all.join(", ")),
            }
        }
    }
    Ok(parts)
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(a, b)
}

fn resource(path: &str) -> anyhow::Result<Vec<&str>> {
    let parts = parts(path)?;
    if parts.len() != 2 {
        bail!("`{path}` does not name one resource, as `services/orders` does");
    }
    Ok(parts)
}

fn document(given: Option<&str>, file: Option<&str>) -> anyhow::Result<Value> {
    let (text, place) = match (given, file) {
        (Some(text), _) => (text.to_owned(), "the document".to_owned()),
        (None, Some("-")) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
            (text, "standard input".to_owned())
        }
        // as with other tools' -f, a document in place of its file
        (None, Some(text)) if text.trim_start().starts_with('{') => (text.to_owned(), "the document".to_owned()),
        (None, Some(file)) => (std::fs::read_to_string(file).with_context(|| file.to_owned())?, file.to_owned()),
        (None, None) => bail!("no document was given"),
    };
    let value = match serde_json::from_str(&text) {
        Ok(value) => value,
        // what begins as JSON is meant as JSON, and its parser says best what is wrong
        Err(error) if text.trim_start().starts_with('{') => bail!("{place} is not JSON: {error}"),
        Err(_) => {
            serde_saphyr::from_str::<Value>(&text).with_context(|| format!("{place} is neither JSON nor YAML"))?
        }
    };
    if !value.is_object() {
        bail!("{place} is no object of fields and values");
    }
    Ok(value)
}

/// One resource, a field a line.
fn one(resource: &Value) -> String {
    let fields = resource.as_object();
    let width = fields.into_iter().flatten().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines =
        fields.into_iter().flatten().map(|(name, value)| format!("{name:width$}  {}\n", output::cell(Some(value))));
    lines.collect()
}

/// Many resources: what tells them apart, then what they say.
fn many(all: &[Value]) -> String {
    const ASIDE: [&str; 6] = ["id", "name", "revision", "created_at", "updated_at", "description"];
    const WIDEST: usize = 60;
    let rows = all.iter().map(|resource| {
        let name = field(resource, "name");
        let name = if name.is_empty() { field(resource, "id") } else { name };
        let fields = resource.as_object().into_iter().flatten();
        let own = fields.filter(|(key, _)| !ASIDE.contains(&key.as_str()));
        let own: Vec<String> = own.map(|(key, value)| format!("{key}={}", output::cell(Some(value)))).collect();
        let mut own = own.join(" ");
        if let Some((cut, _)) = own.char_indices().nth(WIDEST) {
            own.truncate(cut);
            own.push('…');
        }
        vec![name, field(resource, "revision"), own]
    });
    output::table(&["NAME", "REVISION", "DOCUMENT"], rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn collections_go_by_both_their_names_and_slips_are_named() {
        assert_eq!(parts("service/orders").unwrap(), ["services", "orders"]);
        assert_eq!(parts("/consumers/acme/keys/").unwrap(), ["consumers", "acme", "keys"]);
        assert!(parts("servcies").unwrap_err().to_string().contains("did you mean `services`"));
        assert!(parts("things").unwrap_err().to_string().contains("there are upstreams, services"));
        assert!(parts("services//x").is_err());
        assert!(resource("services").unwrap_err().to_string().contains("one resource"));
    }

    #[test]
    fn documents_are_json_or_yaml() {
        let wanted = json!({"url": "http://h"});
        assert_eq!(document(Some(r#"{"url": "http://h"}"#), None).unwrap(), wanted);
        assert_eq!(document(Some("url: http://h"), None).unwrap(), wanted);
        assert_eq!(document(None, Some(r#"{"url": "http://h"}"#)).unwrap(), wanted);
        assert!(document(Some("{\"url\": }"), None).unwrap_err().to_string().contains("not JSON"));
        assert!(document(Some("[1]"), None).unwrap_err().to_string().contains("no object"));
        assert!(format!("{:#}", document(None, Some("/nowhere.yaml")).unwrap_err()).contains("/nowhere.yaml"));
    }
}
