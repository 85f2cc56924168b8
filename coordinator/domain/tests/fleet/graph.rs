//! Who waits for whom, worked out anew from the records alone.

use std::collections::BTreeSet;

use molt_domain::board::Tables;
use molt_domain::build::Build;
use molt_domain::claim::{Claim, Mode, State};
use molt_domain::hold::{Holder, Waiter};
use molt_domain::lock;
use molt_domain::policy::Policy;
use molt_domain::scope::{Pattern, Reach, Risk, Scope, conflict};

use super::policy::PATHS;

/// Whether two claims cannot be held side by side, by their own frozen parts.
pub fn conflicts(policy: &Policy, left: &Claim, right: &Claim) -> bool {
    if left.mode == Mode::Shared && right.mode == Mode::Shared {
        return false;
    }
    let scopes = |claim: &Claim| -> Vec<Scope> {
        let parts = claim.parts.iter().map(|part| Scope {
            name: part.scope.clone(),
            paths: part.paths.clone(),
            reach: part.reach,
            max: None,
            tests: Vec::new(),
            risk: Risk::Med,
        });
        parts.collect()
    };
    if globs_meet(policy, left, right) || globs_meet(policy, right, left) {
        return true;
    }
    let (left, right) = (scopes(left), scopes(right));
    let case = policy.scopes.case();
    left.iter().any(|a| right.iter().any(|b| conflict(a, b, case).is_some()))
}

/// Whether a path that one claims beside scopes is the other's too, tried out on paths of the
/// repository: exact overlaps are the rules' own.
fn globs_meet(policy: &Policy, left: &Claim, right: &Claim) -> bool {
    let case = policy.scopes.case();
    let hits = |patterns: &[Pattern], path: &str| {
        patterns.iter().any(|pattern| pattern.matches_in(path, case))
    };
    let has = |claim: &Claim, path: &str| {
        let mut plain = claim.parts.iter().filter(|part| part.reach == Reach::Plain);
        hits(&claim.globs, path) || plain.any(|part| hits(&part.paths, path))
    };
    PATHS.iter().any(|path| hits(&left.globs, path) && has(right, path))
}

struct Wait {
    who: Holder,
    blockers: BTreeSet<Holder>,
    /// How many of them may stay for ever.
    spare: usize,
}

fn wait(who: Holder, blockers: impl Iterator<Item = Holder>) -> Wait {
    Wait { who, blockers: blockers.filter(|it| *it != who).collect(), spare: 0 }
}

/// Those who can never go on: what is left when all who can go on have gone.
pub fn stuck(tables: &Tables) -> BTreeSet<Holder> {
    let mut waits = claims(tables);
    for lock in tables.locks.values() {
        let held = match &lock.state {
            lock::State::Held(hold) => Some(hold.holder),
            lock::State::Delayed { .. } => None,
        };
        waits.extend(line(held, &lock.line));
    }
    for build in tables.builds.values() {
        if let Build::Building { hold, line: waiters } = build.as_ref() {
            waits.extend(line(Some(hold.holder), waiters));
        }
    }
    for slots in tables.slots.values() {
        for (at, waiter) in slots.line.iter().enumerate() {
            let before = slots.line[..at].iter().map(|waiter| waiter.holder);
            let users: Vec<Holder> =
                slots.used.values().map(|hold| hold.holder).chain(before).collect();
            // Whoever has two uses would make counting unfair; such lines are left out.
            let distinct: BTreeSet<Holder> = users.iter().copied().collect();
            if distinct.len() == users.len() && !distinct.contains(&waiter.holder) {
                let spare = (slots.size as usize).saturating_sub(1);
                waits.push(Wait { who: waiter.holder, blockers: distinct, spare });
            }
        }
    }
    let mut stuck: BTreeSet<Holder> = waits.iter().map(|wait| wait.who).collect();
    loop {
        let is_stuck = |wait: &&Wait| {
            wait.blockers.iter().filter(|it| stuck.contains(it)).count() > wait.spare
        };
        let left: BTreeSet<Holder> = waits.iter().filter(is_stuck).map(|wait| wait.who).collect();
        if left.len() == stuck.len() {
            return stuck;
        }
        stuck = left;
    }
}

fn line(held: Option<Holder>, waiters: &[Waiter]) -> Vec<Wait> {
    let before = |at: usize| held.into_iter().chain(waiters[..at].iter().map(|it| it.holder));
    waiters.iter().enumerate().map(|(at, waiter)| wait(waiter.holder, before(at))).collect()
}

fn claims(tables: &Tables) -> Vec<Wait> {
    let order = |claim: &Claim| match claim.state {
        State::Waiting { place, missed, .. } => (place, missed, claim.id),
        State::Held { .. } | State::Offered { .. } => (0, 0, claim.id),
    };
    let mut waits = Vec::new();
    for claim in tables.claims.values() {
        let Some(repo) = tables.repos.get(&claim.repo) else { continue };
        let Some(mine) = renewed(&repo.policy, claim) else { continue };
        if !matches!(claim.state, State::Waiting { .. }) {
            continue;
        }
        let blockers = tables.claims.values().filter(|other| {
            other.session != claim.session
                && order(other) < order(claim)
                && renewed(&repo.policy, other)
                    .is_some_and(|it| conflicts(&repo.policy, &it, &mine))
        });
        let blockers = blockers.map(|other| Holder::Session(other.session));
        waits.push(wait(Holder::Session(claim.session), blockers));
    }
    waits
}

/// A claim as it will be granted: who waits gets the patterns of the policy in force.
fn renewed(policy: &Policy, claim: &Claim) -> Option<Claim> {
    let mut claim = claim.clone();
    if matches!(claim.state, State::Waiting { .. }) {
        for part in &mut claim.parts {
            part.reach = policy.scopes.get(part.scope.as_str())?.reach;
            part.paths = policy.scopes.patterns(part.scope.as_str());
        }
    }
    Some(claim)
}
