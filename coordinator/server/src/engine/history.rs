//! What happened: the last entries for those who watch, and the entries that the store still holds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use molt_domain::audit::{Anchor, Entry};
use molt_domain::board::Event;
use molt_store::{Change, Json, Key, Record};
use tokio::sync::{Notify, watch};

use super::pulse::{Beat, Pulse};
use super::waiting::{Attendant, Place, Waiting};

/// Entries that late watchers still find.
const KEPT: usize = 20_000;

/// Sealed at most in one commit: the store's own limit with room for the anchor.
const SEAL_STEP: usize = 100;

/// The record that says how far the audit is sealed in files.
pub(super) const SEAL: &str = "seal/anchor";

/// The entries asked for are not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entries before {oldest} are not kept: read the state, then watch from there")]
pub struct Compacted {
    /// The oldest entry that is kept.
    pub oldest: u64,
}

/// The last entries, shared with those who watch.
///
/// Behind a lock because watchers read it on their own tasks; nothing is decided by it.
#[derive(Debug, Clone)]
pub struct History {
    shared: Arc<Mutex<Entries>>,
    pulse: Pulse,
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct Entries {
    kept: VecDeque<Arc<Entry>>,
    /// Entries up to here are in files.
    sealed: u64,
    /// The last entry that changed who covers what, or by which policy.
    mapped: u64,
    /// Who is woken by which events.
    nudges: Vec<(Concerns, Arc<Notify>)>,
}

/// Whether an event concerns somebody.
type Concerns = fn(&Event) -> bool;

/// What there is after a number, in steps; then it is to be asked again after a beat.
#[derive(Debug)]
pub struct Subscription {
    history: History,
    after: u64,
    /// Beats when there is something new.
    pub beats: watch::Receiver<Beat>,
}

impl Subscription {
    /// The next entries, at most `count`; none when all are read.
    ///
    /// # Errors
    ///
    /// [`Compacted`] for a reader that is too slow: what it would read next is gone.
    pub fn next(&mut self, count: usize) -> Result<Vec<Arc<Entry>>, Compacted> {
        let next = self.history.after(self.after, count)?;
        self.after = next.last().map_or(self.after, |entry| entry.seq);
        Ok(next)
    }
}

impl History {
    fn new(sealed: u64) -> Self {
        let entries = Entries { sealed, ..Entries::default() };
        Self {
            shared: Arc::new(Mutex::new(entries)),
            pulse: Pulse::new(sealed),
            waiting: Waiting::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries after `after`, and what comes.
    ///
    /// # Errors
    ///
    /// [`Compacted`] when entries right after `after` are not kept any more.
    pub fn subscribe(&self, after: u64) -> Result<Subscription, Compacted> {
        self.after(after, 0)?;
        Ok(Subscription { history: self.clone(), after, beats: self.pulse.subscribe() })
    }

    /// The first entries after a number, at most `count`.
    fn after(&self, after: u64, count: usize) -> Result<Vec<Arc<Entry>>, Compacted> {
        let entries = self.lock();
        let oldest = entries.kept.front().map_or(entries.sealed + 1, |entry| entry.seq);
        if after + 1 < oldest {
            return Err(Compacted { oldest });
        }
        let from = entries.kept.partition_point(|entry| entry.seq <= after);
        Ok(entries.kept.iter().skip(from).take(count).map(Arc::clone).collect())
    }

    /// Attends to a place in a line.
    #[must_use]
    pub fn attend(&self, place: Place) -> Attendant {
        self.waiting.attend(place)
    }

    /// Tells watchers that there is something new, for as long as it is polled.
    pub(super) async fn tell(self) {
        let (pulse, history) = (self.pulse.clone(), self);
        pulse.run(|| history.last()).await;
    }

    /// Ends every stream.
    pub(super) fn end(&self) {
        self.pulse.end();
    }

    /// What is notified when something happens that `concerns` somebody. All else wakes nobody: a
    /// commit that a caller waits for is not kept from its answer by those whom it does not concern.
    #[must_use]
    pub fn nudge(&self, concerns: Concerns) -> Arc<Notify> {
        let nudge = Arc::new(Notify::new());
        self.lock().nudges.push((concerns, Arc::clone(&nudge)));
        nudge
    }

    /// The number of the last entry.
    #[must_use]
    pub fn last(&self) -> u64 {
        let entries = self.lock();
        entries.kept.back().map_or(entries.sealed, |entry| entry.seq)
    }

    /// The number of the last entry that changed who covers what, or by which policy.
    #[must_use]
    pub fn mapped(&self) -> u64 {
        self.lock().mapped
    }

    /// Up to which number entries are sealed in files.
    #[must_use]
    pub fn sealed(&self) -> u64 {
        self.lock().sealed
    }

    /// How many entries are only in the store.
    #[must_use]
    pub fn unsealed(&self) -> usize {
        let entries = self.lock();
        entries.kept.len() - entries.kept.partition_point(|entry| entry.seq <= entries.sealed)
    }

    /// The oldest entries that are only in the store, at most `count`.
    #[must_use]
    pub fn oldest_unsealed(&self, count: usize) -> Vec<Arc<Entry>> {
        let entries = self.lock();
        let from = entries.kept.partition_point(|entry| entry.seq <= entries.sealed);
        entries.kept.iter().skip(from).take(count).map(Arc::clone).collect()
    }

    fn extend(&self, new: &[Arc<Entry>]) {
        let mut entries = self.lock();
        entries.kept.extend(new.iter().map(Arc::clone));
        // What is in no file yet is kept, however much it is.
        let in_files = entries.kept.partition_point(|entry| entry.seq <= entries.sealed);
        let excess = entries.kept.len().saturating_sub(KEPT).min(in_files);
        entries.kept.drain(..excess);
        if let Some(last) = new.iter().rev().find(|entry| changes_the_map(&entry.event)) {
            entries.mapped = last.seq;
        }
        for (concerns, nudge) in &entries.nudges {
            if new.iter().any(|entry| concerns(&entry.event)) {
                nudge.notify_one();
            }
        }
        drop(entries);
        for entry in new {
            self.waiting.stir(&entry.event);
        }
        self.pulse.freshen();
    }
}

/// Whether an event changes what a snapshot of a repository's claims and policy says.
fn changes_the_map(event: &Event) -> bool {
    matches!(
        event,
        Event::BaseRead { .. }
            | Event::Claimed { .. }
            | Event::Changed { .. }
            | Event::Narrowed { .. }
            | Event::HandedOver { .. }
            | Event::Released { .. }
            | Event::Lapsed { .. }
            | Event::Revoked { .. }
            | Event::Lost { .. }
            | Event::Left { .. }
            | Event::Resumed { .. }
            | Event::TaskTaken { .. }
    )
}

/// The audit's records that are in the store.
#[derive(Debug)]
pub(super) struct Journal {
    history: History,
    stored: VecDeque<Stored>,
}

#[derive(Debug)]
struct Stored {
    key: Key,
    last: Anchor,
}

impl Journal {
    /// A journal of the records that were found.
    pub(super) fn new(sealed: u64, found: Vec<(Key, Vec<Entry>)>) -> Self {
        let mut journal = Self { history: History::new(sealed), stored: VecDeque::new() };
        for (key, entries) in found {
            journal.keep(key, entries);
        }
        journal
    }

    pub(super) fn history(&self) -> History {
        self.history.clone()
    }

    pub(super) fn publish(&mut self, entries: Vec<Entry>) {
        if let Some(first) = entries.first() {
            let key = record(first.seq, &[]).key;
            self.keep(key, entries);
        }
    }

    fn keep(&mut self, key: Key, entries: Vec<Entry>) {
        let Some(last) = entries.last() else { return };
        let last = Anchor { seq: last.seq, hash: last.hash.clone() };
        self.stored.push_back(Stored { key, last });
        let entries: Vec<Arc<Entry>> = entries.into_iter().map(Arc::new).collect();
        self.history.extend(&entries);
    }

    /// What removes the records that end at or before `through`, and the anchor that is kept.
    pub(super) fn sealed(&self, through: u64) -> Option<(Vec<Change>, Anchor)> {
        let whole = self.stored.iter().take_while(|stored| stored.last.seq <= through);
        let gone: Vec<&Stored> = whole.take(SEAL_STEP).collect();
        let anchor = gone.last()?.last.clone();
        let mut changes: Vec<Change> =
            gone.iter().map(|stored| Change::Delete { key: stored.key.clone() }).collect();
        changes.push(Change::Put(anchor_record(&anchor)));
        Some((changes, anchor))
    }

    /// Forgets what was removed from the store.
    pub(super) fn forget(&mut self, anchor: &Anchor) {
        while self.stored.front().is_some_and(|stored| stored.last.seq <= anchor.seq) {
            self.stored.pop_front();
        }
        self.history.lock().sealed = anchor.seq;
    }
}

/// One commit's entries as one record.
#[expect(clippy::expect_used, reason = "the key is digits, entries have string keys")]
pub(crate) fn record(first: u64, entries: &[Entry]) -> Record {
    let key = Key::parse(format!("audit/{first:020}")).expect("a word and digits");
    let value = Json::encode(&entries).expect("entries have string keys and finite numbers");
    Record { key, value }
}

#[expect(clippy::expect_used, reason = "a constant key, a plain value")]
fn anchor_record(anchor: &Anchor) -> Record {
    let key = Key::parse(SEAL).expect("a constant");
    let value = Json::encode(anchor).expect("a number and a text");
    Record { key, value }
}

#[cfg(test)]
mod tests {
    use molt_domain::audit;
    use molt_domain::board::{Actor, Now};
    use molt_domain::id::BoardTime;

    use super::*;

    fn raised(epoch: u64) -> Event {
        Event::EpochRaised { epoch, reason: "lost".to_owned() }
    }

    #[test]
    fn who_watches_from_too_long_ago_is_told_where_to_begin() {
        let mut journal = Journal::new(0, Vec::new());
        let mut anchor = Anchor::genesis();
        let now = Now { board: BoardTime(1), wall: 1 };
        let history = journal.history();
        for epoch in 1..=KEPT as u64 + 5 {
            let events = vec![raised(epoch)];
            journal.publish(audit::append(&mut anchor, now, &Actor::Coordinator, events));
        }
        assert!(history.subscribe(0).is_ok(), "what is in no file yet is kept, however much it is");
        while let Some((_, anchor)) = journal.sealed(history.last()) {
            journal.forget(&anchor);
        }
        journal.publish(audit::append(&mut anchor, now, &Actor::Coordinator, vec![raised(0)]));
        let oldest = 7;
        assert_eq!(history.subscribe(0).unwrap_err(), Compacted { oldest });
        assert_eq!(history.subscribe(oldest - 2).unwrap_err(), Compacted { oldest });
        let past = history.subscribe(oldest - 1).unwrap().next(usize::MAX).unwrap();
        assert_eq!(past.first().map(|entry| entry.seq), Some(oldest));
        assert_eq!(past.len(), KEPT);
    }
}
