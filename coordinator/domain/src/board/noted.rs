//! The last refusals, so that a refusal's id can be explained a while later.
//!
//! They are kept by the leader that refused and are not stored: a refusal
//! changes nothing, its own record included.

use std::collections::VecDeque;

use crate::board::{Actor, Board, Now, Refusal};
use crate::fault::fault;
use crate::id::{BoardTime, RefusalId};

/// How many refusals are kept.
const KEPT: usize = 1000;

/// Ids that one leader has for each millisecond of the board time before it was born: board
/// time only grows, so leaders do not use an id twice.
const PER_MILLI: u64 = 1024;

/// The last refusals, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    next: u64,
    ring: VecDeque<Note>,
}

/// One refusal with its moment.
#[derive(Debug, Clone)]
pub(super) struct Note {
    id: RefusalId,
    pub(super) refusal: Refusal,
    pub(super) command: String,
    pub(super) actor: Actor,
    pub(super) at: BoardTime,
}

impl Noted {
    pub(super) fn new(born: BoardTime) -> Self {
        let next = born.0.saturating_mul(PER_MILLI).saturating_add(1);
        Self { next, ring: VecDeque::new() }
    }

    pub(super) fn get(&self, id: RefusalId) -> Option<&Note> {
        self.ring.iter().rev().find(|note| note.id == id)
    }
}

impl Board {
    /// Keeps a refusal for a while; `command` is what was refused, in one word.
    pub fn note_refusal(
        &mut self,
        refusal: &Refusal,
        command: &str,
        actor: &Actor,
        now: Now,
    ) -> RefusalId {
        if fault!(RefusalChanges) {
            self.ledger.counter += 1;
        }
        let id = RefusalId::from_counter(self.noted.next);
        self.noted.next += 1;
        if self.noted.ring.len() == KEPT {
            self.noted.ring.pop_front();
        }
        let (refusal, command, actor) = (refusal.clone(), command.to_owned(), actor.clone());
        self.noted.ring.push_back(Note { id, refusal, command, actor, at: now.board });
        id
    }
}
