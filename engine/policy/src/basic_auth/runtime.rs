//! The built policy: reads the header, looks the username up, has the password checked elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tidegate_model::PASSWORD_BYTES;

use crate::{
    AuthAnswer, Authentication, Authenticator, BasicMatch, PasswordCheck, PolicyError, Principal, Refusal,
    RequestContext, RequestHead, ShownPassword, Subject,
};

pub(super) struct BasicAuthenticator {
    pub(super) challenge: HeaderValue,
    pub(super) forward_credentials: bool,
}

/// The longest header that is read: a username of 128 characters of four bytes and the longest password fit.
const SHOWN_BYTES_MAX: usize = 1536;

const MALFORMED: Refusal =
    Refusal { code: "invalid_credentials", detail: "the header `Authorization` holds no username and password" };
/// The same for a wrong name, a wrong password and one that has ended.
const NOT_KNOWN: Refusal = Refusal { code: "invalid_credentials", detail: "the username or the password is wrong" };

/// What follows `Basic` in the header, if that is its scheme.
fn basic(value: &HeaderValue) -> Option<&[u8]> {
    let value = value.as_bytes().trim_ascii();
    let (scheme, rest) = value.split_at_checked(5)?;
    let of_basic = scheme.eq_ignore_ascii_case(b"basic") && rest.first().is_none_or(|b| *b == b' ');
    of_basic.then(|| rest.trim_ascii())
}

fn lines(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(AUTHORIZATION).iter().filter_map(basic)
}

/// Username and password: what stands before the first colon and after it. Neither may be empty or hold what no credential holds.
fn read(encoded: &[u8]) -> Option<(String, String)> {
    if encoded.len() > SHOWN_BYTES_MAX {
        return None;
    }
    let mut text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let password = text.split_off(text.find(':')? + 1);
    text.pop();
    let fits = !text.is_empty() && !password.is_empty() && password.len() <= *PASSWORD_BYTES.end();
    (fits && !text.chars().chain(password.chars()).any(char::is_control)).then_some((text, password))
}

impl BasicAuthenticator {
    fn start(&self, head: &RequestHead, cx: &RequestContext) -> AuthAnswer<'static> {
        let mut shown = lines(&head.headers);
        let Some(encoded) = shown.next() else { return AuthAnswer::Now(Authentication::NoCredentials) };
        let read = if shown.next().is_some() { None } else { read(encoded) };
        let Some((username, password)) = read else { return AuthAnswer::Now(Authentication::Invalid(MALFORMED)) };
        let found = cx.directory.basic(&username);
        let known = found.as_ref().map(|found| (found.credential, &found.password));
        let check = cx.ports.passwords.check(ShownPassword { known, username: &username, password: &password });
        // one that has ended, or belongs to nobody, costs what others cost and is refused like a wrong one
        let now = cx.ports.clock.now();
        let holds = found.filter(|found| found.expires_at.is_none_or(|end| now < end));
        match check {
            PasswordCheck::Fits => AuthAnswer::Now(principal(holds)),
            PasswordCheck::Later(checked) => AuthAnswer::Later(Box::pin(async move {
                match checked.await {
                    Ok(true) => principal(holds),
                    Ok(false) => Authentication::Invalid(NOT_KNOWN),
                    Err(busy) => Authentication::CannotDecide(PolicyError(busy.to_string())),
                }
            })),
        }
    }
}

fn principal(found: Option<BasicMatch>) -> Authentication {
    let Some(BasicMatch { credential, consumer: Some(consumer), .. }) = found else {
        return Authentication::Invalid(NOT_KNOWN);
    };
    Authentication::Principal(Box::new(Principal {
        subject: Subject::Consumer(consumer),
        credential: Some(credential),
        ..Principal::default()
    }))
}

impl Authenticator for BasicAuthenticator {
    fn authenticate<'a>(&'a self, head: &'a RequestHead, cx: &'a RequestContext) -> AuthAnswer<'a> {
        self.start(head, cx)
    }

    fn shows(&self, head: &RequestHead) -> bool {
        lines(&head.headers).next().is_some()
    }

    fn strip(&self, head: &mut RequestHead) {
        if self.forward_credentials || !self.shows(head) {
            return;
        }
        let others: Vec<HeaderValue> =
            head.headers.get_all(AUTHORIZATION).iter().filter(|value| basic(value).is_none()).cloned().collect();
        head.headers.remove(AUTHORIZATION);
        for other in others {
            head.headers.append(AUTHORIZATION, other);
        }
    }

    fn challenge(&self) -> HeaderValue {
        self.challenge.clone()
    }
}
