//! What must hold of the train: what lands was proven, once, in one order.

use std::sync::Arc;

use molt_domain::board::{Command, Event, Tables};
use molt_domain::train::{Car, State};

use super::{Checked, Memory, Step, ensure};

pub fn cars(memory: &mut Memory, step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
    for event in step.events {
        match event {
            Event::GatePassed { car, gate, commit, tree, .. } => {
                let passed = memory.passed.entry(*car).or_default();
                passed.insert(gate.clone(), (commit.clone(), tree.clone()));
            }
            Event::Intended { car, base, commit, tree, gates, fence, .. } => {
                let candidate = (commit.clone(), tree.clone());
                let passed = memory.passed.get(car);
                let missing = gates
                    .iter()
                    .find(|gate| passed.and_then(|passed| passed.get(*gate)) != Some(&candidate));
                ensure(missing.is_none(), "M1 every gate passed for what lands", || {
                    format!("{car} without {missing:?}")
                })?;
                let repo = before.cars.get(car).and_then(|car| before.repos.get(&car.repo));
                let fresh =
                    repo.is_some_and(|repo| repo.base == *base && repo.unreadable.is_none());
                ensure(fresh, "M1 what lands was tested on the base", || {
                    format!("{car} on {base}")
                })?;
                memory.intents.insert(*car, (commit.clone(), tree.clone(), *fence));
            }
            Event::Landed { car, commit, tree, fence, .. } => {
                let intent = (commit.clone(), tree.clone(), *fence);
                ensure(
                    memory.intents.get(car) == Some(&intent),
                    "M1 what lands was decided",
                    || format!("{car} as {commit}"),
                )?;
                let landed = before.cars.get(car).map(|car| (car.repo.clone(), car.head.clone()));
                let first = landed.is_some_and(|landed| memory.landed.insert(landed));
                ensure(first, "M3 a change lands once", || car.to_string())?;
            }
            Event::IntentWithdrawn { car, .. } => {
                memory.intents.remove(car);
                declined(memory, step, after)?;
            }
            _ => {}
        }
    }
    for name in after.repos.keys() {
        let open = after.cars.values().filter(|car| car.repo == *name && car.state.is_open());
        let landing = |car: &&&Arc<Car>| matches!(car.state, State::Landing { .. });
        let open: Vec<_> = open.collect();
        let count = open.iter().filter(landing).count();
        ensure(count <= 1, "M3 one landing at a time", || format!("{count} cars of {name}"))?;
        let Command::Intend { car, .. } = &step.request.command else { continue };
        // Who waits for a person holds nobody up.
        let turns = open.iter().filter(|car| !matches!(car.state, State::Withheld { .. }));
        let first = turns.map(|car| car.id).min();
        ensure(first.is_none_or(|first| first == *car), "M4 the train has one order", || {
            format!("{car} before {first:?}")
        })?;
    }
    Ok(())
}

/// That nothing is tried again and again that the forge does not let happen.
fn declined(memory: &mut Memory, step: &Step<'_>, after: &Tables) -> Checked {
    let Command::DeclineLanding { car, .. } = &step.request.command else { return Ok(()) };
    let times = memory.declined.entry(*car).or_default();
    *times += 1;
    let goes_on = after.cars.get(car).is_some_and(|car| car.state.is_open());
    ensure(*times < 2 || !goes_on, "M5 a forge declines a change twice at most", || {
        format!("{car} was declined {times} times")
    })
}
