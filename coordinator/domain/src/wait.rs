//! Which waits may not be: one graph over claims, locks, slots and builds.
//!
//! A wait needs all of some holders to go on, or enough of several users. A
//! request whose wait nothing could ever end is refused with the circle that
//! it would close. Not here: who is served next, which each room decides.

use std::collections::{BTreeMap, BTreeSet};

use crate::board::{Draft, Refusal};
use crate::fault::fault;
use crate::hold::{Holder, Waiter};
use crate::name::RepoName;
use crate::slot::{self, Slots};
use crate::{build, claim, lock};

/// Somebody who waits, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    /// Who waits.
    pub(crate) who: Holder,
    /// What for, as a person calls it.
    pub(crate) on: String,
    /// Those in the way.
    pub(crate) blockers: BTreeSet<Holder>,
    /// How many of them must go on before the wait ends.
    pub(crate) need: usize,
}

impl Wait {
    /// A wait that ends when every one of `blockers` went on.
    pub(crate) fn for_all(
        who: Holder,
        on: impl Into<String>,
        blockers: impl IntoIterator<Item = Holder>,
    ) -> Self {
        let blockers: BTreeSet<Holder> = blockers.into_iter().filter(|it| *it != who).collect();
        let need = blockers.len();
        Self { who, on: on.into(), blockers, need }
    }

    /// Whether it ends, given who never goes on.
    fn ends(&self, stuck: &BTreeSet<Holder>) -> bool {
        self.blockers.iter().filter(|it| !stuck.contains(it)).count() >= self.need
    }
}

/// Refuses waits of which one could never end.
///
/// The waits that are there already are taken to end: each was checked when it began.
pub(crate) fn refuse_cycle(draft: &Draft<'_>, new: Vec<Wait>) -> Result<(), Box<Refusal>> {
    if fault!(CircleAllowed) || new.iter().all(|wait| wait.blockers.is_empty()) {
        return Ok(());
    }
    let new_ones: Vec<Holder> = new.iter().map(|wait| wait.who).collect();
    let mut waits = all(draft);
    waits.extend(new);
    let stuck = stuck(&waits);
    match new_ones.into_iter().find(|who| stuck.contains(who)) {
        Some(who) => Err(Refusal::WaitCycle { cycle: circle(&waits, &stuck, who) }.into()),
        None => Ok(()),
    }
}

/// Refuses what leaves somebody stuck who was given something.
pub(crate) fn refuse_stuck(draft: &Draft<'_>, who: Holder) -> Result<(), Box<Refusal>> {
    if fault!(CircleAllowed) {
        return Ok(());
    }
    let waits = all(draft);
    let stuck = stuck(&waits);
    match stuck.contains(&who) {
        true => Err(Refusal::WaitCycle { cycle: circle(&waits, &stuck, who) }.into()),
        false => Ok(()),
    }
}

/// Refuses the wait of somebody for what it has itself.
pub(crate) fn own(on: &str) -> Box<Refusal> {
    Refusal::WaitCycle { cycle: vec![on.to_owned(), on.to_owned()] }.into()
}

/// Takes waiters out whom a new policy has put into a circle: scopes that overlap by now, or
/// a pool that shrank.
pub(crate) fn break_circles(draft: &mut Draft<'_>, repo: &RepoName) {
    while draft.room() > claim::SERVED {
        let stuck = who_is_stuck(draft);
        if stuck.is_empty() {
            return;
        }
        let left = claim::unqueue_stuck(draft, repo, &stuck) || slot::unqueue_stuck(draft, &stuck);
        if !left {
            return;
        }
    }
}

/// Those who wait for something that nobody will ever give.
pub(crate) fn who_is_stuck(draft: &Draft<'_>) -> BTreeSet<Holder> {
    stuck(&all(draft))
}

fn stuck(waits: &[Wait]) -> BTreeSet<Holder> {
    let mut stuck: BTreeSet<Holder> = waits.iter().map(|wait| wait.who).collect();
    loop {
        let kept: BTreeSet<Holder> =
            waits.iter().filter(|wait| !wait.ends(&stuck)).map(|wait| wait.who).collect();
        if kept.len() == stuck.len() {
            return stuck;
        }
        stuck = kept;
    }
}

/// The names around the circle that is reached from `who`.
fn circle(waits: &[Wait], stuck: &BTreeSet<Holder>, who: Holder) -> Vec<String> {
    let mut path: Vec<(Holder, String)> = Vec::new();
    let mut at = who;
    while !path.iter().any(|(holder, _)| *holder == at) {
        let Some(wait) = waits.iter().find(|wait| wait.who == at && !wait.ends(stuck)) else {
            break;
        };
        path.push((at, wait.on.clone()));
        let Some(next) = wait.blockers.iter().find(|it| stuck.contains(it)) else { break };
        at = *next;
    }
    let start = path.iter().position(|(holder, _)| *holder == at).unwrap_or(0);
    path.into_iter().skip(start).map(|(_, on)| on).collect()
}

/// Every wait on the board, as this decision has it.
fn all(draft: &Draft<'_>) -> Vec<Wait> {
    let mut waits = claim::waits(draft);
    for (key, lock) in draft.tables.locks.iter() {
        let held = match &lock.state {
            lock::State::Held(hold) => Some(hold.holder),
            lock::State::Delayed { .. } => None,
        };
        waits.extend(in_line(&key.to_string(), held, &lock.line));
    }
    for (key, build) in draft.tables.builds.iter() {
        if let build::Build::Building { hold, line } = build {
            waits.extend(in_line(key.name.as_str(), Some(hold.holder), line));
        }
    }
    for (key, slots) in draft.tables.slots.iter() {
        waits.extend((0..slots.line.len()).map(|at| for_slot(&key.to_string(), slots, at)));
    }
    waits
}

/// The waits of a line behind one holder, each for all before it.
fn in_line(on: &str, held: Option<Holder>, line: &[Waiter]) -> Vec<Wait> {
    let before = |at: usize| held.into_iter().chain(line[..at].iter().map(|waiter| waiter.holder));
    line.iter()
        .enumerate()
        .map(|(at, waiter)| Wait::for_all(waiter.holder, on, before(at)))
        .collect()
}

/// What the waiter at a place in a pool's line waits for: as many uses as must end first.
pub(crate) fn for_slot(on: &str, slots: &Slots, at: usize) -> Wait {
    let who = slots.line[at].holder;
    let mut uses: BTreeMap<Holder, usize> = BTreeMap::new();
    let before = slots.line[..at].iter().map(|waiter| waiter.holder);
    for holder in slots.used.values().map(|hold| hold.holder).chain(before) {
        *uses.entry(holder).or_default() += 1;
    }
    let total: usize = uses.values().sum();
    // Of what may stay in use, a pool keeps one for this waiter.
    let mut may_stay = (slots.size as usize).saturating_sub(1).min(total);
    uses.remove(&who);
    let mut need = uses.len();
    let mut counts: Vec<usize> = uses.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    for count in counts {
        // Whichever stay: those with the most uses are the worst case.
        if count > may_stay {
            break;
        }
        may_stay -= count;
        need -= 1;
    }
    Wait { who, on: on.to_owned(), blockers: uses.into_keys().collect(), need }
}
