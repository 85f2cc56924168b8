//! Plans: shares are apart, every ready task is dealt or says why not, and `next` follows.

use std::collections::BTreeSet;

use molt_domain::board::{Change, Event, Tables};
use molt_domain::claim::{self, Claim, Mode, Piece};
use molt_domain::policy::Policy;
use molt_domain::scope::{Scope, ScopeName, conflict};
use molt_domain::task::{State, Task};

use super::{Checked, Step, ensure};

/// Whether two scopes cannot be held side by side, by their patterns alone.
fn meet(policy: &Policy, left: &ScopeName, right: &ScopeName) -> bool {
    let whole = |name: &ScopeName| {
        let scope = policy.scopes.get(name.as_str())?;
        Some(Scope { paths: policy.scopes.patterns(name.as_str()), ..scope.clone() })
    };
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => conflict(&left, &right, policy.scopes.case()).is_some(),
        _ => false,
    }
}

pub fn shares_are_apart(step: &Step<'_>, after: &Tables) -> Checked {
    for change in step.changes {
        let (Change::Repo(name, _) | Change::Plan(name, _)) = change else { continue };
        let (Some(plan), Some(repo)) = (after.plans.get(name), after.repos.get(name)) else {
            continue;
        };
        ensure(plan.policy == repo.policy.digest, "16 a plan ends with its policy", || {
            format!("{} and {}", plan.policy, repo.policy.digest)
        })?;
        for (at, share) in plan.shares.iter().enumerate() {
            for other in &plan.shares[at + 1..] {
                let met = share.scopes.iter().find_map(|left| {
                    other.scopes.iter().find(|right| meet(&repo.policy, left, right))
                });
                ensure(met.is_none(), "16 no two shares meet", || format!("{met:?} of {plan:?}"))?;
            }
            let once = plan.shares.iter().filter(|it| it.session == share.session).count() == 1;
            ensure(share.session.is_none() || once, "16 an agent has one share", || {
                format!("{plan:?}")
            })?;
        }
    }
    Ok(())
}

/// Who takes work of no share, or of another one, had nothing to take of its own.
pub fn own_share_first(step: &Step<'_>, before: &Tables) -> Checked {
    const NAME: &str = "16 work is taken from one's own share first";
    for event in step.events {
        let Event::TaskTaken { task, session, .. } = event else { continue };
        let Some(taken) = before.tasks.get(task) else { continue };
        let Some(plan) = before.plans.get(&taken.repo) else { continue };
        let Some(own) = plan.shares.iter().find(|share| share.session == Some(*session)) else {
            continue;
        };
        let Some(repo) = before.repos.get(&taken.repo) else { continue };
        // A scope that was added to the work after the deal is where one is that covers it.
        let covered = |it: &ScopeName| {
            let reach = |name: &str| repo.policy.scopes.get(name).map(|scope| scope.reach);
            let above = |share: &ScopeName| {
                share.is_ancestor_of(it) && reach(share.as_str()) == reach(it.as_str())
            };
            own.scopes.iter().any(|share| share == it || above(share))
        };
        let in_own = |task: &Task| !task.scopes.is_empty() && task.scopes.iter().all(covered);
        if in_own(taken) {
            continue;
        }
        let others: Vec<&Claim> = before
            .claims
            .values()
            .map(AsRef::as_ref)
            .filter(|claim| claim.session != *session && claim.repo == taken.repo)
            .collect();
        // Claims of others, waiting ones too: any of them may be a reason to pass a task over.
        let free = |task: &Task| {
            let touched: BTreeSet<&ScopeName> = others.iter().flat_map(|it| it.scopes()).collect();
            let known = task.scopes.iter().all(|it| repo.policy.scopes.get(it.as_str()).is_some());
            let older = others.iter().any(|claim| claim.policy != repo.policy.digest);
            let meets = |it: &ScopeName| touched.iter().any(|held| meet(&repo.policy, it, held));
            let beside = |it: &ScopeName| {
                let piece = Piece::Scope(it.clone());
                let globs = others.iter().filter(|claim| !claim.globs.is_empty());
                globs.into_iter().any(|claim| claim::meets(&repo.policy, claim, &piece).is_some())
            };
            // Whoever shares a scope is let alone with it only whole, with all else of that claim; and
            // a claim serves one work until that ends or is another's.
            let serves = |claim: &Claim| {
                let other = claim.task.filter(|other| *other != task.id);
                let other = other.and_then(|other| before.tasks.get(&other));
                other.is_some_and(|other| match other.state {
                    State::Done | State::Failed { .. } => false,
                    State::Taken { session: by, .. } => by == *session,
                    State::Open | State::Blocked { .. } => true,
                })
            };
            let own = before.claims.values().filter(|claim| claim.session == *session);
            let shares = own.into_iter().any(|claim| {
                let named = claim.scopes().any(|it| task.scopes.contains(it));
                named && (claim.mode == Mode::Shared || serves(claim))
            });
            known && !older && !shares && !task.scopes.iter().any(|it| meets(it) || beside(it))
        };
        let ready = |task: &&Task| {
            let done = |id| before.tasks.get(id).is_none_or(|it| it.state == State::Done);
            task.repo == taken.repo
                && task.state == State::Open
                && task.needs.iter().all(done)
                && in_own(task)
                && free(task)
        };
        let passed = before.tasks.values().map(AsRef::as_ref).find(ready);
        ensure(passed.is_none(), NAME, || {
            format!("{task} by {session} before {:?}", passed.map(|task| task.id))
        })?;
    }
    Ok(())
}
