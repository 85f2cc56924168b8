//! What takes a person: changes of protected paths, and everything of a fork.
//!
//! What a candidate changes is taken from what the reconciler said, and what is
//! protected is looked up by hand: nothing is shared with the rules.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::access::{Peer, Role};
use molt_domain::board::{Caller, Command, Event, Tables};
use molt_domain::id::CarId;
use molt_domain::policy::Policy;
use molt_domain::train::{Car, Origin, Proposer, State};

use super::{Checked, Step, ensure, pulls};

/// What the checks remember.
#[derive(Debug, Default)]
pub struct Memory {
    /// The heads that a person approved.
    approved: BTreeMap<CarId, String>,
    /// Whether a car's last candidate changed what is protected, by the commit of the candidate.
    protected: BTreeMap<CarId, (String, bool)>,
    /// Pull requests whose last candidate changed anything: they hold no claims.
    unclaimed: BTreeSet<CarId>,
}

impl Memory {
    /// Whether the car must not go on without a person.
    fn needs(&self, car: &Car) -> bool {
        let protected = self.protected.get(&car.id).is_some_and(|(_, protected)| *protected);
        protected || car.origin != Origin::Own || self.unclaimed.contains(&car.id)
    }

    fn is_barrier(&self, car: &Car) -> bool {
        let (State::Building { candidate, .. } | State::Ready { candidate }) = &car.state else {
            return false;
        };
        self.protected.get(&car.id) == Some(&(candidate.commit.clone(), true))
    }
}

pub(super) fn approvals(
    memory: &mut Memory,
    looked: &pulls::Memory,
    step: &Step<'_>,
    before: &Tables,
    after: &Tables,
) -> Checked {
    remember(memory, looked, step, before, after)?;
    for event in step.events {
        let car = match event {
            Event::GatePassed { car, .. }
            | Event::Ready { car, .. }
            | Event::Intended { car, .. }
            | Event::Landed { car, .. } => after.cars.get(car),
            // A run for a tree that only this car has.
            Event::JobQueued { commit, .. } => after.cars.values().find(|car| {
                matches!(&car.state, State::Building { candidate, .. }
                    if candidate.commit == *commit)
            }),
            _ => None,
        };
        let Some(car) = car.filter(|car| memory.needs(car)) else { continue };
        let approved = memory.approved.get(&car.id) == Some(&car.head);
        ensure(approved, "14 nothing unapproved goes on", || format!("{event:?} of {car:?}"))?;
    }
    for barrier in after.cars.values().filter(|car| memory.is_barrier(car)) {
        let beside = after.cars.values().find(|car| {
            let tested = matches!(car.state, State::Building { .. } | State::Ready { .. });
            tested && car.repo == barrier.repo && car.id > barrier.id
        });
        ensure(beside.is_none(), "14 a barrier is alone", || {
            format!("{:?} behind {}", beside.map(|car| (car.id, &car.state)), barrier.id)
        })?;
    }
    Ok(())
}

fn remember(
    memory: &mut Memory,
    looked: &pulls::Memory,
    step: &Step<'_>,
    before: &Tables,
    after: &Tables,
) -> Checked {
    if let Command::SetCandidate { car: id, candidate } = &step.request.command
        && let Some(repo) = before.cars.get(id).and_then(|car| before.repos.get(&car.repo))
    {
        let protected = candidate.changed.iter().any(|path| is_protected(&repo.policy, path))
            || candidate.odd > 0 && !repo.policy.merge.protect.is_empty();
        memory.protected.insert(*id, (candidate.commit.clone(), protected));
        // Every policy of this fleet asks for claims.
        let of_pull =
            before.cars.get(id).is_some_and(|car| matches!(car.proposer, Proposer::Pull(_)));
        memory.unclaimed.remove(id);
        if of_pull && (candidate.odd > 0 || !candidate.changed.is_empty()) {
            memory.unclaimed.insert(*id);
        }
    }
    for event in step.events {
        let Event::Approved { car, head, .. } = event else { continue };
        let person = matches!(step.request.caller, Caller::Operator(_))
            && match &step.request.peer {
                Peer::Local => true,
                Peer::Known(identity) => identity.role == Role::Operator,
            };
        let at_forge = step.request.caller == Caller::Coordinator
            && after.cars.get(car).is_some_and(|car| looked.has_look(car));
        ensure(person || at_forge, "14 a person approves", || format!("{:?}", step.request))?;
        let seen = after.cars.get(car).is_some_and(|car| car.head == *head);
        ensure(seen, "14 an approval is of one head", || format!("{car} {head}"))?;
        memory.approved.insert(*car, head.clone());
    }
    Ok(())
}

/// Whether the policies of this fleet protect a path.
fn is_protected(policy: &Policy, path: &str) -> bool {
    let tests = policy.digest == "policy-2" && path == "tests/x.py";
    let tools = ["policy-0", "policy-2"].contains(&policy.digest.as_str());
    path == "molt.toml" || tests || tools && path.starts_with("tools/")
}
