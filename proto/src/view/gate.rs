//! Gates: how far a change is with each of those that it must pass.

use molt_domain::board::Board;
use molt_domain::gate::{Compare, Digest, Gate, Results, Verdict, verdict};
use molt_domain::id::JobId;
use molt_domain::job::{Job, State as JobState};
use molt_domain::name::GateName;
use molt_domain::policy::Repo;
use molt_domain::train::{Candidate, Car, Ejection, State};

use crate::v1;

/// The required gates of a change, in the policy's order; of an ejected one those that failed.
pub(super) fn gates(board: &Board, car: &Car) -> Vec<v1::GateView> {
    let Some(repo) = board.tables().repos.get(&car.repo) else {
        return Vec::new();
    };
    let required = repo.policy.merge.required.iter();
    match &car.state {
        State::Queued | State::Withheld { .. } => {
            required.map(|name| plain(name, "pending")).collect()
        }
        State::Building { candidate, passed } => required
            .map(|name| {
                let told = if passed.contains(name) { proven } else { sought };
                told(board, repo, candidate, name)
            })
            .collect(),
        State::Ready { candidate } | State::Landing { candidate, .. } => {
            required.map(|name| proven(board, repo, candidate, name)).collect()
        }
        State::Landed { .. } => required.map(|name| plain(name, "passed")).collect(),
        State::Ejected { ejection, .. } => failed(board, ejection).into_iter().collect(),
    }
}

fn plain(gate: &impl ToString, state: &str) -> v1::GateView {
    v1::GateView { gate: gate.to_string(), state: state.to_owned(), ..v1::GateView::default() }
}

fn found(name: &GateName, state: &str, results: &Results) -> v1::GateView {
    v1::GateView {
        gate: name.to_string(),
        state: state.to_owned(),
        host: results.host.to_string(),
        job: results.job.to_string(),
        green: results.finding.green,
        red: results.finding.red_count,
        note: results.finding.note.clone(),
    }
}

/// A run gate of a candidate: the gate, the digest of its results, and those of the base.
struct Run<'a> {
    gate: &'a Gate,
    digest: Digest,
    base: Option<Digest>,
}

fn run<'a>(repo: &'a Repo, candidate: &Candidate, name: &GateName) -> Option<Run<'a>> {
    let gate = repo.policy.gates.get(name)?;
    let digest = Digest::of(name, gate, candidate.inputs.get(name)?);
    let inputs = candidate.base_inputs.get(name).filter(|_| gate.compare == Compare::Base);
    Some(Run { gate, digest, base: inputs.map(|inputs| Digest::of(name, gate, inputs)) })
}

/// A gate that passed, with the results that prove it while they are kept.
fn proven(board: &Board, repo: &Repo, candidate: &Candidate, name: &GateName) -> v1::GateView {
    let results =
        run(repo, candidate, name).and_then(|run| board.tables().results.get(&run.digest));
    match results {
        Some(results) => found(name, "passed", results),
        None => plain(name, "passed"),
    }
}

/// A gate that has not passed yet.
fn sought(board: &Board, repo: &Repo, candidate: &Candidate, name: &GateName) -> v1::GateView {
    let Some(run) = run(repo, candidate, name) else {
        return v1::GateView {
            note: "the candidate was made before this gate was asked for".to_owned(),
            ..plain(name, "pending")
        };
    };
    let results = &board.tables().results;
    let Some(own) = results.get(&run.digest) else {
        return under_way(board, name, &run.digest, "");
    };
    let base = run.base.as_ref().and_then(|digest| results.get(digest));
    match verdict(run.gate, &own.finding, base.map(|base| &base.finding)) {
        Verdict::Pass { .. } => found(name, "passed", own),
        Verdict::Fail { .. } => found(name, "failed", own),
        Verdict::NeedsBase => {
            let digest = run.base.as_ref().unwrap_or(&run.digest);
            under_way(board, name, digest, "the base's own results are needed to compare")
        }
    }
}

/// A gate whose results are yet to be found, by the job that will find them.
fn under_way(board: &Board, name: &GateName, digest: &Digest, note: &str) -> v1::GateView {
    let job = board.tables().jobs.values().find(|job| job.digest == *digest);
    let view = match job.map(AsRef::as_ref) {
        None => plain(name, "pending"),
        Some(Job { id, state: JobState::Queued, .. }) => {
            v1::GateView { job: id.to_string(), ..plain(name, "pending") }
        }
        Some(Job { id, state: JobState::Assigned { host, .. }, .. }) => {
            v1::GateView { job: id.to_string(), host: host.to_string(), ..plain(name, "running") }
        }
    };
    v1::GateView { note: note.to_owned(), ..view }
}

/// The gate that a change was ejected by.
fn failed(board: &Board, ejection: &Ejection) -> Option<v1::GateView> {
    match ejection {
        Ejection::GateFailed { gate, job, red, note, .. } => Some(match results_of(board, *job) {
            Some(results) => found(gate, "failed", results),
            None => v1::GateView {
                job: job.to_string(),
                red: super::count(red.iter()),
                note: note.clone(),
                ..plain(gate, "failed")
            },
        }),
        Ejection::ScopeEscape { count, .. } => {
            Some(v1::GateView { red: *count, ..plain(&"scope", "failed") })
        }
        Ejection::AnnouncementMissing => Some(plain(&"announce", "failed")),
        Ejection::ConflictBase { .. }
        | Ejection::PolicyChange { .. }
        | Ejection::ApprovalMissing { .. }
        | Ejection::Unmergeable { .. }
        | Ejection::Dequeued
        | Ejection::Superseded
        | Ejection::HeadMoved { .. }
        | Ejection::Closed
        | Ejection::Hindered { .. } => None,
    }
}

fn results_of(board: &Board, job: JobId) -> Option<&Results> {
    board.tables().results.values().map(AsRef::as_ref).find(|results| results.job == job)
}
