//! Keeps a stream to some control plane open, and starts over when it ends.

use std::path::PathBuf;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidegate_proto::join::JoinToken;
use tidegate_proto::v1::config_stream_client::ConfigStreamClient;
use tidegate_proto::{MESSAGE_BYTES_MAX, v1};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Channel;
use tracing::{debug, info, warn};

use super::conversation::{Conversation, Ending};
use super::enrolment::{Certificate, Enrolment, EnrolmentError};
use super::link::{self, LinkError};
use super::{ConfigSync, ControlLink, tls};

/// Between two looks at whether the certificate should be renewed.
const RENEWAL_LOOK: Duration = Duration::from_secs(3600);

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    #[error("the node is not enrolled and has no join token; give it one with --join-token-file")]
    NoToken,
    #[error("the join token can't be read from `{0}`: {1}")]
    Token(PathBuf, String),
    #[error("the control plane refused: {}", .0.message())]
    Refused(#[source] tonic::Status),
}

impl SyncError {
    /// The control plane knows this node no more; asking again soon is of no use.
    fn is_final(&self) -> bool {
        matches!(self, SyncError::Refused(status) if status.code() == Code::PermissionDenied)
    }
}

/// Where to go, in turns.
struct Endpoints {
    list: Vec<String>,
    next: usize,
}

impl Endpoints {
    fn take(&mut self) -> String {
        let endpoint = self.list[self.next % self.list.len()].clone();
        self.next += 1;
        endpoint
    }
}

impl ConfigSync {
    /// Keeps the node at the head of the log until told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        let mut random = StdRng::seed_from_u64(self.config.seed.unwrap_or_else(rand::random));
        let mut endpoints = match &self.config.link {
            ControlLink::Remote { endpoints, .. } => Endpoints { list: endpoints.clone(), next: 0 },
            ControlLink::InProcess(_) => Endpoints { list: vec!["in this process".to_owned()], next: 0 },
        };
        endpoints.list.shuffle(&mut random);
        if endpoints.list.is_empty() {
            warn!("no control plane is configured; the node serves what it has on disk");
            return stop.cancelled().await;
        }
        let mut attempt = 0;
        loop {
            let endpoint = endpoints.take();
            self.status.change(|status| status.control_plane = Some(endpoint.clone()));
            let ended = tokio::select! {
                () = stop.cancelled() => break,
                ended = self.attempt(&endpoint, &mut attempt) => ended,
            };
            self.status.change(|status| status.connected = false);
            let share: f64 = random.random_range(0.0..1.0);
            let pause = match ended {
                Ok(Ending::Moved) => Duration::ZERO,
                Ok(Ending::Wait(pause)) => pause.mul_f64(0.5 + share),
                Ok(Ending::Closed) => link::backoff(&self.config.timings, attempt, share),
                Err(error) => {
                    self.failed(&endpoint, &error);
                    match error.is_final() {
                        true => self.config.timings.refused_pause.mul_f64(0.5 + share),
                        false => link::backoff(&self.config.timings, attempt, share),
                    }
                }
            };
            attempt += 1;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.status.change(|status| status.connected = false);
    }

    fn failed(&self, endpoint: &str, error: &SyncError) {
        let text = chain(error);
        let news = self.status.get().trouble.as_deref() != Some(&text);
        // the same again and again is said once
        if news {
            warn!("not in touch with the control plane at `{endpoint}`: {text}");
        } else {
            debug!("not in touch with the control plane at `{endpoint}`: {text}");
        }
        self.status.change(|status| status.trouble = Some(text));
    }

    /// One connection, from its making to its end. Resets `attempt` once a control plane spoke.
    async fn attempt(&self, endpoint: &str, attempt: &mut u32) -> Result<Ending, SyncError> {
        let (channel, enrolled) = match &self.config.link {
            ControlLink::InProcess(to) => (link::pipe(to, &self.config.timings).await?, None),
            ControlLink::Remote { join_token_file, .. } => {
                let enrolment = Enrolment::new(&self.config.data_dir);
                let certificate = self.enrolled(&enrolment, endpoint, join_token_file.as_ref()).await?;
                let channel = link::connect(endpoint, enrolment.tls()?, &self.config.timings).await?;
                (channel, Some((enrolment, certificate)))
            }
        };
        let conversation = Conversation { sync: self, endpoint, attempt };
        let client = client(channel.clone());
        match enrolled {
            None => conversation.run(client).await,
            Some((enrolment, certificate)) => tokio::select! {
                ended = conversation.run(client) => ended,
                never = self.renew(&enrolment, certificate, channel) => match never {},
            },
        }
    }

    /// The node's certificate; joins if it has none that is valid.
    async fn enrolled(
        &self,
        enrolment: &Enrolment,
        endpoint: &str,
        token_file: Option<&PathBuf>,
    ) -> Result<Certificate, SyncError> {
        let token = token_file.map(read_token);
        if let Some(certificate) = enrolment.certificate()? {
            let other_cluster = matches!(&token, Some(Ok(token)) if token.ca_key != certificate.ca_key);
            if !certificate.is_over() && !other_cluster {
                self.status.change(|status| status.node_id = Some(certificate.node));
                return Ok(certificate);
            }
            warn!("the node's certificate is over, or the join token is of another cluster; the node joins anew");
        }
        let token = token.ok_or(SyncError::NoToken)??;
        let tls = tls::joining(token.ca_key).map_err(EnrolmentError::from)?;
        let channel = link::connect(endpoint, tls, &self.config.timings).await?;
        let reply = self.ask_certificate(enrolment, channel, token.secret).await?;
        let certificate = enrolment.store(&reply, token.ca_key)?;
        info!(node.id = %certificate.node, "joined the cluster as node `{}` ({})", reply.name, certificate.node);
        self.status.change(|status| {
            status.node_id = Some(certificate.node);
            status.name = reply.name;
        });
        Ok(certificate)
    }

    async fn ask_certificate(
        &self,
        enrolment: &Enrolment,
        channel: Channel,
        join_token: String,
    ) -> Result<v1::EnrollReply, SyncError> {
        let request = v1::EnrollRequest {
            join_token,
            certificate_request: enrolment.request()?,
            name: self.config.name.clone(),
            labels: self.config.labels.clone().into_iter().collect(),
            version: self.config.version.clone(),
        };
        let asked = tokio::time::timeout(self.config.timings.enroll, async { client(channel).enroll(request).await });
        let answer = asked.await.unwrap_or_else(|_| Err(tonic::Status::deadline_exceeded("it took too long")));
        Ok(answer.map_err(SyncError::Refused)?.into_inner())
    }

    /// Asks for the next certificate while the old one is good. The connection stays as it is; the next one uses it.
    async fn renew(
        &self,
        enrolment: &Enrolment,
        mut certificate: Certificate,
        channel: Channel,
    ) -> std::convert::Infallible {
        loop {
            let due = certificate.renew_in();
            // in steps: a machine may have been asleep
            tokio::time::sleep(due.min(RENEWAL_LOOK)).await;
            if due > RENEWAL_LOOK {
                continue;
            }
            let renewed = match self.ask_certificate(enrolment, channel.clone(), String::new()).await {
                Ok(reply) => enrolment.store(&reply, certificate.ca_key).map_err(SyncError::from),
                Err(error) => Err(error),
            };
            match renewed {
                Ok(next) => {
                    info!("the node has a new certificate");
                    certificate = next;
                }
                Err(error) => warn!("the node's certificate could not be renewed: {}", chain(&error)),
            }
            tokio::time::sleep(self.config.timings.renewal_pause).await;
        }
    }
}

fn client(channel: Channel) -> ConfigStreamClient<Channel> {
    ConfigStreamClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

fn read_token(path: &PathBuf) -> Result<JoinToken, SyncError> {
    let token = |why: String| SyncError::Token(path.clone(), why);
    let text = std::fs::read_to_string(path).map_err(|error| token(error.to_string()))?;
    text.parse().map_err(|error: tidegate_proto::join::InvalidJoinToken| token(error.to_string()))
}

/// An error with all its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
