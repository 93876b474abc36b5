//! The built policy: preflights are answered here, every other reply gets its headers on the way back.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::origins::Origins;
use crate::{Answer, Blame, Content, Origin, Policy, Reply, RequestContext, RequestHead, ResponseHead};

static REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
static ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
static ANY: HeaderValue = HeaderValue::from_static("*");
static TRUE: HeaderValue = HeaderValue::from_static("true");
static VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
static VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// All that begins so is this policy's to say.
const PREFIX: &str = "access-control-";

pub(super) struct Rules {
    pub(super) origins: Origins,
    pub(super) credentials: bool,
    pub(super) methods: Option<HeaderValue>,
    /// `None`: whichever are asked for. `Some(None)`: none.
    pub(super) request_headers: Option<Option<HeaderValue>>,
    pub(super) expose_headers: Option<HeaderValue>,
    pub(super) max_age: HeaderValue,
    pub(super) private_network: bool,
    pub(super) keep_upstream: bool,
}

/// Kept until the reply: the site that asked and may, and that a preflight was answered.
struct Asked {
    origin: Option<HeaderValue>,
    preflight: bool,
}

impl Rules {
    /// The site that asks, if it may. A request that says several is of none.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut all = headers.get_all(ORIGIN).iter();
        let origin = all.next().filter(|_| all.next().is_none())?;
        match &self.origins {
            Origins::Any => Some(ANY.clone()),
            Origins::These(these) => these.hold(origin.as_bytes()).then(|| origin.clone()),
        }
    }

    /// What a browser is told that asks before it sends. Where something may not be, it is simply not said: the browser tells
    /// its developer what was missing.
    fn preflight(&self, request: &HeaderMap, origin: Option<&HeaderValue>) -> Reply {
        let mut reply =
            Reply::new(StatusCode::NO_CONTENT, "preflight", "", Blame::Downstream).with_content(Content::default());
        if origin.is_none() {
            return reply;
        }
        if let Some(methods) = &self.methods {
            reply = reply.with_header(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        }
        let asked = || request.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|asked| is_list(asked.as_bytes())).cloned();
        if let Some(headers) = self.request_headers.clone().unwrap_or_else(asked) {
            reply = reply.with_header(ACCESS_CONTROL_ALLOW_HEADERS, headers);
        }
        let asks_private = request.get(&REQUEST_PRIVATE_NETWORK).is_some_and(|value| value == "true");
        if self.private_network && asks_private {
            reply = reply.with_header(ALLOW_PRIVATE_NETWORK.clone(), TRUE.clone());
        }
        reply.with_header(ACCESS_CONTROL_MAX_AGE, self.max_age.clone())
    }

    /// What a cache must keep apart.
    fn vary(&self, preflight: bool) -> Option<&'static HeaderValue> {
        match (&self.origins, preflight) {
            (_, true) => Some(&VARY_PREFLIGHT),
            (Origins::These(_), false) => Some(&VARY_ORIGIN),
            // everybody is told the same
            (Origins::Any, false) => None,
        }
    }
}

impl Policy for Rules {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        let origin = self.allowed(&head.headers);
        let preflight = head.method == Method::OPTIONS
            && head.headers.contains_key(ORIGIN)
            && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let answer = match preflight {
            true => Answer::reply(self.preflight(&head.headers, origin.as_ref())),
            false => Answer::CONTINUE,
        };
        if origin.is_some() || preflight {
            cx.notes.put(Asked { origin, preflight });
        }
        answer
    }

    fn on_response<'a>(&'a self, head: &'a mut ResponseHead, cx: &'a mut RequestContext) -> Answer<'a> {
        let asked = cx.notes.read::<Asked>();
        if let Some(vary) = self.vary(asked.is_some_and(|asked| asked.preflight)) {
            add_vary(&mut head.headers, vary);
        }
        if head.origin == Origin::Upstream {
            let own: Vec<HeaderName> =
                head.headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
            if !own.is_empty() && self.keep_upstream {
                return Answer::CONTINUE;
            }
            own.iter().for_each(|name| drop(head.headers.remove(name)));
        }
        let origin = match (asked.and_then(|asked| asked.origin.as_ref()), &self.origins) {
            (Some(origin), _) => origin,
            // said to everybody, a cache may hand it on to who asks from another site
            (None, Origins::Any) => &ANY,
            (None, Origins::These(_)) => return Answer::CONTINUE,
        };
        head.headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            head.headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE.clone());
        }
        if let Some(expose) = &self.expose_headers
            && !asked.is_some_and(|asked| asked.preflight)
        {
            head.headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
        Answer::CONTINUE
    }

    fn answers_preflights(&self) -> bool {
        true
    }
}

/// Header names with commas between, as browsers ask for them.
fn is_list(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(b);
    // a `*` would be taken for all, which was not asked
    !text.is_empty() && text.iter().all(allowed) && text.trim_ascii() != b"*"
}

/// Adds what is not there yet.
fn add_vary(headers: &mut HeaderMap, vary: &HeaderValue) {
    let said = |name: &str| {
        let lines = headers.get_all(VARY).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(name) || word.trim() == "*")
    };
    let words = vary.to_str().unwrap_or("").split(", ");
    let missing: Vec<&str> = words.filter(|word| !said(word)).collect();
    if missing.is_empty() {
        return;
    }
    match HeaderValue::try_from(missing.join(", ")) {
        Ok(value) => drop(headers.append(VARY, value)),
        Err(_) => drop(headers.append(VARY, vary.clone())),
    }
}
