//! Issues what is shown once: consumers' keys, operators' tokens, join tokens.

use std::sync::Arc;

use aws_lc_rs::{hmac, rand};
use futures_util::FutureExt;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_model::{
    CredentialKind, Instant, Kind, Problems, Reference, Resource, Sha256, Spec, TokenKind, hint, write_token,
};
use tidegate_proto::join::JoinToken;

use super::answer::{Answer, ErrorCode, Fault};
use super::call::Call;
use super::credentials;
use super::operations::{Handler, Operation, Shape, filter_parameters, page_parameters, reference, write_parameters};
use super::resources::{deleting, item_parameter, page_of_referrers, shown, write, write_and_show};
use crate::changes::Wish;

/// What is issued under whom.
pub(super) struct Issued {
    kind: Kind,
    under: Kind,
    /// The part of the path, and of operation ids.
    part: &'static str,
    /// What the path calls the id of one.
    parameter: &'static str,
    one: &'static str,
    many: &'static str,
    tag: &'static str,
    type_name: &'static str,
    issued: &'static str,
    request: &'static str,
    issue: Handler,
}

const KEYS: Issued = Issued {
    kind: Kind::Credential,
    under: Kind::Consumer,
    part: "keys",
    parameter: "key",
    one: "Key",
    many: "Keys",
    tag: "Credentials",
    type_name: "Credential",
    issued: "IssuedKey",
    request: "KeyRequest",
    issue: |c| credentials::issue_key(c).boxed(),
};

const BASIC: Issued = Issued {
    kind: Kind::Credential,
    under: Kind::Consumer,
    part: "basic-credentials",
    parameter: "credential",
    one: "BasicCredential",
    many: "BasicCredentials",
    tag: "Credentials",
    type_name: "Credential",
    issued: "Credential",
    request: "BasicRequest",
    issue: |c| credentials::issue_basic(c).boxed(),
};

const TOKENS: Issued = Issued {
    kind: Kind::OperatorToken,
    under: Kind::Operator,
    part: "tokens",
    parameter: "token",
    one: "Token",
    many: "Tokens",
    tag: "Operators",
    type_name: "OperatorToken",
    issued: "IssuedOperatorToken",
    request: "TokenRequest",
    issue: |c| issue_operator_token(c).boxed(),
};

/// What may be said of a key or token that is issued.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    /// For people.
    #[schemars(length(max = 200))]
    label: Option<String>,
    /// From when on it is refused. Absent: never.
    expires_at: Option<Instant>,
}

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = KEYS.operations();
    operations.extend(BASIC.operations());
    operations.extend(TOKENS.operations());
    operations.extend(credentials::operations());
    operations.push(
        Operation::new(Method::POST, "/v1/join-tokens", "createJoinToken", |c| issue_join_token(c).boxed())
            .about("Nodes", "Issue a token that nodes join with; it is shown this once")
            .kind(Kind::JoinToken)
            .takes(&write_parameters())
            .body(Shape::Named("TokenRequest".into()))
            .answers(201, "It was issued.", Shape::Named("IssuedJoinToken".into()))
            .errors(&[ErrorCode::Conflict]),
    );
    operations
}

impl Issued {
    fn operations(&self) -> Vec<Operation> {
        let Issued { kind, under, part, parameter, one, many, tag, type_name, issued, request, issue } = *self;
        let list = format!("/v1/{}/{{ref}}/{part}", under.collection());
        let item = format!("{list}/{{{parameter}}}");
        let (what, whose) = (words(one), under.as_str());
        let once = if issued == type_name { "" } else { "; it is shown this once" };
        let of = if under == Kind::Consumer { "Consumer" } else { "Operator" };
        vec![
            Operation::new(Method::GET, list.clone(), format!("list{many}Of{of}"), |c| list_of(c).boxed())
                .about(tag, format!("List the {what}s of {} {whose}", article(whose)))
                .takes(&[reference()])
                .takes(&page_parameters())
                .takes(&filter_parameters())
                .answers(200, "A page of them, by age.", Shape::Page(type_name.to_owned())),
            Operation::new(Method::POST, list, format!("create{one}Of{of}"), issue)
                .about(tag, format!("Issue a {what} for {} {whose}{once}", article(whose)))
                .takes(&[reference()])
                .takes(&write_parameters())
                .body(Shape::Named(request.to_owned()))
                .answers(201, "It was issued.", Shape::Named(issued.to_owned()))
                .errors(&[ErrorCode::Conflict]),
            Operation::new(Method::GET, item.clone(), format!("get{one}Of{of}"), |c| read(c).boxed())
                .about(tag, format!("Read a {what} of {} {whose}", article(whose)))
                .takes(&[reference(), item_parameter(parameter)])
                .answers(200, "This is it.", Shape::Named(type_name.to_owned())),
            deleting(Operation::new(Method::DELETE, item, format!("delete{one}Of{of}"), |c| revoke(c).boxed()))
                .about(tag, format!("Revoke a {what} of {} {whose}: it is refused from then on", article(whose)))
                .takes(&[reference(), item_parameter(parameter)]),
        ]
        .into_iter()
        .map(|operation| operation.kind(kind))
        .collect()
    }
}

/// `BasicCredential` in words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// What the path says of keys, tokens and basic credentials.
fn of_path(call: &Call) -> &'static Issued {
    let is_of = |issued: &&&'static Issued| call.operation.path.contains(&format!("/{}", issued.part));
    [&BASIC, &TOKENS].iter().find(is_of).copied().unwrap_or(&KEYS)
}

impl Issued {
    /// Whether a resource is one of these: keys and basic credentials are of one kind.
    fn is_one(&self, resource: &Resource) -> bool {
        match &resource.spec {
            Spec::Credential(credential) => (credential.kind == CredentialKind::Basic) == (self.part == BASIC.part),
            _ => true,
        }
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with('o') { "an" } else { "a" }
}

async fn list_of(call: Call) -> Result<Answer, Fault> {
    let of = of_path(&call);
    let owner = call.resource("ref", of.under)?;
    page_of_referrers(&call, owner.id, |row| of.is_one(row)).await
}

async fn read(call: Call) -> Result<Answer, Fault> {
    let resource = issued(&call)?;
    Ok(shown(&call, &resource).await)
}

async fn revoke(call: Call) -> Result<Answer, Fault> {
    let target = match issued(&call) {
        Ok(resource) => Reference::Id(resource.id),
        // asked for again under its key, it is gone already
        Err(gone) => {
            let target = call.reference(of_path(&call).parameter, call.kind())?;
            if call.change_id()?.is_none() || call.now.config().find(call.kind(), &target).is_some() {
                return Err(gone);
            }
            target
        }
    };
    write(call, Wish::Delete(target)).await
}

/// The key or token of the path, if it is of the owner in the path.
pub(super) fn issued(call: &Call) -> Result<Arc<Resource>, Fault> {
    let of = of_path(call);
    let owner = call.resource("ref", of.under)?;
    let resource = call.resource(of.parameter, call.kind())?;
    let is_of =
        of.is_one(&resource) && resource.spec.owners().iter().any(|(_, _, reference)| reference.id() == Some(owner.id));
    if is_of {
        return Ok(resource);
    }
    let detail = format!("{} `{}` has no {} `{}`", owner.kind(), owner.label(), call.kind(), resource.id);
    Err(Fault::new(ErrorCode::NotFound, detail))
}

async fn issue_operator_token(call: Call) -> Result<Answer, Fault> {
    let owner = call.resource("ref", Kind::Operator)?;
    let request: TokenRequest = call.read()?;
    let token = write_token(TokenKind::Operator, &token_bits(&call, &owner.id.to_string())?);
    let mut document = json!({ "operator": owner.id });
    describe(&mut document, request, "token_hash", &token)?;
    write_and_show(call, Wish::Create(document), |answer| {
        answer.insert("token".into(), json!(token));
    })
    .await
}

async fn issue_join_token(call: Call) -> Result<Answer, Fault> {
    let request: TokenRequest = call.read()?;
    let secret = write_token(TokenKind::Join, &token_bits(&call, "join")?);
    let mut document = json!({});
    describe(&mut document, request, "token_hash", &secret)?;
    let token = JoinToken { secret, ca_key: call.api.authority }.to_string();
    write_and_show(call, Wish::Create(document), |answer| {
        answer.insert("token".into(), json!(token));
    })
    .await
}

fn describe(document: &mut Value, request: TokenRequest, hash_field: &str, token: &str) -> Result<(), Fault> {
    let mut problems = Problems::new();
    check_end(request.expires_at, &mut problems);
    problems.or(()).map_err(Fault::invalid)?;
    document[hash_field] = json!(Sha256::of(token.as_bytes()));
    document["hint"] = json!(hint(token));
    if let Some(label) = request.label {
        document["label"] = json!(label);
    }
    if let Some(expires_at) = request.expires_at {
        document["expires_at"] = json!(expires_at);
    }
    Ok(())
}

pub(super) fn now() -> Instant {
    Instant::from_millis(chrono::Utc::now().timestamp_millis())
}

/// What is issued must not have ended already.
pub(super) fn check_end(expires_at: Option<Instant>, problems: &mut Problems) {
    if expires_at.is_some_and(|expires| expires <= now()) {
        problems.add_at("expires_at", "out_of_range", "must be in the future");
    }
}

/// 256 random bits; under an idempotency key the same ones for the same operator, so that a lost answer can be had again.
pub(super) fn token_bits(call: &Call, whose: &str) -> Result<[u8; 32], Fault> {
    let mut bits = [0; 32];
    match call.change_id()? {
        None => rand::fill(&mut bits).expect("the system gives randomness"),
        Some(id) => {
            let text = format!("{}\0{whose}\0{id}", call.kind());
            bits.copy_from_slice(hmac::sign(&call.api.issuing, text.as_bytes()).as_ref());
        }
    }
    Ok(bits)
}
