//! How watchers learn that there is something new: together, and not more often than they can read.
//!
//! A commit never wakes watchers itself. They are woken at once after a quiet
//! time and then once every [`COALESCE`], so that a thousand of them cost the
//! same whether one or a hundred things happened in between.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// For how long what happens is gathered before watchers are told.
pub(super) const COALESCE: Duration = Duration::from_millis(50);

/// How far the stream of entries has come, for those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Entries up to this number are there.
    Upto(u64),
    /// This leadership is over: nothing comes any more.
    Over,
}

/// The sender's side.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    fresh: Arc<Notify>,
    beat: watch::Sender<Beat>,
}

impl Pulse {
    pub(super) fn new(last: u64) -> Self {
        Self { fresh: Arc::default(), beat: watch::Sender::new(Beat::Upto(last)) }
    }

    /// Says that there is something new.
    pub(super) fn freshen(&self) {
        self.fresh.notify_one();
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Beat> {
        self.beat.subscribe()
    }

    /// Beats for as long as it is polled; `last` tells how far the entries have come.
    pub(super) async fn run(self, last: impl Fn() -> u64) {
        loop {
            self.fresh.notified().await;
            self.beat.send_replace(Beat::Upto(last()));
            tokio::time::sleep(COALESCE).await;
        }
    }

    /// Ends every stream.
    pub(super) fn end(&self) {
        self.beat.send_replace(Beat::Over);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happens_in_a_moment_is_told_once() {
        let (pulse, last) = (Pulse::new(0), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&last);
        tasks.spawn(pulse.clone().run(move || seen.load(Ordering::Relaxed)));
        let mut beats = pulse.subscribe();
        let began = tokio::time::Instant::now();
        for number in 1..=10 {
            last.store(number, Ordering::Relaxed);
            pulse.freshen();
            tokio::task::yield_now().await;
        }
        let mut told = Vec::new();
        while told.last() != Some(&Beat::Upto(10)) {
            beats.changed().await.unwrap();
            told.push(*beats.borrow_and_update());
        }
        assert_eq!(told, [Beat::Upto(1), Beat::Upto(10)]);
        assert_eq!(began.elapsed(), COALESCE);
        pulse.end();
        beats.changed().await.unwrap();
        assert_eq!(*beats.borrow(), Beat::Over);
    }
}
