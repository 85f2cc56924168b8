//! Writing records into a store, so that it is served whole or not at all.
//!
//! Until the last commit the head has a mark instead of a ledger, so nobody serves what is not
//! all there yet. What is missing is worked out from what is there: a run that was interrupted
//! goes on where it stopped, and one that is repeated writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use molt_domain::board::Ledger;
use molt_retry::{Policy, Seed};
use molt_store::commit::{MAX_CHANGES, MAX_COMMIT_BYTES};
use molt_store::{
    Change, Commit, Format, Head, Json, Key, Record, SettleError, Settled, commit_and_settle,
};

use super::lead::Led;
use super::whole::as_map;
use super::{Begun, Site, Tell, TransferError, look};
use crate::engine::{Mark, Said, read_ledger};

/// For how long a store that takes no changes is asked again.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many records are written before it is said how far it has come.
const TOLD_EVERY: usize = 1000;

/// A store that is being filled.
pub(super) struct Filling<'a> {
    led: &'a Led,
    head: Head,
    present: BTreeMap<Key, Json>,
    mark: String,
    /// Records that were written or removed.
    pub(super) changed: usize,
}

/// Begins to fill the store for `work`.
pub(super) async fn begin<'a>(
    led: &'a Led,
    work: &str,
    begun: Begun,
) -> Result<Filling<'a>, TransferError> {
    let (head, records) = led.load().await?;
    state(&led.place, &head, records.len())?.admit(&led.place, work, begun)?;
    let present = as_map(&records);
    Ok(Filling { led, head, present, mark: work.to_owned(), changed: 0 })
}

/// What the store of `site` is, as far as it can be seen without its lead.
pub(super) async fn survey(site: &Site, tell: Tell<'_>) -> Result<State, TransferError> {
    let Some(seen) = look::look(site).await? else { return Ok(State::Empty) };
    let place = site.store_name();
    look::refuse_served(&place, seen.leader, tell)?;
    state(&place, &seen.head, seen.records.len())
}

/// What a store is to somebody who wants to fill it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Empty,
    Unfinished(String),
    Moved(String),
    Board(usize),
}

impl State {
    /// Whether the store at `place` may be filled by `work`.
    pub(super) fn admit(self, place: &str, work: &str, begun: Begun) -> Result<(), TransferError> {
        let place = place.to_owned();
        let found = match self {
            Self::Empty => return Ok(()),
            Self::Unfinished(other) if other == work || begun == Begun::BeginAgain => {
                return Ok(());
            }
            Self::Unfinished(begun) => return Err(TransferError::Begun { place, begun }),
            Self::Moved(to) => format!("its records moved {to}"),
            Self::Board(records) => format!("a board of {records} records is there"),
        };
        Err(TransferError::NotEmpty { place, found })
    }
}

/// What the store at `place` is, by its head and the number of its records.
pub(super) fn state(place: &str, head: &Head, records: usize) -> Result<State, TransferError> {
    let said = read_ledger(head).map_err(|source| TransferError::Unsound {
        place: place.to_owned(),
        source: Box::new(source),
    })?;
    Ok(match said {
        Said::Marked(Mark::Unfinished { unfinished }) => State::Unfinished(unfinished),
        Said::Marked(Mark::Moved { moved, .. }) => State::Moved(moved),
        Said::Board(ledger) if ledger == Ledger::default() && records == 0 => State::Empty,
        Said::Board(_) => State::Board(records),
    })
}

impl Filling<'_> {
    /// Makes the records those of `goal`, reads them back and compares. The store cannot be
    /// served yet.
    pub(super) async fn fill(
        &mut self,
        goal: &BTreeMap<Key, Json>,
        format: Format,
        tell: Tell<'_>,
    ) -> Result<(), TransferError> {
        let changes = difference(&self.present, goal);
        let (total, mut told) = (changes.len(), 0);
        let mark = Json::encode(&Mark::Unfinished { unfinished: self.mark.clone() })?;
        let mut chunks = in_chunks(changes, mark.as_str().len());
        if chunks.is_empty() && self.head.ledger != mark {
            chunks.push(Vec::new());
        }
        for chunk in chunks {
            self.changed += chunk.len();
            self.head = commit(self.led, &self.head, &mark, &chunk, format).await?;
            if self.changed - told >= TOLD_EVERY || (self.changed == total && total > 0) {
                told = self.changed;
                tell(format!("wrote {told} of {total} records"));
            }
            // A store that answers at once would keep the lead from being shown.
            tokio::task::yield_now().await;
        }
        let (head, records) = self.led.load().await?;
        self.compare(&head, &as_map(&records), goal)
    }

    /// The last commit: from now on the store is a board. It is read back and compared once more.
    pub(super) async fn finish(
        mut self,
        goal: &BTreeMap<Key, Json>,
        ledger: &Ledger,
        format: Format,
    ) -> Result<Head, TransferError> {
        let ledger = Json::encode(ledger)?;
        self.head = commit(self.led, &self.head, &ledger, &[], format).await?;
        let (head, records) = self.led.load().await?;
        self.compare(&head, &as_map(&records), goal)?;
        Ok(head)
    }

    fn compare(
        &self,
        head: &Head,
        found: &BTreeMap<Key, Json>,
        goal: &BTreeMap<Key, Json>,
    ) -> Result<(), TransferError> {
        let differs = |found| TransferError::Differs { place: self.led.place.clone(), found };
        if !head.is_at(&self.head) || head.ledger != self.head.ledger {
            return Err(differs(format!("commit {} stands at its head", head.id)));
        }
        match difference(found, goal).first() {
            None => Ok(()),
            Some(change) => Err(differs(format!("record `{}`", change.key()))),
        }
    }
}

/// What makes `to` of `from`, sorted by key.
pub(super) fn difference(from: &BTreeMap<Key, Json>, to: &BTreeMap<Key, Json>) -> Vec<Change> {
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    let mut changes: Vec<Change> = gone.map(|key| Change::Delete { key: key.clone() }).collect();
    let new = to.iter().filter(|(key, value)| from.get(*key) != Some(*value));
    changes.extend(
        new.map(|(key, value)| Change::Put(Record { key: key.clone(), value: value.clone() })),
    );
    changes
}

/// The same changes in as few commits as the limits allow, in order.
fn in_chunks(changes: Vec<Change>, ledger_bytes: usize) -> Vec<Vec<Change>> {
    let mut chunks: Vec<Vec<Change>> = Vec::new();
    let mut bytes = 0;
    for change in changes {
        let full = |chunk: &Vec<Change>| {
            chunk.len() == MAX_CHANGES || bytes + change.bytes() + ledger_bytes > MAX_COMMIT_BYTES
        };
        if chunks.last().is_none_or(full) {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes += change.bytes();
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(change);
        }
    }
    chunks
}

/// Commits `changes` on `head`; asks again for a while if the store takes none.
pub(super) async fn commit(
    led: &Led,
    head: &Head,
    ledger: &Json,
    changes: &[Change],
    format: Format,
) -> Result<Head, TransferError> {
    let mut head = head.clone();
    let mut delays = Policy::COMMIT_UNKNOWN.within(PATIENCE).delays(Seed::fresh());
    loop {
        let commit = Commit::new(&led.leadership, ledger.clone(), changes.to_vec())?;
        let commit = commit.raising_format(format);
        let mut pauses = Policy::COMMIT_UNKNOWN.delays(Seed::fresh());
        let pause =
            |_| tokio::time::sleep(pauses.next_delay().unwrap_or(Duration::from_millis(500)));
        let place = || led.place.clone();
        match commit_and_settle(led.store.as_ref(), &led.leadership, &head, commit, pause).await {
            Ok(Settled::Applied(next)) => return Ok(next),
            Ok(Settled::Lost(barrier)) => head = barrier,
            Err(SettleError::Deposed { .. } | SettleError::Overtaken { .. }) => {
                return Err(TransferError::Deposed { place: place() });
            }
            Err(SettleError::Unavailable(source)) => match delays.next_delay() {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(TransferError::Unavailable { place: place(), source }),
            },
        }
    }
}

#[cfg(test)]
mod tests;
