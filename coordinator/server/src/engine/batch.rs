//! Commands that are committed together.

use std::collections::BTreeMap;

use molt_domain::audit::{self, Entry};
use molt_domain::board::{
    Actor, Board, Change, Decision, Event, Format, Formats, Ledger, Now, Reply,
};
use molt_store::commit::{MAX_CHANGES, MAX_COMMIT_BYTES};
use molt_store::{Json, Key, Record};

use super::answers::{self, Layout, Texts};
use super::handle::{Delivery, Failure, Source};
use super::history;
use crate::fault::fault;

/// A batch of more bytes takes no further command; what one adds is far from the rest of a commit.
const FULL: usize = MAX_COMMIT_BYTES / 4;

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
    /// The last answer of each place, which the store has in its own way.
    answers: Texts,
    /// What was written into the two, in bytes.
    bytes: usize,
    /// What happened, in the audit's words.
    entries: Vec<Entry>,
    /// What the format is raised to, if it is.
    pub(super) format: Option<Format>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// How many commands there are.
    pub(super) fn len(&self) -> usize {
        self.deliveries.len()
    }

    pub(super) fn changes_anything(&self) -> bool {
        !self.changes.is_empty() || !self.answers.is_empty() || !self.entries.is_empty()
    }

    /// Whether a decision fits beside what is here; one that is alone always does.
    pub(super) fn fits(&self, decision: &Decision, layout: Layout) -> bool {
        // An answer may stand among the decision's changes.
        let answers = layout.changes(self.answers.len() + 1, self.bytes);
        let changes = self.changes.len() + decision.changes.len() + answers;
        // One more for the audit's own record.
        self.is_empty() || (changes < MAX_CHANGES && self.bytes < FULL)
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
            self.write(&change);
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

    fn write(&mut self, change: &Change) {
        if let Change::Answer(key, answer) = change {
            let text = answer.as_ref().map(|answer| answers::text(*key, answer));
            self.bytes += text.as_ref().map_or(0, String::len);
            self.answers.insert(*key, text);
            return;
        }
        let key = change.key();
        let written = stored(&key, change);
        self.bytes += written.bytes();
        self.changes.insert(key, written);
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

    /// What the store writes beside the answers, and the audit's entries in it.
    pub(super) fn written(&mut self) -> (Vec<molt_store::Change>, Vec<Entry>) {
        let entries = std::mem::take(&mut self.entries);
        let mut written: Vec<_> = std::mem::take(&mut self.changes).into_values().collect();
        if let Some(first) = entries.first() {
            written.push(molt_store::Change::Put(history::record(first.seq, &entries)));
        }
        (written, entries)
    }

    /// The answers that the store is to have.
    pub(super) fn answers(&self) -> &Texts {
        &self.answers
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
