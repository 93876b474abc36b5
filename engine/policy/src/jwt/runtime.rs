//! The built policy.
//!
//! The order is that of cost and of trust: length, form, header, algorithm, signature, and only then the claims.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tidegate_model::Id;

use super::algorithm::Algorithm;
use super::claims::{Checks, ClaimPath, Wrong, scopes, texts};
use super::config::ConsumerBy;
use super::key_set::Candidates;
use super::keys::{Keys, Look, look};
use super::place::{Places, Shown};
use super::token::{Flaw, Token};
use super::verified::{Mark, Verified, mark};
use crate::{
    AuthAnswer, Authentication, Authenticator, Awaited, Blame, PolicyError, Principal, Refusal, Reply, RequestContext,
    RequestHead, Subject, computed,
};

pub(super) struct JwtAuthenticator {
    /// Tells it from any other that was built in this process.
    pub(super) serial: u64,
    pub(super) places: Places,
    pub(super) forward: bool,
    pub(super) bytes_max: usize,
    pub(super) keys: Keys,
    /// Empty: those that fit the keys.
    pub(super) algorithms: Box<[Algorithm]>,
    pub(super) types: Box<[String]>,
    pub(super) checks: Checks,
    pub(super) leeway: Duration,
    pub(super) subject: ClaimPath,
    pub(super) groups: Option<ClaimPath>,
    pub(super) consumer: ConsumerBy,
    pub(super) challenges: Challenges,
}

/// What `WWW-Authenticate` says (RFC 6750 §3).
pub(super) struct Challenges {
    /// To who shows nothing.
    pub(super) plain: HeaderValue,
    pub(super) invalid: HeaderValue,
    pub(super) scope: HeaderValue,
}

/// The most groups of a token that are looked up.
const GROUPS_MAX: usize = 64;

/// How often keys are looked at anew for one token.
const ROUNDS_MAX: usize = 2;

const SEVERAL: Refusal = Refusal { code: "invalid_credentials", detail: "the request shows more than one token" };
const NO_KEY: &str = "no key that is known here signed the token";

impl JwtAuthenticator {
    /// Why a token is refused.
    fn invalid(&self, detail: &'static str) -> Authentication {
        let reply = Reply::new(StatusCode::UNAUTHORIZED, "invalid_credentials", detail, Blame::Downstream);
        Authentication::Refused(Box::new(reply.with_header(WWW_AUTHENTICATE, self.challenges.invalid.clone())))
    }

    fn flawed(&self, flaw: Flaw) -> Authentication {
        self.invalid(flaw.detail())
    }

    fn wrong(&self, wrong: Wrong) -> Authentication {
        let reply = match wrong {
            Wrong::Token(detail) => return self.invalid(detail),
            Wrong::Scope => {
                let detail = "the token's scopes are not enough for this request";
                Reply::new(StatusCode::FORBIDDEN, "insufficient_scope", detail, Blame::Downstream)
                    .with_header(WWW_AUTHENTICATE, self.challenges.scope.clone())
            }
            Wrong::Claim => {
                let detail = "the token lacks a claim that this request needs";
                Reply::new(StatusCode::FORBIDDEN, "insufficient_claims", detail, Blame::Downstream)
            }
        };
        Authentication::Refused(Box::new(reply))
    }

    fn token<'a>(&self, text: &'a [u8]) -> Result<Token<'a>, Authentication> {
        let token = Token::read(text, self.bytes_max).map_err(|flaw| self.flawed(flaw))?;
        if !self.algorithms.is_empty() && !self.algorithms.contains(&token.algorithm) {
            return Err(self.flawed(Flaw::Algorithm));
        }
        if !self.types.is_empty() && !token.typ.as_deref().is_some_and(|typ| self.takes(typ)) {
            return Err(self.invalid("the token is of another type"));
        }
        Ok(token)
    }

    fn takes(&self, typ: &str) -> bool {
        // RFC 7515 §4.1.9: what has no slash means a subtype of `application`
        let short = |typ: &str| typ.to_ascii_lowercase().trim_start_matches("application/").to_owned();
        self.types.iter().any(|own| short(own) == short(typ))
    }

    /// Looks at it again with a newer set of keys, or off the worker.
    async fn later(
        &self,
        token: Token<'_>,
        text_bytes: usize,
        first: Look,
        first_version: Option<u64>,
        mark_of: impl Fn(u64) -> Mark,
        cx: &RequestContext,
    ) -> Authentication {
        let (mut found, mut version) = (first, first_version);
        for _ in 0..=ROUNDS_MAX {
            found = match found {
                Look::Slow(candidates) => match self.computed(candidates, &token, cx).await {
                    Ok(found) => found,
                    Err(error) => return Authentication::CannotDecide(error),
                },
                other => other,
            };
            match found {
                Look::Signed => {
                    let mark = version.map(&mark_of);
                    return self.admit(&token, mark, text_bytes, cx);
                }
                Look::Forged => return self.invalid(NO_KEY),
                Look::Missing | Look::Slow(_) => {}
            }
            match self.keys.newer(version, &cx.ports).await {
                Awaited::Keys(set) => {
                    version = Some(set.version());
                    found = look(&set, &token);
                }
                Awaited::NothingNew => return self.invalid(NO_KEY),
                Awaited::Unreachable => {
                    return Authentication::CannotDecide(PolicyError("the keys of the issuer can't be had".into()));
                }
            }
        }
        self.invalid(NO_KEY)
    }

    async fn computed(
        &self,
        candidates: Candidates,
        token: &Token<'_>,
        cx: &RequestContext,
    ) -> Result<Look, PolicyError> {
        let (algorithm, keys) = (token.algorithm, candidates.keys.clone());
        let (text, signature) = (token.signed.to_vec(), token.signature.clone());
        let work = move || keys.iter().any(|key| key.verifies(algorithm, &text, &signature));
        let signed = computed(&*cx.ports.compute, work).await.map_err(|busy| PolicyError(busy.to_string()))?;
        Ok(candidates.verdict(signed))
    }

    /// Reads the claims of a token whose signature held, and remembers them if they hold too.
    fn admit(&self, token: &Token<'_>, mark: Option<Mark>, bytes: usize, cx: &RequestContext) -> Authentication {
        let verified = match self.verified(token) {
            Ok(verified) => Rc::new(verified),
            Err(wrong) => return self.wrong(wrong),
        };
        if let Some(mark) = mark {
            cx.ports.verified_tokens.insert(mark, verified.clone(), bytes);
        }
        self.principal(&verified, cx)
    }

    fn verified(&self, token: &Token<'_>) -> Result<Verified, Wrong> {
        let claims = token.claims().ok_or(Wrong::Token("the token's claims can't be read"))?;
        let scopes = scopes(&claims);
        let times = self.checks.times(&claims)?;
        self.checks.hold(&claims, &scopes)?;
        let subject = match self.subject.of(&claims) {
            Some(Value::String(text)) if !text.is_empty() => text.as_str().into(),
            Some(Value::Number(number)) => number.to_string().into(),
            _ => return Err(Wrong::Token("the token does not say who it is of")),
        };
        let groups = self.groups.as_ref().and_then(|path| path.of(&claims)).into_iter().flat_map(texts);
        let groups = groups.take(GROUPS_MAX).map(Into::into).collect();
        Ok(Verified { groups, scopes, subject, times, claims: Arc::new(Value::Object(claims)) })
    }

    /// Who it is, by the time and the directory of this request.
    fn principal(&self, verified: &Verified, cx: &RequestContext) -> Authentication {
        if let Err(wrong) = verified.times.hold(cx.ports.clock.now(), self.leeway) {
            return self.wrong(wrong);
        }
        let name = &verified.subject;
        let consumer = match self.consumer {
            ConsumerBy::None => None,
            ConsumerBy::CustomId => Some(cx.directory.consumer_by_custom_id(name)),
            ConsumerBy::Name => Some(cx.directory.consumer_by_name(name)),
            ConsumerBy::Id => Some(name.parse::<Id>().ok().and_then(|id| cx.directory.consumer(id))),
        };
        let subject = match consumer {
            None => Subject::External(name.clone()),
            Some(Some(consumer)) => Subject::Consumer(consumer),
            Some(None) => return self.invalid("the token is of nobody who is known here"),
        };
        let mut principal = Principal {
            subject,
            scopes: verified.scopes.clone(),
            claims: Some(verified.claims.clone()),
            ..Principal::default()
        };
        for group in verified.groups.iter().filter_map(|name| cx.directory.group_by_name(name)) {
            if !principal.groups.contains(&group) {
                principal.groups.push(group);
            }
        }
        Authentication::Principal(Box::new(principal))
    }
}

impl Authenticator for JwtAuthenticator {
    fn authenticate<'a>(&'a self, head: &'a RequestHead, cx: &'a RequestContext) -> AuthAnswer<'a> {
        let text = match self.places.shown(head) {
            Shown::Nothing => return AuthAnswer::Now(Authentication::NoCredentials),
            Shown::Several => return AuthAnswer::Now(self.invalid(SEVERAL.detail)),
            Shown::Token(text) => text,
        };
        if text.len() > self.bytes_max {
            return AuthAnswer::Now(self.flawed(Flaw::TooLong));
        }
        if matches!(self.keys, Keys::Elsewhere) {
            let error = "a secret of the policy can't be opened in this process";
            return AuthAnswer::Now(Authentication::CannotDecide(PolicyError(error.into())));
        }
        let version = self.keys.version(&cx.ports);
        let known = version.map(|version| mark(self.serial, version, &text));
        if let Some(verified) = known.as_ref().and_then(|mark| cx.ports.verified_tokens.get(mark)) {
            return AuthAnswer::Now(self.principal(&verified, cx));
        }
        let found = match self.token(&text) {
            Err(refused) => return AuthAnswer::Now(refused),
            Ok(token) => match self.keys.current(&cx.ports) {
                None => Look::Missing,
                // a set that came this moment: its tokens are remembered under its own version
                Some(set) if Some(set.version()) != version => Look::Missing,
                Some(set) => match look(&set, &token) {
                    Look::Signed => return AuthAnswer::Now(self.admit(&token, known, text.len(), cx)),
                    Look::Forged => return AuthAnswer::Now(self.invalid(NO_KEY)),
                    later => later,
                },
            },
        };
        if let (Keys::Fixed(_), Look::Missing) = (&self.keys, &found) {
            return AuthAnswer::Now(self.invalid(NO_KEY));
        }
        let asked = async move {
            let token = match self.token(&text) {
                Ok(token) => token,
                Err(refused) => return refused,
            };
            let mark_of = |version| mark(self.serial, version, &text);
            self.later(token, text.len(), found, version, mark_of, cx).await
        };
        AuthAnswer::Later(asked.boxed_local())
    }

    fn shows(&self, head: &RequestHead) -> bool {
        self.places.shown(head) != Shown::Nothing
    }

    fn strip(&self, head: &mut RequestHead) {
        if !self.forward {
            self.places.strip(head);
        }
    }

    fn challenge(&self) -> HeaderValue {
        self.challenges.plain.clone()
    }
}
