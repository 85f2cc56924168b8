//! Which waits may not be: one graph over claims, locks, slots and builds.
//!
//! A wait needs all of some holders to go on, or enough of several users. A
//! request whose wait nothing could ever end is refused with the circle that
//! it would close. Not here: who is served next, which each room decides; and
//! how the graph is followed ([`walk`]).

mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use self::walk::LineKey;
use self::walk::Walk;
use crate::board::{Draft, Refusal};
use crate::claim;
use crate::fault::fault;
use crate::hold::Holder;
use crate::name::RepoName;
use crate::slot::{self, Slots};

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

    /// Whether it ends, given who goes on.
    fn ends(&self, goes_on: impl Fn(&Holder) -> bool) -> bool {
        self.blockers.iter().filter(|it| goes_on(it)).count() >= self.need
    }
}

/// Refuses waits of which one could never end.
pub(crate) fn refuse_cycle(draft: &Draft<'_>, new: Vec<Wait>) -> Result<(), Box<Refusal>> {
    if fault!(CircleAllowed) || new.iter().all(|wait| wait.blockers.is_empty()) {
        return Ok(());
    }
    let new_ones: Vec<Holder> = new.iter().map(|wait| wait.who).collect();
    refuse(Walk::new(draft, new), new_ones)
}

/// Refuses what leaves somebody stuck who was given something.
pub(crate) fn refuse_stuck(draft: &Draft<'_>, who: Holder) -> Result<(), Box<Refusal>> {
    if fault!(CircleAllowed) {
        return Ok(());
    }
    refuse(Walk::new(draft, Vec::new()), vec![who])
}

fn refuse(mut walk: Walk<'_>, asked: Vec<Holder>) -> Result<(), Box<Refusal>> {
    match asked.into_iter().find(|who| walk.is_stuck(*who)) {
        Some(who) => Err(Refusal::WaitCycle { cycle: walk.circle(who) }.into()),
        None => Ok(()),
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

/// Whether somebody waits for what nobody will ever give.
pub(crate) fn is_stuck(draft: &Draft<'_>, who: Holder) -> bool {
    Walk::new(draft, Vec::new()).is_stuck(who)
}

/// Those who wait for something that nobody will ever give.
fn who_is_stuck(draft: &Draft<'_>) -> BTreeSet<Holder> {
    let mut walk = Walk::new(draft, Vec::new());
    walk::everybody(draft).into_iter().filter(|who| walk.is_stuck(*who)).collect()
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
