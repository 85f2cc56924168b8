//! A simulated host: its daemon, its disk, and what the daemon learned last.
//!
//! The daemon does what `molt-agent daemon` does about sessions: it renews them, keeps the
//! deadline that follows from the sending of the last beat that was answered, and gives back what
//! died with the machine. Files and processes are simulated; the calls are real.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molt_domain::id::{HoldId, SessionId};
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use tokio::time::Instant;

use crate::bug::{Bug, is_on};
use crate::client::{Client, Seen};
use crate::net::Net;
use crate::news::News;
use crate::random::Random;
use crate::referee::Referee;

/// Between two tries of what the coordinator did not take.
pub(crate) const AGAIN: Duration = Duration::from_millis(200);

/// What outlives the power of a machine.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) seen: Arc<Mutex<Seen>>,
    /// The sessions whose roots live, or lived when the power went.
    pub(crate) sessions: BTreeMap<SessionId, u64>,
    /// Holds that somebody here was told of and has not given back.
    pub(crate) places: BTreeSet<HoldId>,
}

/// A beat that was answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beat {
    sent: Option<Instant>,
    sessions: BTreeSet<SessionId>,
    pub(crate) lost: BTreeSet<SessionId>,
    span: Duration,
    pub(crate) kill_grace: Duration,
}

impl Beat {
    /// When runs of fleet reach of a session must be told to end; `None`: it is not renewed.
    pub(crate) fn deadline(&self, session: SessionId) -> Option<Instant> {
        let sent = self.sent.filter(|_| self.sessions.contains(&session))?;
        Some(sent + self.span)
    }
}

/// What the tasks of a machine share while it has power.
pub(crate) struct Here {
    pub(crate) host: usize,
    pub(crate) client: Client,
    pub(crate) net: Net,
    pub(crate) referee: Referee,
    pub(crate) disk: Arc<Mutex<Disk>>,
    pub(crate) beats: News<Beat>,
    /// Requests for holds whose answers nobody has.
    pub(crate) asking: AtomicUsize,
    pub(crate) switches: Arc<Switches>,
}

/// What the run tells the tasks of a machine.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    /// The daemon is dead; runs go on under their supervisors.
    pub(crate) daemon_away: AtomicBool,
    /// People only look.
    pub(crate) quiet: AtomicBool,
    /// People only add work.
    pub(crate) adds: AtomicBool,
    /// What is run takes long.
    pub(crate) long_runs: AtomicBool,
    /// Nobody takes anything new.
    pub(crate) winding_up: AtomicBool,
}

impl Here {
    pub(crate) fn name(&self) -> String {
        format!("h{}", self.host)
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a verb in the host's name, however long it takes; a refusal ends it too.
    pub(crate) async fn insist(&self, verb: Verb) {
        let caller = Some(v1::Caller { who: Some(v1::caller::Who::Host(self.name())) });
        let command = v1::Command { caller, number: 0, verb: Some(verb) };
        loop {
            match self.client.act(command.clone()).await {
                Err(Failure::Unavailable { .. } | Failure::Unknown { .. }) => {}
                _ => return,
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Gives a hold back in the host's name: nothing of it runs here.
    pub(crate) async fn give_back(&self, hold: HoldId) {
        let hold_text = hold.to_string();
        self.insist(Verb::ReleaseHold(v1::ReleaseHold { hold: hold_text, gone: true })).await;
        self.disk().places.remove(&hold);
    }
}

/// What is done when a machine has power again: everything of before is dead.
pub(crate) async fn recover(here: &Here) {
    let dead: Vec<SessionId> = here.disk().sessions.keys().copied().collect();
    for session in dead {
        let text = session.to_string();
        here.insist(Verb::RootDead(v1::RootDead { session: text })).await;
        here.disk().sessions.remove(&session);
    }
    loop {
        if let Ok(reply) = here.client.beat(means(here, &[])).await {
            for hold in parsed::<HoldId>(&reply.holds) {
                here.give_back(hold).await;
            }
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The daemon's loop.
pub(crate) async fn daemon(here: Arc<Here>, mut random: Random) {
    let mut heartbeat = Duration::from_secs(1);
    let mut stray: BTreeSet<HoldId> = BTreeSet::new();
    loop {
        if !here.switches.daemon_away.load(Ordering::Relaxed) {
            match beat(&here, &mut heartbeat).await {
                Some(reply) => stray = tidy(&here, &reply, &stray).await,
                None => {
                    tokio::time::sleep(Duration::from_millis(random.within((50, 400)))).await;
                    continue;
                }
            }
        }
        tokio::time::sleep(heartbeat).await;
    }
}

async fn beat(here: &Here, heartbeat: &mut Duration) -> Option<v1::BeatReply> {
    let named: Vec<SessionId> = here.disk().sessions.keys().copied().collect();
    let (sent, truly) = (Instant::now(), here.net.now());
    let reply = here.client.beat(means(here, &named)).await.ok()?;
    *heartbeat = Duration::from_millis(reply.heartbeat_ms.max(100));
    let lost: BTreeSet<SessionId> = parsed(&reply.lost).collect();
    let sessions: BTreeSet<SessionId> =
        named.into_iter().filter(|session| !lost.contains(session)).collect();
    let renewed: Vec<SessionId> = sessions.iter().copied().collect();
    here.referee.beat(&renewed, truly);
    let sent = if is_on(Bug::DeadlineFromAnswer) { Instant::now() } else { sent };
    let span = reply.session_ttl_ms.saturating_sub(reply.margin_ms);
    here.beats.tell(Beat {
        sent: Some(sent),
        sessions,
        lost,
        span: Duration::from_millis(span),
        kill_grace: Duration::from_millis(reply.kill_grace_ms),
    });
    Some(reply)
}

/// Gives back holds of this host that nobody here knows of, once nobody asks for any; those that
/// were seen once are waited for.
async fn tidy(here: &Here, reply: &v1::BeatReply, seen: &BTreeSet<HoldId>) -> BTreeSet<HoldId> {
    if here.asking.load(Ordering::Relaxed) > 0 {
        return BTreeSet::new();
    }
    let unknown: BTreeSet<HoldId> = {
        let disk = here.disk();
        parsed(&reply.holds).filter(|hold| !disk.places.contains(hold)).collect()
    };
    for hold in unknown.intersection(seen) {
        here.net.step(|| format!("stray {hold} on h{}", here.host));
        here.give_back(*hold).await;
    }
    unknown
}

fn means(here: &Here, sessions: &[SessionId]) -> v1::BeatRequest {
    v1::BeatRequest {
        host: here.name(),
        cores: 4,
        memory: 1 << 30,
        sessions: sessions.iter().map(ToString::to_string).collect(),
        ..v1::BeatRequest::default()
    }
}

pub(crate) fn parsed<T: std::str::FromStr>(texts: &[String]) -> impl Iterator<Item = T> {
    texts.iter().filter_map(|text| text.parse().ok())
}
