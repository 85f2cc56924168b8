//! What a person answers for: red items of one run, and nothing that turned red another time.
//!
//! What runs found is taken from the audit, and which gate names its items is known by heart;
//! nothing is shared with the rules.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::access::{Peer, Role};
use molt_domain::board::{Caller, Change, Command, Event, Proof, Tables};
use molt_domain::gate::{Class, Digest, Finding};
use molt_domain::id::{BoardTime, CarId, JobId};
use molt_domain::name::GateName;
use molt_domain::pull::Right;
use molt_domain::pull::command::{Author, Edits};
use molt_domain::train::{Candidate, Ejection, State};

use super::{Checked, Step, broken, ensure};

/// How long failures that landed are answered for, in milliseconds: a week.
const ACCEPTED_FOR: u64 = 7 * 24 * 3600 * 1000;

/// The gate that is compared with the base, and whose runs name what is red.
const NAMING: &str = "diff";

const COVERS: &str = "20 an override covers what was red then and nothing else";

/// What the checks remember.
#[derive(Debug, Default)]
pub struct Memory {
    runs: BTreeMap<JobId, Finding>,
    /// The last run on inputs of a digest.
    of: BTreeMap<Digest, JobId>,
    given: BTreeMap<CarId, Vec<Given>>,
    /// Until when an item of a gate is the base's, and somebody answers for it.
    accepted: BTreeMap<(GateName, String), BoardTime>,
}

/// What a person answered for.
#[derive(Debug)]
struct Given {
    gate: GateName,
    job: JobId,
    items: BTreeSet<String>,
}

pub(super) fn overrides(
    memory: &mut Memory,
    step: &Step<'_>,
    before: &Tables,
    after: &Tables,
) -> Checked {
    for event in step.events {
        match event {
            Event::JobFinished { job, digest, finding, .. } => {
                memory.runs.insert(*job, finding.clone());
                memory.of.insert(digest.clone(), *job);
            }
            Event::Overridden { car, head, gate, job, items, reason, .. } => {
                ensure(by_person(step), "20 a person overrides", || format!("{:?}", step.request))?;
                ensure(!reason.trim().is_empty(), "20 an override has a reason", || {
                    format!("{event:?}")
                })?;
                let items = items.iter().cloned().collect();
                let given = Given { gate: gate.clone(), job: *job, items };
                ensure(memory.is_of_ejection((*car, head), &given, before), COVERS, || {
                    format!("{event:?}: {:?}, {:?}", memory.runs.get(job), before.cars.get(car))
                })?;
                memory.given.entry(*car).or_default().push(given);
            }
            Event::GatePassed { car, gate, proof: Some(proof), .. } => {
                let candidate = candidate(*car, step, [after, before]);
                let candidate = candidate.ok_or_else(|| broken(COVERS, format!("{event:?}")))?;
                let now = step.act.now.board;
                let left = memory.unanswered((*car, candidate), gate, proof, now);
                ensure(left.is_empty(), COVERS, || {
                    let run = memory.runs.get(&proof.job);
                    format!("{left:?} of {event:?}: {run:?}, given {:?}", memory.given.get(car))
                })?;
            }
            Event::Landed { car, .. } => memory.landed(*car, step.act.now.board),
            _ => {}
        }
    }
    for change in step.changes {
        let Change::Car(id, Some(car)) = change else { continue };
        let told = memory.given.get(id).map_or(0, Vec::len);
        ensure(car.overrides.len() == told, "11 every change has its audit entry", || {
            format!("{told} overrides of {car:?}")
        })?;
    }
    Ok(())
}

/// Whether an operator says it, or a maintainer by a comment.
fn by_person(step: &Step<'_>) -> bool {
    match (&step.request.caller, &step.request.command) {
        (Caller::Operator(_), Command::Override { .. }) => match &step.request.peer {
            Peer::Local => true,
            Peer::Known(identity) => identity.role == Role::Operator,
        },
        (Caller::Coordinator, Command::HearComment { comment, .. }) => {
            let own = comment.edits == Edits::None && comment.author != Author::Program;
            own && comment.right >= Right::Maintain && comment.text.starts_with("@molt approve")
        }
        _ => false,
    }
}

/// The candidate whose gate passed; another gate may have put the car out at once.
fn candidate<'a>(
    id: CarId,
    step: &'a Step<'_>,
    [after, before]: [&'a Tables; 2],
) -> Option<&'a Candidate> {
    if let Command::SetCandidate { car, candidate } = &step.request.command
        && *car == id
    {
        return Some(candidate);
    }
    [after, before].into_iter().find_map(|tables| match &tables.cars.get(&id)?.state {
        State::Building { candidate, .. } | State::Ready { candidate } => Some(candidate),
        _ => None,
    })
}

impl Memory {
    /// Whether an override is of what the run found that had ejected this head by this gate.
    fn is_of_ejection(&self, (id, head): (CarId, &str), given: &Given, before: &Tables) -> bool {
        let Some(car) = before.cars.get(&id).filter(|car| car.head == head) else { return false };
        let State::Ejected { ejection: Ejection::GateFailed { gate, job, .. }, .. } = &car.state
        else {
            return false;
        };
        let Some(run) = self.runs.get(job).filter(|run| run.class == Class::Failed) else {
            return false;
        };
        let red = if gate.as_str() == NAMING { run.red.clone() } else { BTreeSet::new() };
        (gate, *job) == (&given.gate, given.job) && red == given.items
    }

    /// The red items of a proof that neither the base has nor anybody answers for; of a gate that
    /// names none, the gate.
    fn unanswered(
        &self,
        (id, candidate): (CarId, &Candidate),
        gate: &GateName,
        proof: &Proof,
        now: BoardTime,
    ) -> Vec<String> {
        let Some(run) = self.runs.get(&proof.job).filter(|run| run.class != Class::Passed) else {
            return Vec::new();
        };
        let given = self.given.get(&id).map_or(&[][..], Vec::as_slice);
        let mut given = given.iter().filter(|it| it.gate == *gate);
        if gate.as_str() != NAMING {
            let whole = given.any(|it| it.job == proof.job);
            return if whole { Vec::new() } else { vec![gate.to_string()] };
        }
        let given: BTreeSet<&String> = given.flat_map(|it| &it.items).collect();
        let base = self.base_red(candidate, gate);
        let answered = |item: &String| {
            let until = self.accepted.get(&(gate.clone(), item.clone()));
            base.contains(item) || given.contains(item) || until.is_some_and(|until| now < *until)
        };
        let class = (run.class != Class::Failed).then(|| run.class.to_string());
        run.red.iter().filter(|item| !answered(item)).cloned().chain(class).collect()
    }

    /// What a run of the base found red that judged it.
    fn base_red(&self, candidate: &Candidate, gate: &GateName) -> BTreeSet<String> {
        let policy = crate::fleet::policy::policy(0);
        let inputs = candidate.base_inputs.get(gate);
        let digest = inputs.map(|inputs| Digest::of(gate, &policy.gates[gate], inputs));
        let job = digest.and_then(|digest| self.of.get(&digest));
        let run = job.and_then(|job| self.runs.get(job));
        let run = run.filter(|run| matches!(run.class, Class::Passed | Class::Failed));
        run.map(|run| run.red.clone()).unwrap_or_default()
    }

    fn landed(&mut self, car: CarId, now: BoardTime) {
        let until = BoardTime(now.0 + ACCEPTED_FOR);
        for given in self.given.get(&car).into_iter().flatten() {
            for item in &given.items {
                self.accepted.insert((given.gate.clone(), item.clone()), until);
            }
        }
    }
}
