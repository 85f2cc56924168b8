//! The audit replayed: who had what, and whether each step was allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::super::Report;
use super::super::audit::{Audit, Entry, Fence};
use super::claims::Claims;
use super::holds::Holds;
use super::told::Told;
use super::work::Work;

/// What the audit says that the journals are held against.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Claims, locks and slots granted, builds begun.
    pub(super) grants: u64,
    pub(super) landings: u64,
    /// Sessions that were not heard of for too long.
    pub(super) silenced: u64,
    /// Claims by the fences that they were granted with.
    pub(super) claim_fences: BTreeMap<String, String>,
    /// Locks by fence.
    pub(super) lock_fences: BTreeMap<String, String>,
    pub(super) released: BTreeSet<String>,
    pub(super) submitted: BTreeSet<String>,
    pub(super) landed: BTreeSet<String>,
    /// The holds of builds that passed.
    pub(super) built: BTreeSet<String>,
    pub(super) added: BTreeSet<String>,
    /// Tasks with the claims that they were taken with.
    pub(super) taken: BTreeSet<(String, String)>,
    /// Tasks that came to an end.
    pub(super) done: BTreeSet<String>,
    last_fence: Option<Fence>,
}

/// The events that the replay is about.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Event {
    Claimed {
        claim: String,
        session: String,
        scopes: BTreeSet<String>,
        #[serde(default)]
        globs: BTreeSet<String>,
        fence: Fence,
        #[serde(default)]
        mode: Mode,
    },
    Queued {
        claim: String,
        session: String,
        scopes: BTreeSet<String>,
        #[serde(default)]
        globs: BTreeSet<String>,
        #[serde(default)]
        mode: Mode,
    },
    Offered {
        claim: String,
        scopes: BTreeSet<String>,
    },
    OfferMissed {
        claim: String,
    },
    Unqueued {
        claim: String,
    },
    Changed {
        claim: String,
        mode: Mode,
    },
    Narrowed {
        claim: String,
        from: String,
        to: BTreeSet<String>,
        #[serde(default)]
        globs: BTreeSet<String>,
    },
    HandoverOffered {
        claim: String,
        session: String,
        to: String,
        until: u64,
    },
    HandoverEnded {
        claim: String,
    },
    HandedOver {
        claim: String,
        session: String,
        to: String,
        fence: Fence,
        task: Option<String>,
    },
    Released {
        claim: String,
        scopes: BTreeSet<String>,
        #[serde(default)]
        globs: BTreeSet<String>,
    },
    Lapsed {
        claim: String,
    },
    Revoked {
        claim: String,
    },
    Lost {
        session: String,
        grace: u64,
        cause: String,
    },
    GraceExtended {
        session: String,
        grace: u64,
    },
    Resumed {
        session: String,
        epoch: u64,
    },
    Left {
        session: String,
    },
    LockGranted {
        lock: String,
        hold: String,
        fence: Fence,
    },
    LockFreed {
        lock: String,
        hold: String,
        end: String,
    },
    SlotGranted {
        host: String,
        pool: String,
        slot: u32,
        hold: String,
        in_use: u32,
        size: u32,
    },
    SlotFreed {
        host: String,
        pool: String,
        slot: u32,
        hold: String,
    },
    Waits {
        hold: String,
        line: String,
    },
    WaitEnded {
        hold: String,
    },
    BuildBegun {
        build: Value,
        hold: String,
    },
    BuildEnded {
        build: Value,
        hold: String,
        class: String,
    },
    BuildShared {
        build: Value,
    },
    JobAssigned {
        job: String,
        host: String,
        attempt: u32,
    },
    JobReturned {
        job: String,
        attempt: u32,
    },
    JobFinished {
        job: String,
        host: String,
        attempt: u32,
    },
    JobCancelled {
        job: String,
    },
    TaskAdded {
        task: String,
    },
    TaskTaken {
        task: String,
        session: String,
        claim: Option<String>,
    },
    TaskReturned {
        task: String,
    },
    TaskEnded {
        task: String,
    },
    Sent {
        message: String,
        from: Option<String>,
        epoch: Option<u64>,
        to: Vec<String>,
    },
    InboxRead {
        session: String,
        upto: String,
    },
    Reported {
        about: String,
        session: String,
        epoch: u64,
    },
    Submitted {
        car: String,
    },
    Intended {
        fence: Fence,
    },
    Landed {
        car: String,
    },
    #[serde(other)]
    Other,
}

/// Whether others may hold the same beside a claim.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    #[default]
    Exclusive,
    Shared,
}

/// An event at its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) seq: u64,
    /// Board time in milliseconds.
    pub(super) at: u64,
}

/// Replays the audit; what no board may do is a violation.
pub(super) fn replay(audit: &Audit, delay: Duration, report: &mut Report) -> Board {
    let mut board = Board::default();
    let mut claims = Claims::default();
    let mut holds = Holds::new(delay);
    let mut work = Work::default();
    let mut told = Told::default();
    for entry in &audit.entries {
        let Entry { seq, at, .. } = *entry;
        let place = Place { seq, at };
        match Event::deserialize(&entry.raw) {
            Ok(event) => {
                board.take(place, &event, report);
                claims.take(place, &event, report);
                holds.take(place, &event, report);
                work.take(place, &event, &claims, report);
                told.take(place, &event, report);
            }
            Err(error) => report.violation(format!("audit {seq}: {}: {error}", entry.what())),
        }
    }
    board
}

impl Board {
    fn take(&mut self, place: Place, event: &Event, report: &mut Report) {
        match event {
            Event::Claimed { claim, fence, .. } | Event::HandedOver { claim, fence, .. } => {
                self.grants += 1;
                let fence = self.grow(place, *fence, report);
                self.claim_fences.insert(fence, claim.clone());
            }
            Event::LockGranted { lock, fence, .. } => {
                self.grants += 1;
                let fence = self.grow(place, *fence, report);
                self.lock_fences.insert(fence, lock.clone());
            }
            Event::SlotGranted { .. } => self.grants += 1,
            Event::Lost { cause, .. } => self.silenced += u64::from(cause == "silence"),
            Event::BuildBegun { .. } => self.grants += 1,
            Event::BuildEnded { hold, class, .. } if class == "passed" => {
                self.built.insert(hold.clone());
            }
            Event::Intended { fence } => drop(self.grow(place, *fence, report)),
            Event::Released { claim, .. } => drop(self.released.insert(claim.clone())),
            Event::TaskAdded { task } => drop(self.added.insert(task.clone())),
            Event::TaskTaken { task, claim: Some(claim), .. } => {
                self.taken.insert((task.clone(), claim.clone()));
            }
            Event::TaskEnded { task } => drop(self.done.insert(task.clone())),
            Event::Submitted { car } if !self.submitted.insert(car.clone()) => {
                report.violation(format!("audit {}: {car} was submitted twice", place.seq));
            }
            Event::Landed { car } => {
                self.landings += 1;
                if !self.landed.insert(car.clone()) {
                    report.violation(format!("audit {}: {car} landed twice", place.seq));
                }
            }
            _ => {}
        }
    }

    /// Invariant 2: fences only grow. The fence as holders are told it.
    fn grow(&mut self, place: Place, fence: Fence, report: &mut Report) -> String {
        if self.last_fence.is_some_and(|last| fence <= last) {
            report.violation(format!("audit {}: the fence goes back to {}", place.seq, fence.n));
        }
        self.last_fence = self.last_fence.max(Some(fence));
        match fence.epoch {
            0 => fence.n.to_string(),
            epoch => format!("{epoch}.{}", fence.n),
        }
    }
}
