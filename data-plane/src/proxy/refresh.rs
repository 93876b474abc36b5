//! Fetches anew what was given out stale, with nobody waiting for it.
//!
//! It is a visit of its own without a caller: it goes the way of the request that met the stale answer, from behind the policies
//! on. The watch looks after it as after any, so that time-outs hold and a drain waits for it.

use std::cell::Cell;
use std::rc::Rc;

use http_body::Body;
use tidegate_policy::cache::Refresh;
use tidegate_snapshot::Action;
use tokio::task::spawn_local;

use super::forward;
use super::policed::Policed;
use super::visit::{Place, Visit};
use crate::edge::Peer;
use crate::exchange::Asks;
use crate::exchange::body::{Collected, RequestBody};
use crate::exchange::watch::{Endable, Open, Phase, Underway};
use crate::upstream::{self, Forwarded};

/// Begins what a policy asked for while it answered this request, if it did.
pub(super) fn begin(asking: &mut Visit) {
    let Some(policed) = &mut asking.policed else { return };
    let Some(refresh) = policed.cx.refresh.take() else { return };
    let worker = asking.worker.clone();
    let under_way = worker.refreshes();
    if under_way.get() >= worker.limits().cache_refreshes_max {
        worker.cells().cache_refreshes_crowded.add(1);
        return;
    }
    let counted = Counted::new(under_way);
    worker.cells().cache_refreshes.add(1);
    let open = worker.watch().open_own();
    let connection = open.connection().clone();
    let peer = asking.exchange().connection.peer();
    connection.is_of(Peer { address: peer.address, header: peer.header.clone(), trust: peer.trust });
    let underway = Underway::begin(&connection, connection.task.clone());
    let mut visit = Visit::new(&worker, Asks::default(), underway, asking.caller.clone());
    visit.account.is_background = true;
    let (Some(policed), Some(route)) = (&asking.policed, &asking.route) else { return };
    visit.policed = Some(Policed::again(policed, &visit));
    visit.route = Some(route.clone());
    let place = Place {
        route: route.clone(),
        prefix: asking.prefix,
        captures: policed.cx.captures.clone(),
        for_preflight: false,
    };
    let task = connection.task.clone();
    spawn_local(Endable::new(task, run(visit, place, *refresh, open, counted)));
}

async fn run(mut visit: Visit, place: Place, refresh: Refresh, _open: Open, _counted: Counted) {
    let Action::Forward(service) = &place.route.compiled.action else { return };
    let (mut head, refreshing) = refresh.begin();
    let patience = &place.route.patience;
    if patience.request != 0 {
        visit.exchange().bound(patience.request);
    }
    if forward::prepare(&visit, &place, service, &mut head, &RequestBody::Empty).is_err() {
        return;
    }
    let way = visit.way(&place, service);
    let sent = upstream::send(&way, &mut Some((head, RequestBody::Empty))).await;
    let Ok(Forwarded { answer, lease }) = sent else { return };
    let exchange = visit.exchange().clone();
    exchange.enter(Phase::Gateway, 0);
    let mut head = answer.head;
    let Some(policed) = &mut visit.policed else { return };
    let Some(mut filter) = refreshing.answered(&mut head, &mut policed.cx) else {
        if answer.body.is_end_stream() {
            visit.give_back(lease);
        }
        return;
    };
    exchange.enter(Phase::UpstreamSends, patience.idle);
    let body = Collected { stream: answer.body, exchange: exchange.clone(), upstream_idle: patience.idle };
    let mut body = std::pin::pin!(body);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else { return };
        if let Ok(mut data) = frame.into_data()
            && filter.on_data(&mut data).is_err()
        {
            return;
        }
    }
    // what is left is none of a filter that only looks
    let _ = filter.on_end();
    exchange.is_delivered();
    visit.give_back(lease);
}

/// One that is under way.
struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn new(under_way: &Rc<Cell<usize>>) -> Self {
        under_way.set(under_way.get() + 1);
        Counted(under_way.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
