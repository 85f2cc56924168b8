//! Holds: locks and builds in use, and who waits for them.

use molt_domain::board::Board;
use molt_domain::build::Build;
use molt_domain::hold::{Hold, Holder, Waiter};
use molt_domain::id::HoldId;
use molt_domain::lock;
use molt_domain::name::RepoName;

use super::{MAX_ROWS, name_of};
use crate::v1;
use crate::v1::attendance::Became;

fn holder(board: &Board, holder: Holder) -> String {
    match holder {
        Holder::Session(id) => name_of(board, id),
        Holder::Job(id) => id.to_string(),
    }
}

/// A hold of something that is known.
pub(super) fn held(board: &Board, hold: &Hold, of: String, slot: Option<u32>) -> v1::HoldView {
    v1::HoldView {
        id: hold.id.to_string(),
        fence: hold.fence.to_string(),
        slot,
        holder: holder(board, hold.holder),
        host: hold.host.to_string(),
        what: hold.what.clone(),
        of,
    }
}

fn waiting(board: &Board, waiter: &Waiter, of: String) -> v1::HoldView {
    v1::HoldView {
        id: waiter.id.to_string(),
        fence: String::new(),
        slot: None,
        holder: holder(board, waiter.holder),
        host: waiter.host.to_string(),
        what: waiter.what.clone(),
        of,
    }
}

/// A hold, with the name of what it is of as long as the board has it.
#[must_use]
pub fn hold(board: &Board, hold: &Hold) -> v1::HoldView {
    match find(board, hold.id) {
        Some(Found::Held { of, slot, .. }) => held(board, hold, of, slot),
        Some(Found::Waiting { .. }) | None => held(board, hold, String::new(), None),
    }
}

/// What became of a waiter for a lock, slot or build.
#[must_use]
pub fn hold_place(board: &Board, id: HoldId) -> Became {
    match find(board, id) {
        Some(Found::Held { hold, of, slot }) => Became::Held(held(board, hold, of, slot)),
        Some(Found::Waiting { ahead }) => Became::Waiting(v1::Queued { id: id.to_string(), ahead }),
        None => Became::Gone(format!("{id} is not in line any more: ask again")),
    }
}

enum Found<'a> {
    Held { hold: &'a Hold, of: String, slot: Option<u32> },
    Waiting { ahead: u32 },
}

fn find(board: &Board, id: HoldId) -> Option<Found<'_>> {
    let tables = board.tables();
    let ahead = |line: &[Waiter]| {
        let ahead = line.iter().position(|waiter| waiter.id == id)?;
        Some(Found::Waiting { ahead: u32::try_from(ahead).unwrap_or(u32::MAX) })
    };
    let lock = tables.locks.iter().find_map(|(key, lock)| match &lock.state {
        lock::State::Held(hold) if hold.id == id => {
            Some(Found::Held { hold, of: key.to_string(), slot: None })
        }
        lock::State::Held(_) | lock::State::Delayed { .. } => ahead(&lock.line),
    });
    let slot = || {
        tables.slots.iter().find_map(|(key, slots)| {
            match slots.used.iter().find(|(_, hold)| hold.id == id) {
                Some((&slot, hold)) => {
                    Some(Found::Held { hold, of: key.pool.to_string(), slot: Some(slot) })
                }
                None => ahead(&slots.line),
            }
        })
    };
    let build = || {
        tables.builds.iter().find_map(|(key, build)| match &**build {
            Build::Building { hold, .. } if hold.id == id => {
                Some(Found::Held { hold, of: key.to_string(), slot: None })
            }
            Build::Building { line, .. } => ahead(line),
            Build::Built { .. } | Build::Failed { .. } => None,
        })
    };
    lock.or_else(slot).or_else(build)
}

/// The locks of a repository and the builds of the fleet.
pub(super) fn holds(board: &Board, repo: &RepoName) -> v1::Holds {
    let mut view = v1::Holds::default();
    for (key, lock) in board.tables().locks.iter().filter(|(key, _)| key.repo == *repo) {
        let of = key.to_string();
        view.waiting.extend(lock.line.iter().map(|waiter| waiting(board, waiter, of.clone())));
        view.holds.push(match &lock.state {
            lock::State::Held(hold) => held(board, hold, of, None),
            lock::State::Delayed { until, last } => {
                let last = last.as_ref().map(|last| held(board, last, of.clone(), None));
                let until = until.0 / 1000;
                let what = format!("closed until board time {until} s: its holder fell silent");
                v1::HoldView { what, of, fence: String::new(), ..last.unwrap_or_default() }
            }
        });
    }
    for (key, build) in &board.tables().builds {
        if let Build::Building { hold, line } = &**build {
            let of = key.to_string();
            view.waiting.extend(line.iter().map(|waiter| waiting(board, waiter, of.clone())));
            view.holds.push(held(board, hold, of, None));
        }
    }
    view.holds.truncate(MAX_ROWS);
    view.waiting.truncate(MAX_ROWS);
    view
}
