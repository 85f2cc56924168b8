//! A commit that is on its way: sent off, waited for, landed or taken back.
//!
//! There is one at a time, since each compares the head that the one before it
//! made. Not here: what a batch consists of ([`super::batch`]).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use molt_domain::audit::Entry;
use molt_domain::board::Ledger;
use molt_retry::Policy;
use molt_store::{Commit, Json, SettleError, Settled};
use tracing::warn;

use super::answers::{Layout, Step};
use super::batch::Batch;
use super::handle::{Failure, Source};
use super::{Ended, Engine, format, sleep_or_never};
use crate::fault::fault;

/// What became of a commit; `None` when this leader must not wait for it any longer. Then the next
/// leader finds it in what it loads.
pub(super) type Landed = Option<Result<Settled, SettleError>>;

/// A batch whose commit is on its way.
pub(super) struct Flight {
    batch: Batch,
    entries: Vec<Entry>,
    step: Step,
    /// When it was sent, since boot.
    sent: Duration,
    settling: Pin<Box<dyn Future<Output = Landed> + Send>>,
}

/// Waits for a flight; for ever if there is none. Whoever stops waiting may begin again.
pub(super) async fn landing(flight: &mut Option<Flight>) -> Landed {
    match flight {
        Some(flight) => flight.settling.as_mut().await,
        None => std::future::pending().await,
    }
}

impl Engine {
    /// Sends the batch off. What changes nothing is answered at once.
    pub(super) fn launch(&mut self) -> Result<(), Ended> {
        let mut batch = std::mem::take(&mut self.batch);
        if !batch.changes_anything() {
            batch.deliver(&self.certain().map(|()| Source::Memory));
            return Ok(());
        }
        let (mut written, entries) = batch.written();
        let layout = Layout::of(self.head.format);
        let (step, answers) = self.answers.step(batch.answers(), &self.board, layout);
        written.extend(answers);
        let ledger = Ledger { time: self.now().board, ..self.board.ledger().clone() };
        let commit = Json::encode(&ledger)
            .map_err(|error| Ended::Unbuildable(error.into()))
            .and_then(|ledger| {
                Commit::new(&self.leadership, ledger, written)
                    .map_err(|error| Ended::Unbuildable(error.into()))
            });
        let commit = match commit {
            Ok(commit) => match batch.format {
                Some(format) => commit.raising_format(format::of_store(format)),
                None => commit,
            },
            Err(ended) => {
                warn!(phase = "commit", "a batch could not be built");
                self.undo(batch, Failure::Unavailable("the change does not fit a commit".into()));
                return Err(ended);
            }
        };
        if fault!(AnsweredFirst) {
            batch.deliver(&Ok(Source::Commit));
        }
        self.board.set_ledger(ledger);
        let (sent, settling) = (self.clock.sending(), Box::pin(self.settling(commit)));
        self.flight = Some(Flight { batch, entries, step, sent, settling });
        Ok(())
    }

    /// Commits until the outcome is known, or this leader's horizon is reached.
    pub(super) fn settling(&self, commit: Commit) -> impl Future<Output = Landed> + Send + use<> {
        let (store, leadership) = (Arc::clone(&self.store), self.leadership.clone());
        let (head, patience) = (self.head.clone(), self.horizon.patience());
        async move {
            let mut delays = Policy::COMMIT_UNKNOWN.delays(molt_retry::Seed::fresh());
            let pause = |_| {
                // Out of patience is not out of duty: the outcome must be known before anything
                // else.
                let delay = delays.next_delay().unwrap_or(Duration::from_millis(500));
                tokio::time::sleep(delay)
            };
            let settling =
                molt_store::commit_and_settle(store.as_ref(), &leadership, &head, commit, pause);
            tokio::select! {
                // What is known counts, even if it is known at the last moment.
                biased;
                settled = settling => Some(settled),
                () = sleep_or_never(patience) => None,
            }
        }
    }

    /// Answers and publishes what the store took; takes back what it did not.
    pub(super) fn land(&mut self, landed: Landed) -> Result<(), Ended> {
        let Some(Flight { mut batch, entries, step, sent, .. }) = self.flight.take() else {
            return Ok(());
        };
        let Some(settled) = landed else {
            self.undo(batch, Failure::Unknown);
            return Err(self.cut_off());
        };
        if settled.is_ok() {
            self.horizon.heard(sent);
        }
        match settled {
            Ok(Settled::Applied(head)) => {
                self.head = head;
                self.answers.take(step);
                self.journal.publish(entries);
                batch.deliver(&Ok(Source::Commit));
                Ok(())
            }
            Ok(Settled::Lost(head)) => {
                self.head = head;
                self.undo(batch, Failure::Unavailable("the store lost the commit".into()));
                Ok(())
            }
            Err(SettleError::Unavailable(cause)) => {
                warn!(phase = "commit", %cause, "the store is unavailable");
                self.undo(batch, Failure::Unavailable(format!("the store: {cause}")));
                Ok(())
            }
            Err(SettleError::Deposed { term }) => {
                self.undo(batch, Failure::Unknown);
                Err(Ended::Deposed { term })
            }
            Err(SettleError::Overtaken { head }) => {
                self.undo(batch, Failure::Unknown);
                Err(Ended::Overtaken { number: head.number })
            }
        }
    }

    /// Takes a batch back, after what was decided on top of it and never sent.
    fn undo(&mut self, batch: Batch, failure: Failure) {
        let on_top = std::mem::take(&mut self.batch);
        // What kept the one from the store would have kept the other.
        let unsent = match &failure {
            Failure::Unavailable(reason) => Failure::Unavailable(reason.clone()),
            _ => Failure::Unavailable("the store did not answer to what came before it".into()),
        };
        for (mut batch, failure) in [(on_top, unsent), (batch, failure)] {
            batch.take_back(&mut self.board);
            batch.deliver(&Err(failure));
        }
        self.board.set_formats(format::formats(self.head.format, self.format));
    }
}

#[cfg(test)]
mod tests;
