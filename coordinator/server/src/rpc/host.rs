//! The streams of host daemons: each renews, hears what it is to do, and shows logs.
//!
//! Not here: what a beat means for sessions and jobs (the board), and who may
//! speak for which host (`auth`).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molt_domain::board::{Event, Request};
use molt_domain::id::SessionId;
use molt_domain::name::HostName;
use molt_proto::convert::Beat;
use molt_proto::v1::host_hears::Hears;
use molt_proto::v1::host_says::Says;
use molt_proto::{v1, view};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::guest::Guest;
use super::{Answers, Service, refused, status, words};
use crate::engine;

/// How long a host may take to show a part of a log.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// How long a daemon is not sent the map of claims again where nothing changed: its guard believes
/// one for three times as long (`FRESH` in `molt-agent`).
const MAP_HOLDS: Duration = Duration::from_secs(20);

/// Hosts whose daemons are connected, and what they were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    connected: Arc<Mutex<Connected>>,
}

#[derive(Debug, Default)]
struct Connected {
    /// The number of the connection keeps a stream that ends late from closing the one after it.
    hosts: HashMap<HostName, (u64, mpsc::Sender<v1::LogWanted>)>,
    asked: HashMap<u64, oneshot::Sender<v1::LogPart>>,
    last: u64,
}

/// Why a host shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silent {
    /// Its daemon is not connected.
    Away,
    /// It does not answer in time.
    Slow,
}

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, Connected> {
        // Each step below is one change of a map, so a panic leaves it whole.
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, host: &HostName) -> (u64, mpsc::Receiver<v1::LogWanted>) {
        let (sender, receiver) = mpsc::channel(16);
        let mut connected = self.lock();
        connected.last += 1;
        let number = connected.last;
        connected.hosts.insert(host.clone(), (number, sender));
        (number, receiver)
    }

    fn leave(&self, host: &HostName, number: u64) {
        let mut connected = self.lock();
        if connected.hosts.get(host).is_some_and(|(current, _)| *current == number) {
            connected.hosts.remove(host);
        }
    }

    fn shown(&self, part: v1::LogPart) {
        if let Some(asked) = self.lock().asked.remove(&part.ask) {
            // Whoever asked may have gone.
            drop(asked.send(part));
        }
    }

    /// Asks a host for a part of a job's log.
    pub(super) async fn ask(
        &self,
        host: &HostName,
        wanted: v1::LogWanted,
    ) -> Result<v1::LogPart, Silent> {
        let (sender, receiver) = oneshot::channel();
        let (ask, connection) = {
            let mut connected = self.lock();
            let (_, connection) = connected.hosts.get(host).cloned().ok_or(Silent::Away)?;
            connected.last += 1;
            let ask = connected.last;
            connected.asked.insert(ask, sender);
            (ask, connection)
        };
        if connection.try_send(v1::LogWanted { ask, ..wanted }).is_err() {
            self.lock().asked.remove(&ask);
            return Err(Silent::Away);
        }
        let part = tokio::time::timeout(SHOWN_WITHIN, receiver).await;
        self.lock().asked.remove(&ask);
        match part {
            Ok(Ok(part)) => Ok(part),
            Ok(Err(_)) => Err(Silent::Away),
            Err(_) => Err(Silent::Slow),
        }
    }
}

/// Serves one daemon's stream until it ends.
pub(super) fn stream(
    service: Service,
    guest: Guest,
    says: Streaming<v1::HostSays>,
) -> Answers<v1::HostHears> {
    let (sender, receiver) = mpsc::channel(8);
    super::detach(async move {
        let stop = service.stop.clone();
        let serving = Daemon { service, guest, host: None, sessions: BTreeSet::new(), map: None };
        let ended = tokio::select! {
            biased;
            ended = serving.serve(says, &sender) => ended,
            () = stop.cancelled() => Ok(()),
            () = sender.closed() => Ok(()),
        };
        if let Err(status) = ended {
            drop(sender.send(Err(status)).await);
        }
    });
    Box::pin(ReceiverStream::new(receiver))
}

/// One daemon's stream.
struct Daemon {
    service: Service,
    guest: Guest,
    host: Option<Entered>,
    /// The sessions that it renewed last.
    sessions: BTreeSet<SessionId>,
    /// The map of claims that it was sent last.
    map: Option<Map>,
}

/// A map of claims that a daemon was sent.
struct Map {
    /// The number of the entry that made it.
    entry: u64,
    /// The sessions that it was for.
    sessions: BTreeSet<SessionId>,
    sent: Instant,
}

impl Map {
    /// Whether the daemon needs no other one at `now`.
    fn holds(&self, entry: u64, sessions: &BTreeSet<SessionId>, now: Instant) -> bool {
        self.entry == entry && self.sessions == *sessions && now < self.sent + MAP_HOLDS
    }
}

/// A host that is connected; it is not any more when the value is dropped.
struct Entered {
    hosts: Hosts,
    name: HostName,
    number: u64,
    wanted: mpsc::Receiver<v1::LogWanted>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.hosts.leave(&self.name, self.number);
    }
}

type Hearing = mpsc::Sender<Result<v1::HostHears, Status>>;

impl Daemon {
    async fn serve(
        mut self,
        mut says: Streaming<v1::HostSays>,
        hearing: &Hearing,
    ) -> Result<(), Status> {
        let history = self.service.handle.history().clone();
        let mut news = follow(&history);
        loop {
            let hears = tokio::select! {
                // A beat first: sessions live by it, and its answer tells the news too. A daemon
                // that beats without a pause only keeps itself from hearing more.
                biased;
                said = says.message() => match said.map_err(words::unreadable)?.map(|said| said.says) {
                    None => return Ok(()),
                    Some(Some(Says::Beat(beat))) => Some(Hears::Beat(self.beat(beat).await?)),
                    Some(Some(Says::Log(part))) => {
                        self.service.hosts.shown(part);
                        None
                    }
                    // It is newer than this program.
                    Some(None) => None,
                },
                changed = news.beats.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.is_news(&mut news, &history).then_some(Hears::News(v1::Empty {}))
                }
                wanted = wanted(self.host.as_mut()) => Some(Hears::Log(wanted)),
            };
            if let Some(hears) = hears
                && hearing.send(Ok(v1::HostHears { hears: Some(hears) })).await.is_err()
            {
                return Ok(());
            }
        }
    }

    /// Renews what the host names, and tells it what the board has for it.
    async fn beat(&mut self, beat: v1::BeatRequest) -> Result<v1::BeatReply, Status> {
        let beat = Beat::try_from(beat).map_err(|invalid| refused(&invalid.into()))?;
        self.service.charge(&self.guest)?;
        let sessions = self.service.renewable(&self.guest, &beat).await?;
        let beat = Beat { sessions, ..beat };
        let Service { handle, hosts, remotes, .. } = &self.service;
        if self.host.as_ref().is_none_or(|entered| entered.name != beat.host) {
            let (number, wanted) = hosts.enter(&beat.host);
            let (hosts, name) = (hosts.clone(), beat.host.clone());
            self.host = Some(Entered { hosts, name, number, wanted });
        }
        handle.beat(beat.host.clone(), beat.sessions.clone(), beat.signs.clone()).await;
        let request = Request { peer: self.guest.peer.clone(), ..beat.request() };
        handle.submit(request, |_, _| ()).await.map_err(status)?;
        let renewed: BTreeSet<SessionId> = beat.sessions.iter().copied().collect();
        // Before the board is read: what happens in between is sent again.
        let (entry, now) = (handle.history().mapped(), Instant::now());
        let holds = self.map.as_ref().is_some_and(|map| map.holds(entry, &renewed, now));
        let snapshots = if holds { view::Snapshots::Known } else { view::Snapshots::Wanted };
        let remotes = Arc::clone(remotes);
        let read = handle.read(move |at| {
            view::beat_reply(at.board, &beat, &remotes, snapshots, at.now, (at.term, at.rev))
        });
        let reply = read.await.map_err(status)?;
        if !holds {
            self.map = Some(Map { entry, sessions: renewed.clone(), sent: now });
        }
        self.sessions = renewed;
        Ok(reply)
    }

    /// Whether something happened that the host should ask about.
    fn is_news(&self, news: &mut engine::Subscription, history: &engine::History) -> bool {
        loop {
            match news.next(256) {
                Ok(entries) if entries.is_empty() => return false,
                Ok(entries) => {
                    if entries.iter().any(|entry| self.concerns(&entry.event)) {
                        // What else there is, the next answer tells too.
                        *news = follow(history);
                        return true;
                    }
                }
                Err(_) => {
                    *news = follow(history);
                    return true;
                }
            }
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        let here = |host: &HostName| self.host.as_ref().is_some_and(|own| own.name == *host);
        match event {
            Event::JobAssigned { host, .. } | Event::Joined { host, .. } => here(host),
            Event::JobCancelled { .. } | Event::JobReturned { .. } => true,
            // What the host's own guard must know at once; of others the next answer tells.
            Event::Claimed { session, .. }
            | Event::Narrowed { session, .. }
            | Event::Released { session, .. }
            | Event::Lapsed { session, .. }
            | Event::Left { session, .. }
            | Event::Lost { session, .. }
            | Event::Resumed { session, .. }
            | Event::Revoked { session, .. } => self.sessions.contains(session),
            Event::HandedOver { session, to, .. } => {
                self.sessions.contains(session) || self.sessions.contains(to)
            }
            _ => false,
        }
    }
}

/// What happens from now on.
fn follow(history: &engine::History) -> engine::Subscription {
    loop {
        // The last entry is always kept, unless it leaves right now.
        if let Ok(subscription) = history.subscribe(history.last()) {
            return subscription;
        }
    }
}

/// What the host is asked for next; nothing before its first beat.
async fn wanted(host: Option<&mut Entered>) -> v1::LogWanted {
    if let Some(host) = host
        && let Some(wanted) = host.wanted.recv().await
    {
        return wanted;
    }
    // A later stream of the same host has its place.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_fleet_keeps_its_guards_fresh() {
        let own = BTreeSet::from([SessionId::from_counter(1)]);
        let sent = Instant::now();
        let map = Map { entry: 7, sessions: own.clone(), sent };
        assert!(map.holds(7, &own, sent + MAP_HOLDS - Duration::from_millis(1)));
        assert!(!map.holds(7, &own, sent + MAP_HOLDS), "though nothing changed");
        assert!(!map.holds(8, &own, sent), "claims changed");
        assert!(!map.holds(7, &BTreeSet::new(), sent), "it is of other sessions");
    }
}
