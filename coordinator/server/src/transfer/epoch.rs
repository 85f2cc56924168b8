//! What the records of a store become for a life elsewhere.
//!
//! Fences of a new life are of a higher epoch, so that none of the old one ever passes where
//! fences are checked. A backup knows nothing of what happened since: its sessions are treated as
//! if the whole fleet had been silent for the ttl of a session. They keep their claims for the
//! grace and come back by a resume, and locks stay closed until their holders have certainly
//! ended. All of it is decided by the board's own rules.

use std::collections::BTreeMap;

use molt_domain::audit;
use molt_domain::board::{Board, Caller, Command, Decision, Ledger, Now, Request};
use molt_domain::session;
use molt_store::{Json, Key, Record};

use super::{Order, TransferError, Whole};
use crate::engine::{self, Layout};

/// Terms of a new life begin at a multiple of this.
const LIFE: u64 = 1_000_000;

/// Steps in which a board must come to rest.
const MAX_STEPS: usize = 1_000_000;

/// What is known of the time between the records and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// Nothing happened: the store was led until now.
    Nothing,
    /// Whatever happened is lost.
    Unknown,
}

/// What goes into the other store.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) records: BTreeMap<Key, Json>,
    pub(super) ledger: Ledger,
    /// The digest of its board.
    pub(super) digest: String,
    /// Sessions that are to resume before they act.
    pub(super) silenced: usize,
}

/// The contents of `whole` for a life elsewhere.
pub(super) fn succeed(
    whole: &Whole,
    order: &Order,
    since: Since,
) -> Result<Successor, TransferError> {
    let mut life = Life { records: whole.records.clone(), board: whole.board.clone() };
    let mut now = Now { board: whole.ledger.time, wall: order.wall };
    let live = life.live();
    if since == Since::Unknown {
        now.board = now.board.plus(life.board.spans().session_ttl);
        life.rest(now)?;
    }
    let command = Command::RaiseEpoch { reason: order.reason.clone() };
    let caller = Caller::Operator(order.operator.clone());
    life.decide(&Request { caller, ..Request::own(command) }, now)?;
    let ledger = Ledger { time: now.board, ..life.board.ledger().clone() };
    let silenced = live - life.live();
    let digest = life.board.digest();
    let records = life.records(Layout::of(whole.head.format));
    Ok(Successor { records, ledger, digest, silenced })
}

/// The first multiple of [`LIFE`] above `n`.
fn next_life(n: u64) -> u64 {
    (n / LIFE + 1).saturating_mul(LIFE)
}

/// The term that a store goes on above which is filled with what was of `term`: hosts believe no
/// term that is lower than one they have seen, and there may have been more since.
pub(super) fn terms_above(term: u64) -> u64 {
    next_life(term)
}

struct Life {
    records: BTreeMap<Key, Json>,
    board: Board,
}

impl Life {
    fn live(&self) -> usize {
        let sessions = self.board.tables().sessions.values();
        sessions.filter(|session| session.state == session::State::Live).count()
    }

    /// Does what time calls for until nothing is left to do.
    fn rest(&mut self, now: Now) -> Result<(), TransferError> {
        for _ in 0..MAX_STEPS {
            if !self.decide(&Request::own(Command::Tick), now)? {
                return Ok(());
            }
        }
        Err(TransferError::Restless { steps: MAX_STEPS })
    }

    /// Decides a request and takes in what it changes. Says whether it did anything.
    fn decide(&mut self, request: &Request, now: Now) -> Result<bool, TransferError> {
        let decision = self.board.decide(request, now).map_err(TransferError::Refused)?;
        let Decision { changes, events, fence, .. } = decision;
        let did = !changes.is_empty() || !events.is_empty();
        let actor = request.actor(&self.board);
        for change in changes {
            match engine::stored(&change.key(), &change) {
                molt_store::Change::Put(record) => {
                    self.records.insert(record.key, record.value);
                }
                molt_store::Change::Delete { key } => {
                    self.records.remove(&key);
                }
            }
            self.board.apply(change);
        }
        let mut ledger = self.board.ledger().clone().at(fence);
        let entries = audit::append(&mut ledger.audit, now, &actor, events);
        if let Some(first) = entries.first() {
            let record = engine::audit_record(first.seq, &entries);
            self.records.insert(record.key, record.value);
        }
        self.board.set_ledger(ledger);
        Ok(did)
    }

    /// All records; those of answers are made anew.
    fn records(self, layout: Layout) -> BTreeMap<Key, Json> {
        let Self { mut records, board } = self;
        records.retain(|key, _| !engine::is_of_answers(key));
        let answers = engine::answers_records(&board, layout);
        records.extend(answers.into_iter().map(|Record { key, value }| (key, value)));
        records
    }
}

#[cfg(test)]
mod tests;
