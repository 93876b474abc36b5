//! Runs the programs of a composition: over the bodies of its steps, small ones at once and others off the worker.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use tidegate_policy::expression::decode;
use tidegate_policy::jq::{Bounds, Jq, JqError, Json};
use tidegate_policy::{Subject, computed};
use tidegate_snapshot::compose::Program;

use super::run::{Part, Run};

/// What is read, or gone through by a program, without leaving the worker: about 100 µs.
pub(super) const INLINE_BYTES_MAX: usize = 16 << 10;

/// What the body of an answer, or of a call, may be.
const OUTPUT_BYTES_MAX: usize = 8 << 20;

/// Why a program gave nothing.
pub(super) enum NoBody {
    Program(JqError),
    Busy,
}

/// What a program sees of a step.
struct Input {
    name: Box<str>,
    status: Option<u16>,
    error: Option<&'static str>,
    body: Option<Bytes>,
}

/// Runs a program over some steps.
pub(super) async fn run<'a>(
    run: &Run,
    program: &Program,
    parts: impl Iterator<Item = &'a Part>,
) -> Result<Bytes, NoBody> {
    let inputs: Vec<Input> = parts
        .map(|part| Input {
            name: part.name.clone(),
            status: part.status(),
            error: part.error(),
            body: part.body.clone(),
        })
        .collect();
    let bytes: usize = inputs.iter().filter_map(|input| input.body.as_ref()).map(Bytes::len).sum();
    let facts = [request(run), captures(run), principal(run)];
    let jq = program.jq.clone();
    let work = move || filtered(&jq, &facts, &inputs, bytes);
    let made = match bytes <= INLINE_BYTES_MAX {
        true => work(),
        false => computed(&*run.worker.ports().compute, work).await.map_err(|_| NoBody::Busy)?,
    };
    made.map(Bytes::from).map_err(NoBody::Program)
}

fn filtered(jq: &Jq, facts: &[Value], inputs: &[Input], bytes: usize) -> Result<Vec<u8>, JqError> {
    let bounds = Bounds { input_bytes: bytes, output_bytes: OUTPUT_BYTES_MAX, ..Bounds::default() };
    let (mut bodies, mut steps) = (Vec::new(), Vec::new());
    for input in inputs {
        let body = input.body.as_ref().map(|body| Json::read(body, &bounds)).transpose()?;
        let told = json!({ "status": input.status, "error": input.error });
        let seen = [
            ("status", Json::from(&told["status"])),
            ("error", Json::from(&told["error"])),
            ("body", body.clone().unwrap_or_default()),
        ];
        steps.push((&*input.name, Json::object(seen)));
        bodies.extend(body.map(|body| (&*input.name, body)));
    }
    let mut variables: Vec<Json> = facts.iter().map(Json::from).collect();
    variables.push(Json::object(steps));
    jq.run(Json::object(bodies), variables, &bounds)
}

/// As expressions see them, so that both speak of the same.
fn request(run: &Run) -> Value {
    let head = &run.head;
    let query = head.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty());
    let mut pairs = Map::new();
    for pair in query {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.entry(decode(name, true)).or_insert_with(|| decode(value, true).into());
    }
    let host = head.headers.get(http::header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    json!({
        "method": head.method.as_str(),
        "path": head.path(),
        "query": pairs,
        "headers": headers(&head.headers),
        "host": host,
        "client_ip": run.cx.client.to_string(),
        "id": run.cx.request_id.as_str(),
    })
}

fn headers(all: &HeaderMap) -> Value {
    let joined = |name| {
        let values: Vec<_> = all.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        values.join(", ")
    };
    Value::Object(all.keys().map(|name| (name.as_str().to_owned(), joined(name).into())).collect())
}

fn captures(run: &Run) -> Value {
    Value::Object(run.cx.captures.iter().map(|(name, value)| (name.to_owned(), decode(value, false).into())).collect())
}

fn principal(run: &Run) -> Value {
    let principal = &run.cx.principal;
    let (kind, subject) = match &principal.subject {
        Subject::Anonymous => ("anonymous", None),
        Subject::Consumer(_) => ("consumer", None),
        Subject::External(subject) => ("external", Some(&**subject)),
    };
    let consumer = principal.consumer().map(|consumer| json!({ "id": consumer.id.to_string(), "name": consumer.name }));
    let groups: Vec<_> = principal.groups().filter_map(|id| run.cx.directory.group_name(id)).collect();
    json!({
        "kind": kind,
        "subject": subject,
        "consumer": consumer,
        "credential": principal.credential.map(|id| id.to_string()),
        "groups": groups.iter().map(|group| &**group).collect::<Vec<&str>>(),
        "scopes": principal.scopes.iter().map(|scope| &**scope).collect::<Vec<&str>>(),
        "claims": principal.claims.as_deref(),
    })
}
