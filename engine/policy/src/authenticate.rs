//! Who is calling: authenticators and how several of them make one answer.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use smallvec::{SmallVec, smallvec};
use tidegate_model::Problems;

use crate::{Blame, Link, PolicyError, Principal, Reply, RequestContext, RequestHead};

/// What an authenticator found.
#[derive(Debug)]
pub enum Authentication {
    /// The request shows nothing that this authenticator looks at.
    NoCredentials,
    /// It shows something that does not hold.
    Invalid(Refusal),
    /// The same, with a reply of its own: another status, or a challenge that says more.
    Refused(Box<Reply>),
    /// This is who it is.
    Principal(Box<Principal>),
    /// It could not be found out.
    CannotDecide(PolicyError),
}

/// Why credentials do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, for programs.
    pub code: &'static str,
    /// For people; says nothing that helps to guess.
    pub detail: &'static str,
}

/// How an authenticator answers.
pub enum AuthAnswer<'a> {
    /// At once.
    Now(Authentication),
    /// Later, for those that must ask.
    Later(LocalBoxFuture<'a, Authentication>),
}

/// A built authenticator.
pub trait Authenticator: Send + Sync + 'static {
    /// Looks at the request's credentials.
    fn authenticate<'a>(&'a self, head: &'a RequestHead, cx: &'a RequestContext) -> AuthAnswer<'a>;

    /// Whether the request shows something that it would look at. Asked only of those from whose address too many attempts failed.
    fn shows(&self, _head: &RequestHead) -> bool {
        true
    }

    /// Takes what it looks at off the request, so that credentials never go upstream. Runs on every path.
    fn strip(&self, head: &mut RequestHead);

    /// What `WWW-Authenticate` should say (RFC 9110 §11.6.1).
    fn challenge(&self) -> HeaderValue;

    /// All that it should say, for one that is made of others.
    fn challenges(&self) -> SmallVec<[HeaderValue; 2]> {
        smallvec![self.challenge()]
    }
}

/// An authenticator where it is attached.
pub type Member = (Arc<Link>, Arc<dyn Authenticator>);

/// The authenticators of a route: each that acts must find a principal, and the last one's holds. What is enough of several is
/// said by the kind `auth`.
#[derive(Clone)]
pub struct Combinator {
    /// Each with its attachment.
    pub members: Box<[Member]>,
}

impl Combinator {
    /// Finds out who is calling and takes the credentials off the request.
    ///
    /// # Errors
    /// The reply for who is refused.
    pub async fn run(&self, head: &mut RequestHead, cx: &mut RequestContext) -> Result<(), Box<Reply>> {
        let mut acting = SmallVec::<[&Member; 4]>::new();
        let mut undecided = Ok(());
        for member in &self.members {
            match member.0.applies(head, cx) {
                Ok(true) => acting.push(member),
                Ok(false) => {}
                Err(reply) => undecided = Err(reply),
            }
        }
        let found = match undecided.and_then(|()| self.may_try(&acting, head, cx)) {
            Ok(()) => self.decide(&acting, head, cx).await,
            Err(reply) => Err(reply),
        };
        for (_, authenticator) in acting.iter().filter(|(link, _)| !link.shadow) {
            authenticator.strip(head);
        }
        let principal = found?;
        if let Some(credential) = principal.credential {
            cx.ports.attempts.used(credential);
        }
        cx.principal = principal;
        Ok(())
    }

    /// Once too many attempts from an address failed, its credentials are not looked at for a while, good ones neither: an
    /// answer that tells good from wrong is what who guesses is after.
    fn may_try(&self, members: &[&Member], head: &RequestHead, cx: &RequestContext) -> Result<(), Box<Reply>> {
        let Some(wait) = cx.ports.attempts.blocked(cx.client) else { return Ok(()) };
        let shown = members.iter().find(|(link, authenticator)| !link.shadow && authenticator.shows(head));
        let Some((link, _)) = shown else { return Ok(()) };
        cx.ports.attempts.turned_away();
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = "too many attempts from this address failed";
        let reply = Reply::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail, Blame::Downstream);
        Err(Box::new(link.signed(reply.with_header(RETRY_AFTER, HeaderValue::from(seconds)))))
    }

    async fn decide(
        &self,
        members: &[&Member],
        head: &RequestHead,
        cx: &RequestContext,
    ) -> Result<Principal, Box<Reply>> {
        let mut principal = None;
        for (link, authenticator) in members {
            let found = match authenticator.authenticate(head, cx) {
                AuthAnswer::Now(found) => found,
                AuthAnswer::Later(asked) => asked.await,
            };
            if link.shadow {
                // who is found is known to what follows, which may be in shadow too; a refusal is only told
                let refusal = match found {
                    Authentication::Principal(found) => {
                        principal = principal.or(Some(*found));
                        continue;
                    }
                    Authentication::NoCredentials => self.missing(),
                    Authentication::Invalid(refusal) => self.refused(refusal),
                    Authentication::Refused(reply) => *reply,
                    Authentication::CannotDecide(error) => link.cannot_decide(&error),
                };
                cx.shadowed.note(link, &refusal);
                continue;
            }
            match found {
                Authentication::Principal(found) => principal = Some(*found),
                Authentication::NoCredentials => return Err(Box::new(link.signed(self.missing()))),
                Authentication::Invalid(refusal) => {
                    cx.ports.attempts.failed(cx.client);
                    return Err(Box::new(link.signed(self.refused(refusal))));
                }
                Authentication::Refused(reply) => {
                    if reply.status == StatusCode::UNAUTHORIZED {
                        cx.ports.attempts.failed(cx.client);
                    }
                    return Err(Box::new(link.signed(*reply)));
                }
                // one that can't decide is not a yes
                Authentication::CannotDecide(error) => return Err(Box::new(link.cannot_decide(&error))),
            }
        }
        // where none acts, nobody was asked for
        Ok(principal.unwrap_or_default())
    }

    fn missing(&self) -> Reply {
        self.unauthorized("missing_credentials", "the request shows no credentials")
    }

    fn refused(&self, refusal: Refusal) -> Reply {
        self.unauthorized(refusal.code, refusal.detail)
    }

    fn unauthorized(&self, code: &'static str, detail: &'static str) -> Reply {
        let reply = Reply::new(StatusCode::UNAUTHORIZED, code, detail, Blame::Downstream);
        let mut said = SmallVec::<[HeaderValue; 4]>::new();
        for challenge in self.members.iter().flat_map(|(_, authenticator)| authenticator.challenges()) {
            if !said.contains(&challenge) {
                said.push(challenge);
            }
        }
        said.into_iter().fold(reply, |reply, challenge| reply.with_header(WWW_AUTHENTICATE, challenge))
    }
}

/// What a scheme's `WWW-Authenticate` says: the realm, quoted, and what else belongs to it. A realm that can't be quoted is noted.
pub(crate) fn challenge_of(
    scheme: &str,
    realm: Option<&str>,
    more: &str,
    problems: &mut Problems,
) -> Option<HeaderValue> {
    let realm = realm.unwrap_or("tidegate");
    let quotable = |b: u8| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\';
    if !realm.bytes().all(quotable) {
        problems.add_at("realm", "invalid_value", "must be of visible ASCII characters without quotes and backslashes");
        return None;
    }
    HeaderValue::from_str(&format!("{scheme} realm=\"{realm}\"{more}")).ok()
}
