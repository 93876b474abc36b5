//! Identical calls that are under way at the same time are made once.
//!
//! By worker: callers whose connections are on different workers do not meet, so that nothing is locked. What is shared is the
//! composition itself, which goes on for as long as anybody waits for it: whoever is left drives it, so one that began it and leaves
//! takes nothing from the others.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, Shared, WeakShared};
use http::{HeaderMap, Method};
use tidegate_policy::expression::Facts;
use tidegate_policy::{Principal, RequestContext, RequestHead, Subject};
use tidegate_snapshot::Composition;
use tidegate_snapshot::compose::CompiledCoalesce;

use super::outcome::Done;
use super::{begun, run::Run};
use crate::proxy::GatewayError;
use crate::proxy::visit::{Place, Visit};

type Running = LocalBoxFuture<'static, Rc<Done>>;

/// What makes calls identical: a compiled route, and a text.
type Key = (u64, String);

/// Compositions of a worker that others may join. One is there for as long as it runs.
#[derive(Default)]
pub(crate) struct Coalescing(RefCell<HashMap<Key, WeakShared<Running>>>);

/// Takes a composition off the table at its end, however it ends.
struct Entry {
    table: Rc<Coalescing>,
    key: Key,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.0.borrow_mut().remove(&self.key);
    }
}

/// The composition of a request: one that runs, if it is identical and may be joined, else its own.
pub(super) fn joined_or_begun(
    visit: &Visit,
    place: &Place,
    composition: &Composition,
    head: RequestHead,
) -> Result<impl Future<Output = Rc<Done>> + use<>, GatewayError> {
    let policed = visit.policed.as_ref().expect("a composed route has a context");
    let key = composition.coalesce.as_ref().and_then(|coalesce| key(coalesce, composition, &head, &policed.cx));
    let Some(key) = key else {
        let run = begun(visit, place, composition, head)?;
        return Ok(Either::Left(async move { Run::run(&run).await }));
    };
    let key = (place.route.compiled.slot, key);
    let table = visit.worker.coalescing();
    let there = table.0.borrow().get(&key).and_then(WeakShared::upgrade);
    if let Some(running) = there {
        visit.worker.cells().coalesced.add(1);
        return Ok(Either::Right(running));
    }
    let run = begun(visit, place, composition, head)?;
    let entry = Entry { table: table.clone(), key: key.clone() };
    let running = async move {
        let _entry = entry;
        run.run().await
    };
    let running: Shared<Running> = running.boxed_local().shared();
    if let Some(weak) = running.downgrade() {
        table.0.borrow_mut().insert(key, weak);
    }
    Ok(Either::Right(running))
}

/// None where a request is not to be joined with another: by its method, or as its key has no value.
fn key(
    coalesce: &CompiledCoalesce,
    composition: &Composition,
    head: &RequestHead,
    cx: &RequestContext,
) -> Option<String> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return None;
    }
    let mut text = head.method.as_str().to_owned();
    text.push('\n');
    match &coalesce.key {
        Some(template) => {
            let mut own = String::new();
            template.write(&Facts::of_request(head, cx), cx, &mut own).ok()?;
            part(&mut text, &own);
        }
        None => part(&mut text, head.target.as_str()),
    }
    forwarded(&mut text, composition, &head.headers);
    if !coalesce.shared {
        principal(&mut text, &cx.principal);
    }
    Some(text)
}

/// Such that no two lists of parts make the same text.
fn part(text: &mut String, part: &str) {
    let written = writeln!(text, "{}:{part}", part.len());
    debug_assert!(written.is_ok(), "a String takes all");
}

/// The headers that go along: steps may answer by them.
fn forwarded(text: &mut String, composition: &Composition, headers: &HeaderMap) {
    let asked = composition.steps.iter().flat_map(|step| &step.forward);
    for name in std::iter::once(&http::header::ACCEPT_LANGUAGE).chain(asked) {
        for value in headers.get_all(name) {
            part(text, &String::from_utf8_lossy(value.as_bytes()));
        }
        text.push('\n');
    }
}

fn principal(text: &mut String, principal: &Principal) {
    match &principal.subject {
        Subject::Anonymous => text.push('a'),
        Subject::Consumer(consumer) => part(text, &consumer.id.to_string()),
        Subject::External(subject) => part(text, subject),
    }
    if let Some(credential) = principal.credential {
        part(text, &credential.to_string());
    }
    principal.groups().for_each(|group| part(text, &group.to_string()));
    text.push('\n');
    principal.scopes.iter().for_each(|scope| part(text, scope));
    if let Some(claims) = &principal.claims {
        part(text, &claims.to_string());
    }
}
