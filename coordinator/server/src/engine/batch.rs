//! Commands that are committed together.

use std::collections::BTreeMap;

use molt_domain::audit::{self, Entry};
use molt_domain::board::{
    Actor, Board, Change, Decision, Event, Format, Formats, Ledger, Now, Reply,
};
use molt_store::commit::MAX_CHANGES;
use molt_store::{Json, Key, Record};

use super::handle::{Delivery, Failure, Source};
use super::history;
use crate::fault::fault;

/// Commands that are committed together: whole or not at all.
#[derive(Default)]
pub(super) struct Batch {
    /// What undoes the batch in memory, last first.
    undo: Vec<Change>,
    /// Who is to be answered.
    deliveries: Vec<Delivery>,
    /// The ledger before the first command; `None` while there is none.
    before: Option<Ledger>,
    /// The last change of each key, as the store writes it: what takes time is done while the commit
    /// before is on its way. In the order of the keys, as a store's tree has them.
    changes: BTreeMap<String, molt_store::Change>,
    /// What happened, in the audit's words.
    entries: Vec<Entry>,
    /// What the format is raised to, if it is.
    pub(super) format: Option<Format>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    pub(super) fn changes_anything(&self) -> bool {
        !self.changes.is_empty() || !self.entries.is_empty()
    }

    /// Whether a decision fits beside what is here; one that is alone always does.
    pub(super) fn fits(&self, decision: &Decision) -> bool {
        // One more for the audit's own record.
        self.is_empty() || self.changes.len() + decision.changes.len() < MAX_CHANGES
    }

    /// Applies a decision to the board in memory and keeps what undoes it. Returns the reply.
    pub(super) fn add(
        &mut self,
        board: &mut Board,
        decision: Decision,
        actor: &Actor,
        now: Now,
    ) -> Reply {
        self.before.get_or_insert_with(|| board.ledger().clone());
        for change in decision.changes {
            let key = change.key();
            let written = stored(&key, &change);
            self.changes.insert(key, written);
            self.undo.push(board.apply(change));
        }
        let mut ledger = board.ledger().clone();
        if !fault!(FenceNotMoved) {
            ledger = ledger.at(decision.fence);
        }
        for event in &decision.events {
            if let Event::FormatRaised { format, .. } = event {
                board.set_formats(Formats { stored: *format, ..board.formats() });
                self.format = Some(*format);
            }
        }
        self.entries.extend(audit::append(&mut ledger.audit, now, actor, decision.events));
        board.set_ledger(ledger);
        decision.reply
    }

    /// Adds somebody who is to be answered when it is known what became of the batch.
    pub(super) fn answer(&mut self, delivery: Delivery) {
        self.deliveries.push(delivery);
    }

    /// Answers everybody who waits.
    pub(super) fn deliver(&mut self, outcome: &Result<Source, Failure>) {
        for delivery in self.deliveries.drain(..) {
            delivery(outcome.clone());
        }
    }

    /// Takes everything back from the board in memory. Nothing may be on top of it.
    pub(super) fn take_back(&mut self, board: &mut Board) {
        for change in self.undo.drain(..).rev().filter(|_| !fault!(UndoForgotten)) {
            board.apply(change);
        }
        if let Some(before) = self.before.take() {
            board.set_ledger(before);
        }
    }

    /// What the store writes, and the audit's entries in it.
    pub(super) fn written(&mut self) -> (Vec<molt_store::Change>, Vec<Entry>) {
        let entries = std::mem::take(&mut self.entries);
        let mut written: Vec<_> = std::mem::take(&mut self.changes).into_values().collect();
        if let Some(first) = entries.first() {
            written.push(molt_store::Change::Put(history::record(first.seq, &entries)));
        }
        (written, entries)
    }
}

/// A change of the board as the store writes it.
#[expect(clippy::expect_used, reason = "names and ids are printable ASCII; JSON is text")]
pub(crate) fn stored(key: &str, change: &Change) -> molt_store::Change {
    let key = Key::parse(key).expect("names and ids are printable ASCII without empty segments");
    match change.value() {
        Some(value) => {
            let text = String::from_utf8(value).expect("JSON is UTF-8");
            let value = Json::from_writer(text);
            molt_store::Change::Put(Record { key, value })
        }
        None => molt_store::Change::Delete { key },
    }
}
