//! The built policy: members are asked in order; what they find makes one answer.

use std::sync::Arc;

use http::HeaderValue;
use smallvec::SmallVec;
use tidegate_model::Id;

use crate::{
    AuthAnswer, Authentication, Authenticator, PolicyError, Principal, Refusal, RequestContext, RequestHead, Subject,
};

pub(super) struct Combined {
    pub(super) members: Box<[Arc<dyn Authenticator>]>,
    /// Each is needed; else one is enough.
    pub(super) all: bool,
    pub(super) without: Without,
}

/// What becomes of who shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    Refused,
    /// It goes on as anonymous.
    Nobody,
    /// It goes on as this consumer; on a node that does not know it, it is refused.
    Consumer(Id),
}

const INCOMPLETE: Refusal = Refusal {
    code: "missing_credentials",
    detail: "the request shows some of the credentials that are needed, and not all",
};

/// What those said that were asked.
#[derive(Default)]
struct Said {
    principal: Option<Box<Principal>>,
    /// One found nothing.
    lacks: bool,
    unsure: Option<PolicyError>,
}

impl Combined {
    /// Takes what a member found; the answer, once it stands.
    fn hear(&self, found: Authentication, said: &mut Said) -> Option<Authentication> {
        match found {
            Authentication::Principal(_) if !self.all => return Some(found),
            // credentials that don't hold are not passed over: they may be stolen, or revoked a moment ago
            Authentication::Invalid(_) | Authentication::Refused(_) => return Some(found),
            Authentication::CannotDecide(_) if self.all => return Some(found),
            Authentication::Principal(principal) => said.principal = Some(principal),
            Authentication::NoCredentials => said.lacks = true,
            Authentication::CannotDecide(error) => said.unsure = Some(error),
        }
        None
    }

    /// All were asked.
    fn conclude(&self, said: Said, cx: &RequestContext) -> Authentication {
        match said {
            // one that can't decide is not a no
            Said { unsure: Some(error), .. } => Authentication::CannotDecide(error),
            Said { principal: Some(_), lacks: true, .. } => Authentication::Invalid(INCOMPLETE),
            Said { principal: Some(principal), .. } => Authentication::Principal(principal),
            Said { principal: None, .. } => self.without_credentials(cx),
        }
    }

    fn without_credentials(&self, cx: &RequestContext) -> Authentication {
        let subject = match self.without {
            Without::Refused => return Authentication::NoCredentials,
            Without::Nobody => return Authentication::Principal(Box::default()),
            Without::Consumer(id) => match cx.directory.consumer(id) {
                Some(consumer) => Subject::Consumer(consumer),
                None => return Authentication::NoCredentials,
            },
        };
        Authentication::Principal(Box::new(Principal { subject, is_stand_in: true, ..Principal::default() }))
    }
}

impl Authenticator for Combined {
    fn authenticate<'a>(&'a self, head: &'a RequestHead, cx: &'a RequestContext) -> AuthAnswer<'a> {
        let mut said = Said::default();
        let mut members = self.members.iter();
        while let Some(member) = members.next() {
            let found = match member.authenticate(head, cx) {
                AuthAnswer::Now(found) => found,
                AuthAnswer::Later(asked) => {
                    return AuthAnswer::Later(Box::pin(async move {
                        if let Some(answer) = self.hear(asked.await, &mut said) {
                            return answer;
                        }
                        for member in members {
                            let found = match member.authenticate(head, cx) {
                                AuthAnswer::Now(found) => found,
                                AuthAnswer::Later(asked) => asked.await,
                            };
                            if let Some(answer) = self.hear(found, &mut said) {
                                return answer;
                            }
                        }
                        self.conclude(said, cx)
                    }));
                }
            };
            if let Some(answer) = self.hear(found, &mut said) {
                return AuthAnswer::Now(answer);
            }
        }
        AuthAnswer::Now(self.conclude(said, cx))
    }

    fn shows(&self, head: &RequestHead) -> bool {
        self.members.iter().any(|member| member.shows(head))
    }

    fn strip(&self, head: &mut RequestHead) {
        self.members.iter().for_each(|member| member.strip(head));
    }

    fn challenge(&self) -> HeaderValue {
        self.challenges().into_iter().next().unwrap_or(HeaderValue::from_static(""))
    }

    fn challenges(&self) -> SmallVec<[HeaderValue; 2]> {
        self.members.iter().flat_map(|member| member.challenges()).collect()
    }
}
