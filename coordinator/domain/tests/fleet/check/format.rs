//! The store's format: what an older program has no words for is not written before an operator
//! raises it.

use molt_domain::board::{Board, Event, Format, Formats};

use super::{Checked, broken, ensure};

/// The kinds of event that programs of format 1 read. Another kind is of a later format.
const FIRST: &[&str] = &[
    "base_read",
    "policy_read",
    "policy_unreadable",
    "epoch_raised",
    "format_raised",
    "token_issued",
    "token_revoked",
    "joined",
    "resumed",
    "parked",
    "lost",
    "left",
    "claimed",
    "queued",
    "offered",
    "offer_missed",
    "unqueued",
    "released",
    "lapsed",
    "revoked",
    "announced",
    "task_added",
    "task_taken",
    "task_returned",
    "task_ended",
    "lock_granted",
    "lock_freed",
    "lock_opened",
    "slot_granted",
    "slot_freed",
    "waits",
    "wait_ended",
    "build_begun",
    "build_ended",
    "build_shared",
    "host_seen",
    "host_lost",
    "job_queued",
    "job_assigned",
    "job_finished",
    "job_returned",
    "job_cancelled",
    "submitted",
    "withheld",
    "approved",
    "candidate_made",
    "gate_passed",
    "ready",
    "intended",
    "landed",
    "intent_withdrawn",
    "retried",
    "ejected",
];

/// The format of a store that the first programs made; the program that leads is this one.
pub(super) fn made_long_ago() -> Formats {
    let first = Format { written: 1, min_reader: 1, min_writer: 1 };
    Formats { stored: first, ..Formats::default() }
}

/// Follows the format as it is raised, and looks at each event with the eyes of an older program.
pub(super) fn follow(board: &mut Board, events: &[Event]) -> Checked {
    for event in events {
        let told = serde_json::to_value(event)
            .map_err(|error| broken("events are readable", error.to_string()))?;
        let kind = told["what"].as_str().unwrap_or_default();
        let later =
            ["mode", "globs", "pull", "passage"].into_iter().any(|field| told.get(field).is_some());
        let later = later || told["need"]["takes"] == "forge";
        let known = FIRST.contains(&kind) && !later;
        ensure(known || board.formats().stored.written > 1, "15 older programs read on", || {
            told.to_string()
        })?;
        if let Event::FormatRaised { format, .. } = event {
            board.set_formats(Formats { stored: *format, ..board.formats() });
        }
    }
    Ok(())
}
