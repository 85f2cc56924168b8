//! Locks, slots and builds: invariants 5, 6, 7 and 8.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::Report;
use super::board::{Event, Place};

#[derive(Debug)]
pub(super) struct Holds {
    /// How long a lock stays closed after a silent loss, in milliseconds.
    delay: u64,
    locks: BTreeMap<String, Lock>,
    slots: BTreeMap<(String, String), Pool>,
    builds: BTreeMap<String, Build>,
    /// The lines by their words, first come first.
    lines: BTreeMap<String, Vec<String>>,
    /// Holds whose first grant is behind them.
    ended: BTreeSet<String>,
}

#[derive(Debug)]
enum Lock {
    Held(String),
    /// Its holder fell silent.
    Closed {
        last: String,
        since: u64,
    },
    Free,
}

#[derive(Debug, Default)]
struct Pool {
    used: BTreeMap<u32, String>,
}

#[derive(Debug)]
enum Build {
    Under(String),
    Built,
    Absent,
}

impl Holds {
    pub(super) fn new(delay: Duration) -> Self {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let (locks, slots, builds) = <_>::default();
        Self { delay, locks, slots, builds, lines: BTreeMap::new(), ended: BTreeSet::new() }
    }

    pub(super) fn take(&mut self, place: Place, event: &Event, report: &mut Report) {
        match event {
            Event::LockGranted { lock, hold, .. } => self.lock(place, lock, hold, report),
            Event::LockFreed { lock, hold, end } => self.unlock(place, (lock, hold, end), report),
            Event::SlotGranted { host, pool, slot, hold, in_use, size } => {
                let key = (host.clone(), pool.clone());
                self.slot(place, key, (*slot, hold), (*in_use, *size), report);
            }
            Event::SlotFreed { host, pool, slot, hold } => {
                let pool = self.slots.entry((host.clone(), pool.clone())).or_default();
                if pool.used.remove(slot).as_ref() != Some(hold) {
                    let seq = place.seq;
                    report
                        .violation(format!("audit {seq}: {hold} gave back slot {slot} of others"));
                }
            }
            Event::Waits { hold, line } => {
                self.lines.entry(line.clone()).or_default().push(hold.clone());
            }
            Event::WaitEnded { hold } => self.leave(hold),
            Event::BuildBegun { build, hold } => {
                self.leave(hold);
                self.begin(place, build.as_str().unwrap_or_default(), hold, report);
            }
            Event::BuildEnded { build, hold, class } => {
                let key = build.as_str().unwrap_or_default();
                self.built(place, key, (hold, class), report);
            }
            Event::BuildShared { build } => {
                let key = build.as_str().unwrap_or_default();
                if !matches!(self.builds.get(key), Some(Build::Built)) {
                    let seq = place.seq;
                    report.violation(format!("audit {seq}: {key} was shared and not built"));
                }
            }
            _ => {}
        }
    }

    fn leave(&mut self, hold: &str) {
        for line in self.lines.values_mut() {
            line.retain(|waiter| waiter != hold);
        }
    }

    /// One holder at a time, after the delay, and the first of the line.
    fn lock(&mut self, place: Place, lock: &str, hold: &str, report: &mut Report) {
        let seq = place.seq;
        match self.locks.get(lock) {
            Some(Lock::Held(other)) => {
                report.violation(format!("audit {seq}: {lock} went to {hold} beside {other}"));
            }
            Some(Lock::Closed { last, since }) if place.at < since.saturating_add(self.delay) => {
                report.violation(format!(
                    "audit {seq}: {lock} went to {hold} {} ms after {last} fell silent, not {}",
                    place.at.saturating_sub(*since),
                    self.delay
                ));
            }
            Some(Lock::Closed { .. } | Lock::Free) | None => {}
        }
        let first = self.lines.get(lock).and_then(|line| line.first());
        if let Some(first) = first.filter(|first| *first != hold) {
            report.violation(format!("audit {seq}: {lock} went to {hold} past {first}"));
        }
        self.leave(hold);
        if !self.ended.insert(hold.to_owned()) {
            report.violation(format!("audit {seq}: {hold} had {lock} twice"));
        }
        self.locks.insert(lock.to_owned(), Lock::Held(hold.to_owned()));
    }

    fn unlock(&mut self, place: Place, (lock, hold, end): (&str, &str, &str), report: &mut Report) {
        let known = self.locks.get(lock);
        let fits = match known {
            Some(Lock::Held(holder)) => holder == hold,
            Some(Lock::Closed { last, .. }) => last == hold && end == "gone",
            Some(Lock::Free) | None => false,
        };
        if !fits {
            report.violation(format!("audit {}: {hold} gave {lock} back unheld", place.seq));
            return;
        }
        let state = match end {
            "gone" => Lock::Free,
            _ => Lock::Closed { last: hold.to_owned(), since: place.at },
        };
        self.locks.insert(lock.to_owned(), state);
    }

    fn slot(
        &mut self,
        place: Place,
        key: (String, String),
        (slot, hold): (u32, &str),
        (in_use, size): (u32, u32),
        report: &mut Report,
    ) {
        self.leave(hold);
        let seq = place.seq;
        let pool = self.slots.entry(key).or_default();
        if let Some(other) = pool.used.insert(slot, hold.to_owned()) {
            report.violation(format!("audit {seq}: slot {slot} went to {hold} beside {other}"));
        }
        if pool.used.len() > size as usize || in_use > size {
            let used = pool.used.len();
            report.violation(format!("audit {seq}: {used} ({in_use} said) users of {size} slots"));
        }
    }

    fn begin(&mut self, place: Place, key: &str, hold: &str, report: &mut Report) {
        let seq = place.seq;
        match self.builds.get(key) {
            Some(Build::Under(other)) => {
                report.violation(format!("audit {seq}: {key} began by {hold} beside {other}"));
            }
            // A build whose artifacts are gone is built again: the audit cannot tell.
            Some(Build::Built | Build::Absent) | None => {}
        }
        self.builds.insert(key.to_owned(), Build::Under(hold.to_owned()));
    }

    fn built(&mut self, place: Place, key: &str, (hold, class): (&str, &str), report: &mut Report) {
        if !matches!(self.builds.get(key), Some(Build::Under(by)) if by == hold) {
            report.violation(format!("audit {}: {key} was ended by {hold}", place.seq));
        }
        let state = if class == "passed" { Build::Built } else { Build::Absent };
        self.builds.insert(key.to_owned(), state);
    }
}
