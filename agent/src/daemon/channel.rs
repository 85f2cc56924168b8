//! The daemon's one stream to whoever leads: beats and their answers, news, logs that are wanted.
//!
//! A stream that breaks is made anew by the next beat, to any coordinator of
//! the fleet. Not here: what is said in a beat and what its answer calls for
//! (`serve`).

use std::sync::Arc;

use molt_proto::v1;
use molt_proto::v1::host_hears::Hears;
use molt_proto::v1::host_says::Says;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tonic::{Status, Streaming};

use super::host::{Host, blocking};
use super::show;
use crate::client::ANSWER_LIMIT;
use crate::error::Error;

/// The daemon's way to whoever leads.
pub(super) struct Channel {
    host: Arc<Host>,
    bell: Arc<Notify>,
    open: Option<Open>,
}

/// A stream that is open, as far as is known.
struct Open {
    says: mpsc::Sender<v1::HostSays>,
    answers: mpsc::Receiver<Result<v1::BeatReply, Status>>,
    /// Reads the stream; ends with this value.
    _reader: JoinSet<()>,
}

/// Why a stream has no answer.
enum Broken {
    Status(Status),
    Late,
}

impl Channel {
    /// A way to whoever leads; `bell` is rung when there is news.
    pub(super) fn new(host: Arc<Host>, bell: Arc<Notify>) -> Self {
        Self { host, bell, open: None }
    }

    /// Renews, and hears what the board has for this host.
    pub(super) async fn beat(&mut self, beat: v1::BeatRequest) -> Result<v1::BeatReply, Error> {
        if let Some(open) = &mut self.open {
            match open.exchange(beat.clone()).await {
                Ok(reply) => return self.believed(reply),
                Err(broken) => {
                    self.open = None;
                    self.give_up_on(broken)?;
                }
            }
        }
        let mut open = self.connect().await?;
        match open.exchange(beat).await {
            Ok(reply) => {
                self.open = Some(open);
                self.believed(reply)
            }
            Err(broken) => {
                self.give_up_on(broken)?;
                Err(Error::unavailable("the stream to the coordinator broke"))
            }
        }
    }

    fn believed(&mut self, reply: v1::BeatReply) -> Result<v1::BeatReply, Error> {
        let believed = self.host.client.believe(reply.term);
        if believed.is_err() {
            self.open = None;
        }
        believed.map(|()| reply)
    }

    /// Turns to another coordinator; an error is final.
    fn give_up_on(&self, broken: Broken) -> Result<(), Error> {
        let status = match broken {
            Broken::Status(status) => status,
            Broken::Late => Status::unavailable(format!("no answer within {ANSWER_LIMIT:?}")),
        };
        match self.host.client.broken(status) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn connect(&self) -> Result<Open, Error> {
        let (says, hears) = self.host.client.host().await?;
        let (answer, answers) = mpsc::channel(1);
        let mut reader = JoinSet::new();
        let (host, bell) = (Arc::clone(&self.host), Arc::clone(&self.bell));
        reader.spawn(read(host, bell, hears, says.clone(), answer));
        Ok(Open { says, answers, _reader: reader })
    }
}

impl Open {
    async fn exchange(&mut self, beat: v1::BeatRequest) -> Result<v1::BeatReply, Broken> {
        let gone = || Broken::Status(Status::unavailable("the stream ended"));
        let says = v1::HostSays { says: Some(Says::Beat(beat)) };
        let exchange = async {
            if self.says.send(says).await.is_err() {
                return Err(gone());
            }
            self.answers.recv().await.ok_or_else(gone)?.map_err(Broken::Status)
        };
        tokio::time::timeout(ANSWER_LIMIT, exchange).await.unwrap_or(Err(Broken::Late))
    }
}

/// Reads the stream to its end.
async fn read(
    host: Arc<Host>,
    bell: Arc<Notify>,
    mut hears: Streaming<v1::HostHears>,
    says: mpsc::Sender<v1::HostSays>,
    answer: mpsc::Sender<Result<v1::BeatReply, Status>>,
) {
    let mut shown = JoinSet::new();
    let ended = loop {
        let hears = match hears.message().await {
            Ok(Some(hears)) => hears.hears,
            Ok(None) => break Status::unavailable("the stream ended"),
            Err(status) => break status,
        };
        match hears {
            Some(Hears::Beat(reply)) => {
                let Ok(()) = answer.send(Ok(reply)).await else { return };
            }
            Some(Hears::News(_)) => bell.notify_one(),
            Some(Hears::Log(wanted)) => {
                shown.spawn(show_log(Arc::clone(&host), wanted, says.clone()));
            }
            // It is newer than this program; the next beat tells what matters.
            None => {}
        }
        while shown.try_join_next().is_some() {}
    };
    // The next beat makes another one, and it is due at once: news may be missed from here on.
    bell.notify_one();
    drop(answer.send(Err(ended)).await);
}

async fn show_log(host: Arc<Host>, wanted: v1::LogWanted, says: mpsc::Sender<v1::HostSays>) {
    let (ask, at) = (wanted.ask, wanted.from);
    let part = blocking(move || show::part(&host.options.state, &wanted)).await;
    let part = part.unwrap_or_else(|error| {
        let missing = error.in_full();
        v1::LogPart { ask, at, missing, ..v1::LogPart::default() }
    });
    // The stream may have ended.
    drop(says.send(v1::HostSays { says: Some(Says::Log(part)) }).await);
}
