//! One stream, from `Hello` to its end.

use std::time::Duration;

use rand::RngExt;
use tidegate_proto::v1;
use tidegate_proto::v1::config_stream_client::ConfigStreamClient;
use tidegate_proto::v1::control_message::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;
use tracing::{debug, info};

use super::ConfigSync;
use super::client::SyncError;
use super::stage::Work;
use super::update::Assembly;
use crate::callers::Used;

/// What waits to be said: an answer per class, answers to questions, signs of life.
const OUT_MAX: usize = 64;

/// Of how many credentials one message tells that they were used.
const USED_MAX: usize = 2048;

/// Why a stream ended in peace.
#[derive(Debug)]
pub(super) enum Ending {
    /// The control plane or the connection went away.
    Closed,
    /// The control plane stops; another one may be there.
    Moved,
    /// Not before this time.
    Wait(Duration),
}

pub(super) struct Conversation<'a> {
    pub(super) sync: &'a ConfigSync,
    pub(super) endpoint: &'a str,
    pub(super) attempt: &'a mut u32,
}

impl Conversation<'_> {
    pub(super) async fn run(self, mut client: ConfigStreamClient<Channel>) -> Result<Ending, SyncError> {
        let sync = self.sync;
        let (out, outbound) = mpsc::channel::<v1::NodeMessage>(OUT_MAX);
        out.try_send(hello(sync).into()).expect("the channel is new and has room");
        let opened = tokio::time::timeout(sync.config.timings.enroll, client.stream(ReceiverStream::new(outbound)));
        let opened = opened.await.unwrap_or_else(|_| Err(Status::deadline_exceeded("it took too long")));
        let mut inbound = opened.map_err(SyncError::Refused)?.into_inner();
        let mut assembly = Assembly::default();
        let mut alive = tokio::time::interval(sync.config.timings.alive_every);
        alive.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut used = tokio::time::interval(sync.config.timings.used_every);
        used.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let moving = tokio::time::sleep(Duration::MAX / 4);
        tokio::pin!(moving);
        let mut first = true;
        loop {
            let message = tokio::select! {
                message = inbound.message() => message,
                _ = alive.tick() => {
                    let _ = out.try_send(v1::Alive {}.into()); // so much waits to be said that it is sign enough
                    continue;
                }
                _ = used.tick() => {
                    tell_used(sync, &out);
                    continue;
                }
                () = &mut moving => return Ok(Ending::Moved),
            };
            let message = match message {
                Ok(Some(message)) => message.message,
                Ok(None) => return Ok(Ending::Closed),
                Err(status) => return Err(SyncError::Refused(status)),
            };
            if std::mem::take(&mut first) {
                *self.attempt = 0;
                info!("in touch with the control plane at `{}`", self.endpoint);
                sync.status.change(|status| {
                    status.connected = true;
                    status.trouble = None;
                    status.counts.streams += 1;
                });
            }
            sync.status.heard();
            match message {
                Some(message @ (Message::Begin(_) | Message::Chunk(_) | Message::End(_))) => {
                    let update = assembly.take(message);
                    let update = update.map_err(|error| SyncError::Refused(Status::data_loss(error.to_string())))?;
                    if let Some(update) = update {
                        sync.threads.give(Work { update, replies: out.clone() });
                    }
                }
                Some(Message::UpToDate(_)) => debug!("in step"),
                Some(Message::Ask(ask)) => {
                    let _ = out.try_send(answer(sync, ask).into()); // who asked notices
                }
                Some(Message::Fleet(fleet)) => sync.status.change(|status| status.fleet_nodes = fleet.nodes.max(1)),
                Some(Message::Wait(wait)) => return Ok(Ending::Wait(Duration::from_millis(wait.retry_ms))),
                Some(Message::Move(to)) => {
                    let within = rand::rng().random_range(0..=to.within_ms / 2);
                    moving.as_mut().reset(tokio::time::Instant::now() + Duration::from_millis(within));
                }
                None => {} // of a later version
            }
        }
    }
}

/// Tells what there is room for: the rest is told a minute later.
fn tell_used(sync: &ConfigSync, out: &mpsc::Sender<v1::NodeMessage>) {
    let Some(callers) = &sync.config.callers else { return };
    // half of the room is for answers
    while out.capacity() > OUT_MAX / 2 {
        let used = callers.uses().take(USED_MAX);
        if used.is_empty() {
            return;
        }
        let credential = |used: &Used| {
            let id = used.credential.uuid().as_bytes().to_vec();
            v1::UsedCredential { id, hour: used.hour }
        };
        let message = v1::Used { credentials: used.iter().map(credential).collect() };
        if out.try_send(message.into()).is_err() {
            return callers.uses().put_back(&used);
        }
    }
}

fn hello(sync: &ConfigSync) -> v1::Hello {
    let config = &sync.config;
    v1::Hello {
        version: config.version.clone(),
        features: config.features.clone(),
        labels: config.labels.clone().into_iter().collect(),
        name: config.name.clone(),
        address: config.address.clone(),
        have: sync.stage.have(),
    }
}

fn answer(sync: &ConfigSync, ask: v1::Ask) -> v1::Answer {
    use v1::answer::Result as Answer;
    let answered = match (sync.config.answers)(&ask.query, &ask.arguments) {
        Some(answer) => answer,
        None if ask.query == "status" => serde_json::to_string(&sync.status.get()).map_err(|error| error.to_string()),
        None => Err(format!("this node does not know `{}`", ask.query)),
    };
    let result = match answered {
        Ok(value) => Answer::Value(value),
        Err(why) => Answer::Error(why),
    };
    v1::Answer { id: ask.id, result: Some(result) }
}
