//! The independent check of a fleet under faults: what its audit tells, and what those who held
//! something wrote down themselves, must fit together.
//!
//! * [`journal`]: the holders' own words, with times of one clock of the one machine that they
//!   all ran on.
//! * `board`: the audit replayed, invariants 1 to 10 of the design as far as they show there.
//! * `holders`: nobody held beside another in real time, acknowledged things are there, and
//!   things went on soon after each fault.
//!
//! [`outside`] is what the locks of a run protect. Nothing here shares code with the product. Not
//! here: what landed and why (the check beside this one
//! does that from git), and making the faults.

mod board;
mod claims;
mod holders;
mod holds;
pub mod journal;
pub mod outside;
mod told;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use self::journal::Journal;
use super::Report;
use super::audit::Audit;

/// What is to be checked, and what a run must have had to mean anything.
#[derive(Debug, Clone)]
pub struct Run {
    /// The exported audit.
    pub audit: PathBuf,
    /// The folder of the journals.
    pub journals: PathBuf,
    /// How many grants there must have been.
    pub grants: u64,
    /// How many landings.
    pub landings: u64,
    /// How many faults that had an effect.
    pub faults: u64,
    /// How soon after each heal everything must go on.
    pub progress: Duration,
    /// How long a lock stays closed after its holder fell silent, as the fleet was told.
    pub delay: Duration,
    /// Which kinds of things are to go on after a heal: `claim`, `lock`, `landing`, …
    pub kinds: Vec<String>,
}

/// Checks, and says everything that does not hold. A run with too little in it does not hold.
///
/// # Errors
///
/// A file that cannot be read: nothing is known then.
pub fn check(run: &Run) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let bytes =
        std::fs::read(&run.audit).with_context(|| format!("audit {}", run.audit.display()))?;
    let journal = Journal::read(&run.journals)?;
    let Some(audit) = Audit::read(&bytes, &mut report) else {
        // Nothing that a broken chain tells can be relied on.
        return Ok(report);
    };
    let board = board::replay(&audit, run.delay, &mut report);
    holders::check(&journal, &board, run, &mut report);
    report.set("lost in silence", board.silenced);
    let seen = [
        ("grants", board.grants, run.grants),
        ("landings", board.landings, run.landings),
        ("faults", journal.effective_faults(), run.faults),
    ];
    for (what, seen, least) in seen {
        report.set(what, seen);
        if seen < least {
            report.violation(format!("invalid run: {seen} {what}, which must be {least} at least"));
        }
    }
    Ok(report)
}
