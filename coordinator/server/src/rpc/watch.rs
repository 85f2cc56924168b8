//! Streams of what happened: to watch from a number on, and to export whole.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use molt_domain::audit::Entry;
use molt_domain::board::{Event, Refusal};
use molt_proto::{error, v1, view};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use super::Answers;
use super::guest::{Detail, Sight};
use crate::engine::{Beat, Compacted, History, Subscription};
use crate::reconcile::Archive;

/// How many entries a stream takes at once: a reader that is far behind holds no more than these.
const STEP: usize = 256;

/// How far a stream of entries goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// To what was there when it was read.
    Present,
    /// Until the leadership ends, or the token by which the reader came.
    Over,
}

/// Entries after a number, as far as is asked for.
pub(super) fn entries(
    history: &History,
    request: v1::WatchRequest,
    sight: Sight,
) -> Result<Answers<v1::Entry>, Status> {
    let v1::WatchRequest { after, tail, present } = request;
    let last = history.last();
    let after = match (tail, present) {
        (true, true) => last.saturating_sub(1),
        (true, false) => last,
        (false, _) => after,
    };
    if after > last {
        // Whoever was told of it was told by records that are lost, or by another fleet: nothing
        // is new there until that many things have happened, and then the wrong ones.
        let (given, current) = (after.to_string(), last.to_string());
        let stale = Refusal::Stale { what: "the last entry".to_owned(), given, current };
        return Err(error::status(&stale, None));
    }
    let subscription = history.subscribe(after).map_err(compacted)?;
    let beats = WatchStream::new(subscription.beats.clone());
    let until = if present { Until::Present } else { Until::Over };
    let pending = VecDeque::new();
    Ok(Box::pin(Entries { subscription, beats, pending, sight, until, over: false }))
}

fn compacted(compacted: Compacted) -> Status {
    error::compacted(compacted.oldest)
}

/// What is there is given out without a pause, so that it leaves in few frames.
struct Entries {
    subscription: Subscription,
    beats: WatchStream<Beat>,
    pending: VecDeque<Arc<Entry>>,
    sight: Sight,
    until: Until,
    over: bool,
}

impl Stream for Entries {
    type Item = Result<v1::Entry, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            if let Some(entry) = self.pending.pop_front() {
                if let Some(ended) = self.sight.ends_with(&entry) {
                    self.over = true;
                    return Poll::Ready(Some(Err(ended)));
                }
                return Poll::Ready(Some(Ok(self.sight.of(&entry))));
            }
            match self.subscription.next(STEP) {
                Ok(next) if next.is_empty() && self.until == Until::Present => self.over = true,
                Ok(next) if next.is_empty() => {}
                Ok(next) => {
                    self.pending.extend(next);
                    continue;
                }
                Err(gone) => return Poll::Ready(Some(Err(compacted(gone)))),
            }
            if self.over {
                continue;
            }
            match ready!(Pin::new(&mut self.beats).poll_next(context)) {
                Some(Beat::Upto(_)) => {}
                Some(Beat::Over) | None => return Poll::Ready(None),
            }
        }
    }
}

impl Sight {
    fn of(self, entry: &Entry) -> v1::Entry {
        match self.detail {
            Detail::Whole => view::entry(entry),
            Detail::Number => v1::Entry {
                seq: entry.seq,
                json: "{}".to_owned(),
                line: "something happened; the token is not for every repository".to_owned(),
            },
        }
    }

    /// That an entry took back the token by which its reader came.
    fn ends_with(self, entry: &Entry) -> Option<Status> {
        match &entry.event {
            Event::TokenRevoked { token, reason, .. } if Some(*token) == self.token => {
                let problem = format!("token {token} was revoked: {reason}");
                let needs = "a token that is good".to_owned();
                Some(error::status(&Refusal::Unauthenticated { problem, needs }, None))
            }
            _ => None,
        }
    }
}

/// The whole audit after a number: sealed files first, then what is in the store.
pub(super) async fn audit(
    history: &History,
    archive: &Archive,
    after: u64,
) -> Result<Answers<v1::Entry>, Status> {
    let archive = archive.clone();
    let read = tokio::task::spawn_blocking(move || archive.after(after)).await;
    let sealed = match read {
        Ok(Ok(entries)) => entries,
        Ok(Err(error)) => {
            let reason = crate::reconcile::chain(&error);
            return Err(Status::internal(reason));
        }
        Err(error) => return Err(Status::internal(error.to_string())),
    };
    let last = sealed.last().map_or(after, |entry| entry.seq);
    let rest = match history.subscribe(last) {
        Ok(mut rest) => rest.next(usize::MAX).map_err(compacted)?,
        Err(Compacted { oldest }) => return Err(elsewhere(last + 1, oldest - 1)),
    };
    let numbers = sealed.iter().map(|entry| entry.seq).chain(rest.iter().map(|entry| entry.seq));
    let mut next = after + 1;
    for number in numbers {
        if number != next {
            return Err(elsewhere(next, number - 1));
        }
        next = number + 1;
    }
    let sealed: Vec<v1::Entry> = sealed.iter().map(view::entry).collect();
    let rest: Vec<v1::Entry> = rest.iter().map(|entry| view::entry(entry)).collect();
    Ok(Box::pin(tokio_stream::iter(sealed.into_iter().chain(rest)).map(Ok)))
}

/// That entries are in files of another coordinator, which led when they were sealed.
fn elsewhere(first: u64, last: u64) -> Status {
    let name = format!("{first} to {last}, in the audit folder of this coordinator");
    let refusal = Refusal::NotFound { kind: "audit entries".to_owned(), name, nearest: None };
    error::status(&refusal, None)
}

#[cfg(test)]
mod tests {
    use molt_domain::policy::Spans;
    use molt_store::{Candidate, MemoryStore};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::clock::Clock;
    use crate::engine::Engine;
    use crate::fixture;

    /// What is told to somebody who sees all of it.
    fn told(history: &History, after: u64, tail: bool, present: bool) -> Answers<v1::Entry> {
        let sight = Sight { token: None, detail: Detail::Whole };
        entries(history, v1::WatchRequest { after, tail, present }, sight).unwrap()
    }

    async fn numbers(told: Answers<v1::Entry>) -> Vec<u64> {
        told.map(|entry| entry.unwrap().seq).collect().await
    }

    #[tokio::test]
    async fn the_present_ends_with_what_is_there_and_else_a_stream_goes_on() {
        let candidate = Candidate::new("test", "nowhere");
        let store = Arc::new(MemoryStore::default());
        let (engine, handle, _) =
            Engine::open(store, &candidate, Spans::default(), Clock::Machine).await.unwrap();
        let running = engine.start(CancellationToken::new());
        handle.own(fixture::reads_base()).await.unwrap();
        handle.own(fixture::joins("ann")).await.unwrap();
        let history = handle.history().clone();
        let last = history.last();
        assert!(last >= 2, "{last}");

        assert_eq!(numbers(told(&history, 0, false, true)).await, (1..=last).collect::<Vec<_>>());
        assert_eq!(numbers(told(&history, last - 1, false, true)).await, [last]);
        assert!(numbers(told(&history, last, false, true)).await.is_empty(), "nothing is new");
        assert_eq!(numbers(told(&history, 0, true, true)).await, [last], "the last alone");

        let mut going_on = told(&history, last - 1, false, false);
        let mut from_now = told(&history, 0, true, false);
        assert_eq!(going_on.next().await.unwrap().unwrap().seq, last);
        handle.own(fixture::joins("bob")).await.unwrap();
        assert_eq!(going_on.next().await.unwrap().unwrap().seq, last + 1);
        assert_eq!(from_now.next().await.unwrap().unwrap().seq, last + 1);
        drop(handle);
        running.await.unwrap().unwrap();
        let rest = numbers(going_on).await;
        assert!(rest.into_iter().eq(last + 2..=history.last()), "it ends with the leadership");
    }
}
