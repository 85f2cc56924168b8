//! From candidate to proof: what a car's gates need, and what their results say.

use std::collections::{BTreeMap, BTreeSet};

use super::approval::{look_again, withhold};
use super::order::{car, eject, open_cars, stale};
use super::overriding::unanswered;
use super::{Announced, Candidate, Car, Ejection, MAX_NAMED, Need, Proposer, State, first};
use crate::board::{Draft, Event, Proof, Refusal, Reply};
use crate::fault::fault;
use crate::gate::{Compare, Digest, Gate, Results, Verdict, verdict};
use crate::id::CarId;
use crate::job;
use crate::name::{GateName, RepoName};
use crate::policy::{CHANGE_GATES, POLICY_FILE, Policy, Repo};

/// Paths that a record names at most.
const NAMED: usize = 5;

/// Takes a candidate that was made and published, and judges what needs no run.
pub(crate) fn set_candidate(
    draft: &mut Draft<'_>,
    id: CarId,
    candidate: &Candidate,
) -> Result<Reply, Box<Refusal>> {
    let car = car(draft, id)?;
    let repo = draft.repo(&car.repo)?;
    if candidate.base != repo.base || car.state != State::Queued {
        return Err(stale(&car, &candidate.base, &repo.base));
    }
    if let Some(ahead) = first(draft.tables.cars.iter().map(|(_, car)| car), &car.repo)
        && ahead.id != id
    {
        return Err(Refusal::Closed { reason: format!("{} is ahead of {id}", ahead.id) }.into());
    }
    if let Some(gate) = undefined(&repo) {
        let reason = "the policy requires it and does not say what it is".to_owned();
        return Err(Refusal::Gate { car: id, gate: gate.clone(), reason }.into());
    }
    draft.record(Event::CandidateMade {
        car: id,
        base: candidate.base.clone(),
        commit: candidate.commit.clone(),
        tree: candidate.tree.clone(),
        changed: candidate.changed.len() as u32 + candidate.odd,
    });
    if let Some(ejection) = judge_change(&repo, &car, candidate) {
        eject(draft, car, ejection);
        return Ok(Reply::Done);
    }
    let protected = protected(&repo.policy, candidate);
    if let Some(need) = need(&repo, &car, candidate, &protected) {
        withhold(draft, car, need);
        return Ok(Reply::Done);
    }
    if !protected.is_empty() && !fault!(BarrierPassed) {
        give_way(draft, &car);
    }
    let protected = protected.into_iter().take(NAMED).collect();
    let kept = Candidate { changed: Vec::new(), protected, ..candidate.clone() };
    let mut passed = BTreeSet::new();
    for gate in &repo.policy.merge.required {
        if !repo.policy.gates.contains_key(gate) {
            record_pass(draft, id, gate, &kept, None);
            passed.insert(gate.clone());
        }
    }
    let state = State::Building { candidate: kept, passed };
    draft.tables.cars.put(id, Car { state, ..car });
    advance(draft);
    crate::schedule::assign(draft);
    Ok(Reply::Done)
}

/// A required gate that is no run and that the board does not decide either.
fn undefined(repo: &Repo) -> Option<&GateName> {
    let known = |gate: &GateName| {
        repo.policy.gates.contains_key(gate) || CHANGE_GATES.contains(&gate.as_str())
    };
    repo.policy.merge.required.iter().find(|gate| !known(gate))
}

/// The changed paths that take a person's approval, the policy's own first. A path that is no text
/// is one of them wherever anything is protected: no pattern can say that it is not.
fn protected(policy: &Policy, candidate: &Candidate) -> Vec<String> {
    let named = candidate.changed.iter().filter(|path| policy.protects(path)).cloned();
    let odd = if policy.merge.protect.is_empty() { 0 } else { candidate.odd as usize };
    let odd = std::iter::repeat_n("a path that is not UTF-8".to_owned(), odd);
    let mut paths: Vec<String> = named.chain(odd).collect();
    paths.sort_by_key(|path| path != POLICY_FILE);
    paths
}

/// Why a change takes a person's approval that it does not have: one of its head answers all.
fn need(repo: &Repo, car: &Car, candidate: &Candidate, protected: &[String]) -> Option<Need> {
    if car.approval.is_some() || fault!(UnapprovedRuns) {
        return None;
    }
    let named = |paths: &[String]| paths.iter().take(NAMED).cloned().collect();
    if !protected.is_empty() {
        let (count, policy) = (protected.len() as u32, repo.policy.digest.clone());
        return Some(Need::Protected { paths: named(protected), count, policy });
    }
    let count = candidate.changed.len() as u32 + candidate.odd;
    let unclaimed = matches!(car.proposer, Proposer::Pull(_)) && takes_claims(repo) && count > 0;
    unclaimed.then(|| Need::Unclaimed { paths: named(&candidate.changed), count })
}

/// Takes back what is tested beside a barrier: it may judge by what the barrier changes.
fn give_way(draft: &mut Draft<'_>, barrier: &Car) {
    let tested = |state: &State| matches!(state, State::Building { .. } | State::Ready { .. });
    let mut others = open_cars(draft, &barrier.repo);
    others.retain(|car| tested(&car.state) && car.id != barrier.id);
    for car in others.into_iter().take(draft.room() / 2) {
        draft.tables.cars.put(car.id, Car { state: State::Queued, ..car });
    }
}

/// What the change gates say: policy, scope and announce.
///
/// Nobody outside holds claims, and no pull request does: a person who approved its head answers
/// for what they stand for.
fn judge_change(repo: &Repo, car: &Car, candidate: &Candidate) -> Option<Ejection> {
    if let Some(problem) = &candidate.unreadable {
        return Some(Ejection::PolicyChange { problem: problem.clone() });
    }
    if !car.origin.is_own() || matches!(car.proposer, Proposer::Pull(_)) {
        return None;
    }
    if requires(repo, "scope") {
        let covered = |path: &&String| {
            let held = car.parts.iter().map(|part| &part.scope);
            let scopes = &repo.policy.scopes;
            scopes.covers(held, path) || scopes.reaches(&car.globs, path)
        };
        let outside: Vec<String> =
            candidate.changed.iter().filter(|path| !covered(path)).cloned().collect();
        let count = outside.len() as u32 + candidate.odd;
        if count > 0 {
            let paths = outside.into_iter().take(NAMED).collect();
            return Some(Ejection::ScopeEscape { paths, count });
        }
    }
    let unannounced = car.announced == Announced::NotAll;
    (requires(repo, "announce") && unannounced).then_some(Ejection::AnnouncementMissing)
}

/// Whether the policy asks for claims, or for what is said of them.
pub(super) fn takes_claims(repo: &Repo) -> bool {
    CHANGE_GATES.into_iter().any(|gate| requires(repo, gate))
}

fn requires(repo: &Repo, name: &str) -> bool {
    repo.policy.merge.required.iter().any(|gate| gate.as_str() == name)
}

fn record_pass(
    draft: &mut Draft<'_>,
    id: CarId,
    gate: &GateName,
    candidate: &Candidate,
    proof: Option<Proof>,
) {
    draft.record(Event::GatePassed {
        car: id,
        gate: gate.clone(),
        commit: candidate.commit.clone(),
        tree: candidate.tree.clone(),
        proof,
    });
}

/// Adds the digests of the base's inputs, which only a verdict against the base needs.
pub(crate) fn set_base_inputs(
    draft: &mut Draft<'_>,
    id: CarId,
    base: &str,
    inputs: &BTreeMap<GateName, String>,
) -> Result<Reply, Box<Refusal>> {
    let car = car(draft, id)?;
    let State::Building { mut candidate, passed } = car.state.clone() else {
        return Ok(Reply::Done);
    };
    if candidate.base != base {
        return Err(stale(&car, base, &candidate.base));
    }
    candidate.base_inputs.clone_from(inputs);
    draft.tables.cars.put(id, Car { state: State::Building { candidate, passed }, ..car });
    advance(draft);
    crate::schedule::assign(draft);
    Ok(Reply::Done)
}

/// Moves the first car of each train as far as its results allow.
pub(crate) fn advance(draft: &mut Draft<'_>) {
    let repos: Vec<RepoName> = draft.tables.repos.iter().map(|(name, _)| name.clone()).collect();
    for name in repos {
        let Ok(repo) = draft.repo(&name) else { continue };
        look_again(draft, &repo);
        // Where the first is ejected, the next may be ready to be looked at.
        while draft.room() > 2 {
            let first = first(draft.tables.cars.iter().map(|(_, car)| car), &name).cloned();
            let Some(car) = first else { break };
            let State::Building { candidate, passed } = car.state.clone() else { break };
            if !advance_one(draft, &repo, car, candidate, passed) {
                break;
            }
        }
    }
    cancel_needless(draft);
}

/// Moves a car as far as its results allow; says whether it left the train.
fn advance_one(
    draft: &mut Draft<'_>,
    repo: &Repo,
    car: Car,
    candidate: Candidate,
    mut passed: BTreeSet<GateName>,
) -> bool {
    let before = passed.len();
    for (name, gate) in required_runs(repo) {
        if passed.contains(name) {
            continue;
        }
        match look(draft, repo, (&car, &candidate), name, gate) {
            Look::Pending => {}
            Look::Passed(proof) => {
                record_pass(draft, car.id, name, &candidate, Some(proof));
                passed.insert(name.clone());
            }
            Look::Failed(ejection) => {
                eject(draft, car, ejection);
                return true;
            }
        }
    }
    let mut missing = repo.policy.merge.required.iter().filter(|gate| !passed.contains(*gate));
    if missing.nth(usize::from(fault!(GateSkipped))).is_none() {
        draft.record(Event::Ready { car: car.id, commit: candidate.commit.clone() });
        draft.tables.cars.put(car.id, Car { state: State::Ready { candidate }, ..car });
    } else if passed.len() != before {
        let state = State::Building { candidate, passed };
        draft.tables.cars.put(car.id, Car { state, ..car });
    }
    false
}

fn required_runs(repo: &Repo) -> impl Iterator<Item = (&GateName, &Gate)> {
    let required = repo.policy.merge.required.iter();
    required.filter_map(|name| repo.policy.gates.get_key_value(name))
}

enum Look {
    Pending,
    Passed(Proof),
    Failed(Ejection),
}

/// Looks at one gate of a candidate, and wants the runs that are missing.
fn look(
    draft: &mut Draft<'_>,
    repo: &Repo,
    (car, candidate): (&Car, &Candidate),
    name: &GateName,
    gate: &Gate,
) -> Look {
    let Some(inputs) = candidate.inputs.get(name) else {
        // The policy gained a gate after the candidate was made: the next candidate has it.
        return Look::Pending;
    };
    let digest = Digest::of(name, gate, inputs);
    let Some(found) = draft.tables.results.get(&digest).cloned() else {
        let (commit, tree, from) = (&candidate.commit, &candidate.tree, &candidate.from);
        job::want(draft, job::Wanted { repo: &repo.name, name, gate, digest, commit, tree, from });
        return Look::Pending;
    };
    let base = base_results(draft, candidate, name, gate);
    match verdict(gate, &found.finding, base.as_ref().map(|base| &base.finding)) {
        Verdict::Pass { forgiven } => {
            Look::Passed(Proof { digest, job: found.job, forgiven: forgiven as u32 })
        }
        Verdict::NeedsBase => {
            want_base(draft, repo, candidate, name, gate);
            Look::Pending
        }
        Verdict::Fail { class, red } => {
            let forgiven = found.finding.red_count;
            match unanswered(car, repo, draft.now.board, (gate, &found), red) {
                None => Look::Passed(Proof { digest, job: found.job, forgiven }),
                Some(red) => Look::Failed(Ejection::GateFailed {
                    gate: name.clone(),
                    class,
                    note: found.finding.note_on(&red).to_owned(),
                    red: red.into_iter().take(MAX_NAMED).collect(),
                    job: found.job,
                }),
            }
        }
    }
}

fn base_results(
    draft: &Draft<'_>,
    candidate: &Candidate,
    name: &GateName,
    gate: &Gate,
) -> Option<Results> {
    if gate.compare != Compare::Base {
        return None;
    }
    let inputs = candidate.base_inputs.get(name)?;
    draft.tables.results.get(&Digest::of(name, gate, inputs)).cloned()
}

fn want_base(
    draft: &mut Draft<'_>,
    repo: &Repo,
    candidate: &Candidate,
    name: &GateName,
    gate: &Gate,
) {
    let Some(inputs) = candidate.base_inputs.get(name) else {
        return;
    };
    let digest = Digest::of(name, gate, inputs);
    let from = format!("refs/heads/{}", repo.branch);
    let (commit, tree) = (&repo.base, &repo.tree);
    job::want(
        draft,
        job::Wanted { repo: &repo.name, name, gate, digest, commit, tree, from: &from },
    );
}

/// Gives up the queued runs that no car on its way needs.
pub(super) fn cancel_needless(draft: &mut Draft<'_>) {
    let mut needed = Vec::new();
    for (_, car) in draft.tables.cars.iter() {
        let (State::Building { candidate, .. }, Some(repo)) =
            (&car.state, draft.tables.repos.get(&car.repo))
        else {
            continue;
        };
        for (name, gate) in required_runs(repo) {
            let inputs = [candidate.inputs.get(name), candidate.base_inputs.get(name)];
            needed
                .extend(inputs.into_iter().flatten().map(|inputs| Digest::of(name, gate, inputs)));
        }
    }
    job::cancel_needless(draft, &needed);
}
