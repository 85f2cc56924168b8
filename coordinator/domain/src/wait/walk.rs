//! Whether somebody can go on, found by following their own waits.
//!
//! A walk looks at whom the asker waits for, and at whom those wait for, and at
//! nobody else: whoever is known to go on is in nobody's way any more. Those who
//! are left when nobody more can go on are stuck.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Wait, for_slot};
use crate::board::Draft;
use crate::build::{Build, BuildKey};
use crate::claim;
use crate::hold::{Holder, Waiter};
use crate::lock::{self, LockKey};
use crate::slot::{SlotKey, Slots};

/// A line behind what one has, or a few have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LineKey {
    /// Of a lock.
    Lock(LockKey),
    /// Of a build that runs.
    Build(BuildKey),
    /// Of a pool.
    Slots(SlotKey),
}

/// What one question has found out.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    draft: &'a Draft<'a>,
    /// The waits that are asked about: they are not on the board yet.
    new: Vec<Wait>,
    claims: claim::Lines,
    lines: BTreeMap<LineKey, Line<'a>>,
    seen: HashSet<Holder>,
    goes_on: HashSet<Holder>,
}

enum Step {
    Enter(Holder),
    Leave(Holder),
}

impl<'a> Walk<'a> {
    pub(super) fn new(draft: &'a Draft<'a>, new: Vec<Wait>) -> Self {
        let (claims, lines) = (claim::Lines::default(), BTreeMap::new());
        Self { draft, new, claims, lines, seen: HashSet::new(), goes_on: HashSet::new() }
    }

    /// Whether nobody will ever give `who` what it waits for.
    pub(super) fn is_stuck(&mut self, who: Holder) -> bool {
        self.follow(who);
        !self.goes_on.contains(&who)
    }

    /// Finds out who goes on of all for whom `who` waits, near and far.
    fn follow(&mut self, who: Holder) {
        let mut steps = vec![Step::Enter(who)];
        let mut left = Vec::new();
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(who) if self.seen.insert(who) => {
                    let ahead = self.in_the_way(who);
                    if ahead.is_empty() {
                        self.goes_on.insert(who);
                        continue;
                    }
                    steps.push(Step::Leave(who));
                    // First come, first looked at: then those behind find them known.
                    let unseen = ahead.into_iter().rev().filter(|it| !self.seen.contains(it));
                    steps.extend(unseen.map(Step::Enter));
                }
                Step::Enter(_) => {}
                Step::Leave(who) => {
                    if !self.settle(who) {
                        left.push(who);
                    }
                }
            }
        }
        // Who was met again on the way may go on although it was not known to then.
        let mut before = usize::MAX;
        while left.len() < before {
            before = left.len();
            left.retain(|who| !self.settle(*who));
        }
    }

    /// Notes that somebody goes on whose every wait ends; says whether it does.
    fn settle(&mut self, who: Holder) -> bool {
        let Self { draft, new, claims, goes_on, .. } = self;
        let mut own = new.iter().filter(|wait| wait.who == who);
        let ends = own.all(|wait| wait.ends(|it| goes_on.contains(it)))
            && session(who).is_none_or(|id| claims.in_the_way(draft, id, goes_on).is_empty())
            && self.lines_of(who).iter().all(|key| self.ends_in(key, who));
        if ends {
            self.goes_on.insert(who);
        }
        ends
    }

    /// Those for whom somebody waits and who are not known to go on.
    fn in_the_way(&mut self, who: Holder) -> Vec<Holder> {
        let Self { draft, new, claims, goes_on, .. } = self;
        let mut found = match session(who) {
            Some(id) => claims.in_the_way(draft, id, goes_on),
            None => Vec::new(),
        };
        let own = new.iter().filter(|wait| wait.who == who).flat_map(|wait| &wait.blockers);
        found.extend(own.filter(|it| !goes_on.contains(it)));
        for key in self.lines_of(who) {
            if let Some((line, goes_on)) = self.line(&key) {
                found.extend(
                    line.last(who).map(|at| line.in_the_way(at, goes_on)).unwrap_or_default(),
                );
            }
        }
        found
    }

    fn ends_in(&mut self, key: &LineKey, who: Holder) -> bool {
        let Some((line, goes_on)) = self.line(key) else { return true };
        let Some(at) = line.last(who) else { return true };
        if line.in_the_way(at, goes_on).is_empty() {
            return true;
        }
        let Some(slots) = line.slots else { return false };
        let waits = line.places(who).map(|at| for_slot("", slots, at));
        waits.into_iter().all(|wait| wait.ends(|it| goes_on.contains(it)))
    }

    /// The lines of locks, builds and slots in which somebody is.
    fn lines_of(&self, who: Holder) -> BTreeSet<LineKey> {
        let tables = &self.draft.tables;
        let locks = tables.locks.written().map(|(key, _)| LineKey::Lock(key.clone()));
        let builds = tables.builds.written().map(|(key, _)| LineKey::Build(key.clone()));
        let slots = tables.slots.written().map(|(key, _)| LineKey::Slots(key.clone()));
        let known = self.draft.board().index().lines_of(who).cloned();
        known.chain(locks).chain(builds).chain(slots).collect()
    }

    fn line(&mut self, key: &LineKey) -> Option<(&mut Line<'a>, &HashSet<Holder>)> {
        if !self.lines.contains_key(key) {
            self.lines.insert(key.clone(), Line::of(self.draft, key)?);
        }
        Some((self.lines.get_mut(key)?, &self.goes_on))
    }

    /// The names around the circle that is reached from somebody who is stuck.
    pub(super) fn circle(&mut self, who: Holder) -> Vec<String> {
        let mut path: Vec<(Holder, String)> = Vec::new();
        let mut at = who;
        while !path.iter().any(|(holder, _)| *holder == at) {
            let waits = self.waits(at);
            let goes_on = |it: &Holder| self.goes_on.contains(it);
            let Some(wait) = waits.into_iter().find(|wait| !wait.ends(goes_on)) else { break };
            path.push((at, wait.on));
            let Some(next) = wait.blockers.into_iter().find(|it| !goes_on(it)) else { break };
            at = next;
        }
        let start = path.iter().position(|(holder, _)| *holder == at).unwrap_or(0);
        path.into_iter().skip(start).map(|(_, on)| on).collect()
    }

    /// Every wait of somebody.
    fn waits(&mut self, who: Holder) -> Vec<Wait> {
        let draft = self.draft;
        let mut waits = session(who).map(|id| self.claims.waits(draft, id)).unwrap_or_default();
        for key in self.lines_of(who) {
            if let Some((line, _)) = self.line(&key) {
                waits.extend(line.places(who).map(|at| line.wait(at)));
            }
        }
        waits.extend(self.new.iter().filter(|wait| wait.who == who).cloned());
        waits
    }
}

fn session(who: Holder) -> Option<crate::id::SessionId> {
    match who {
        Holder::Session(id) => Some(id),
        Holder::Job(_) => None,
    }
}

/// A line, and who has what it is for.
#[derive(Debug)]
struct Line<'a> {
    /// What it is called in a circle.
    on: String,
    /// Those who have it.
    used: Vec<Holder>,
    waiters: &'a [Waiter],
    /// Where each of them stands.
    places: HashMap<Holder, Vec<usize>>,
    /// Of those who have it and those who wait, so many from the first on are known to go on.
    known: usize,
    /// Where some of those who have it are enough to wait for.
    slots: Option<&'a Slots>,
}

impl<'a> Line<'a> {
    fn of(draft: &'a Draft<'a>, key: &LineKey) -> Option<Self> {
        let tables = &draft.tables;
        let mut slots = None;
        let (on, used, waiters) = match key {
            LineKey::Lock(key) => {
                let lock = tables.locks.get(key)?;
                let held = match &lock.state {
                    lock::State::Held(hold) => vec![hold.holder],
                    lock::State::Delayed { .. } => Vec::new(),
                };
                (key.to_string(), held, lock.line.as_slice())
            }
            LineKey::Build(key) => match tables.builds.get(key)? {
                Build::Building { hold, line } => {
                    (key.name.to_string(), vec![hold.holder], line.as_slice())
                }
                Build::Built { .. } | Build::Failed { .. } => return None,
            },
            LineKey::Slots(key) => {
                let pool = tables.slots.get(key)?;
                slots = Some(pool);
                let used = pool.used.values().map(|hold| hold.holder).collect();
                (key.to_string(), used, pool.line.as_slice())
            }
        };
        let mut places = HashMap::<_, Vec<usize>>::new();
        for (at, waiter) in waiters.iter().enumerate() {
            places.entry(waiter.holder).or_default().push(at);
        }
        Some(Self { on, used, waiters, places, known: 0, slots })
    }

    fn places(&self, who: Holder) -> impl Iterator<Item = usize> {
        self.places.get(&who).into_iter().flatten().copied()
    }

    /// The last place of somebody: those before every other one are before it too.
    fn last(&self, who: Holder) -> Option<usize> {
        self.places(who).last()
    }

    /// Who is before a place: the first `used` of these have what the line is for.
    fn ahead(&self, from: usize, at: usize) -> impl Iterator<Item = Holder> {
        let waiters = self.waiters[..at].iter().map(|waiter| waiter.holder);
        self.used.iter().copied().chain(waiters).skip(from)
    }

    /// Those before a place who are not known to go on.
    fn in_the_way(&mut self, at: usize, goes_on: &HashSet<Holder>) -> Vec<Holder> {
        let known = self.ahead(self.known, at).take_while(|it| goes_on.contains(it)).count();
        self.known += known;
        let who = self.waiters[at].holder;
        let others = self.ahead(self.known, at).filter(|it| *it != who);
        others.filter(|it| !goes_on.contains(it)).collect()
    }

    /// What the waiter at a place waits for.
    fn wait(&self, at: usize) -> Wait {
        match self.slots {
            Some(slots) => for_slot(&self.on, slots, at),
            None => Wait::for_all(self.waiters[at].holder, &*self.on, self.ahead(0, at)),
        }
    }
}

/// Everybody who waits.
pub(super) fn everybody(draft: &Draft<'_>) -> BTreeSet<Holder> {
    let tables = &draft.tables;
    let locks = tables.locks.iter().flat_map(|(_, lock)| &lock.line);
    let builds = tables.builds.iter().flat_map(|(_, build)| build.line());
    let slots = tables.slots.iter().flat_map(|(_, slots)| &slots.line);
    let lines = locks.chain(builds).chain(slots).map(|waiter| waiter.holder);
    lines.chain(claim::Lines::everybody(draft)).collect()
}
