//! Commands that are committed together.

use std::collections::HashMap;

use molt_domain::audit::{self, Entry};
use molt_domain::board::{Actor, Board, Change, Decision, Event, Ledger, Now, Reply};
use molt_domain::id::Fence;
use molt_store::commit::MAX_CHANGES;
use molt_store::{Json, Key, Record};

use super::handle::Answer;
use super::history;
use crate::fault::fault;

/// A decided command that waits for its commit.
pub(super) struct Pending {
    pub(super) actor: Actor,
    pub(super) now: Now,
    pub(super) answer: Answer,
}

/// Commands that are committed together: whole or not at all.
#[derive(Default)]
pub(super) struct Batch {
    /// What undoes the batch in memory, last first.
    pub(super) undo: Vec<Change>,
    /// Who is to be answered.
    pub(super) answers: Vec<(Pending, Reply)>,
    /// Where fences stood before the first command; `None` while there is none.
    pub(super) fence_before: Option<Fence>,
    /// The last change of each key: what the commit writes.
    changes: HashMap<String, Change>,
    events: Vec<(Actor, Now, Vec<Event>)>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(super) fn changes_anything(&self) -> bool {
        !self.changes.is_empty() || !self.events.is_empty()
    }

    /// Whether a decision fits beside what is here; one that is alone always does.
    pub(super) fn fits(&self, decision: &Decision) -> bool {
        // One more for the audit's own record.
        self.answers.is_empty() || self.changes.len() + decision.changes.len() < MAX_CHANGES
    }

    /// Applies a decision to the board in memory and keeps what undoes it.
    pub(super) fn add(&mut self, board: &mut Board, decision: Decision, pending: Pending) {
        self.fence_before.get_or_insert(board.ledger().fence());
        for change in decision.changes {
            self.changes.insert(change.key(), change.clone());
            self.undo.push(board.apply(change));
        }
        if !fault!(FenceNotMoved) {
            board.set_ledger(board.ledger().clone().at(decision.fence));
        }
        if !decision.events.is_empty() {
            self.events.push((pending.actor.clone(), pending.now, decision.events));
        }
        self.answers.push((pending, decision.reply));
    }

    /// The ledger after the batch, what the store writes, and the audit's entries.
    pub(super) fn written(
        &self,
        before: &Ledger,
        now: Now,
    ) -> (Ledger, Vec<molt_store::Change>, Vec<Entry>) {
        let mut ledger = Ledger { time: now.board, ..before.clone() };
        let mut entries = Vec::new();
        for (actor, at, events) in &self.events {
            entries.extend(audit::append(&mut ledger.audit, *at, actor, events.clone()));
        }
        let mut written: Vec<molt_store::Change> =
            self.changes.iter().map(|(key, change)| stored(key, change)).collect();
        if let Some(first) = entries.first() {
            written.push(molt_store::Change::Put(history::record(first.seq, &entries)));
        }
        (ledger, written, entries)
    }
}

/// A change of the board as the store writes it.
#[expect(clippy::expect_used, reason = "names and ids are printable ASCII; values are JSON")]
pub(crate) fn stored(key: &str, change: &Change) -> molt_store::Change {
    let key = Key::parse(key).expect("names and ids are printable ASCII without empty segments");
    match change.value() {
        Some(value) => {
            let text = String::from_utf8(value).expect("JSON is UTF-8");
            let value = Json::parse(text).expect("a record is one JSON value");
            molt_store::Change::Put(Record { key, value })
        }
        None => molt_store::Change::Delete { key },
    }
}
