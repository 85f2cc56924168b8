//! Cars: the changes of the train, and what holds each up.

use molt_domain::board::Board;
use molt_domain::policy::Repo;
use molt_domain::train::{Car, Need, Origin, State};

use super::{MAX_ROWS, count, gate, texts};
use crate::v1;

/// A change with its gates.
#[must_use]
pub fn car(board: &Board, car: &Car) -> v1::CarView {
    let gates = gate::gates(board, car);
    let candidate = match &car.state {
        State::Building { candidate, .. }
        | State::Ready { candidate }
        | State::Landing { candidate, .. } => Some(candidate),
        State::Queued | State::Withheld { .. } | State::Landed { .. } | State::Ejected { .. } => {
            None
        }
    };
    let (phase, commit, remedy) = match &car.state {
        State::Landed { commit, .. } => ("landed", commit.clone(), ""),
        State::Ejected { ejection, .. } => ("ejected", String::new(), ejection.remedy()),
        State::Withheld { need } => ("open", String::new(), need.remedy()),
        State::Queued | State::Building { .. } | State::Ready { .. } | State::Landing { .. } => {
            ("open", String::new(), "")
        }
    };
    v1::CarView {
        id: car.id.to_string(),
        agent: car.agent.to_string(),
        head: car.head.clone(),
        title: car.title.clone(),
        state: car.state.reason().to_owned(),
        detail: detail(board, car, &gates),
        remedy: remedy.to_owned(),
        candidate: candidate.map(|made| made.commit.clone()).unwrap_or_default(),
        base: candidate.map(|made| made.base.clone()).unwrap_or_default(),
        scopes: texts(car.parts.iter().map(|part| &part.scope)),
        gates,
        commit,
        phase: phase.to_owned(),
        fork: match &car.origin {
            Origin::Own => String::new(),
            Origin::Fork(from) => from.clone(),
        },
        approval: match &car.approval {
            Some(approval) => format!("{}: {}", approval.by, approval.reason),
            None => String::new(),
        },
        pull: car.shown.as_ref().map(|at| at.url.clone()).unwrap_or_default(),
        needs: needs(&car.state).to_owned(),
    }
}

fn needs(state: &State) -> &'static str {
    let State::Withheld { need } = state else { return "" };
    match need {
        Need::Fork => "fork",
        Need::Protected { .. } => "protected",
        Need::Unclaimed { .. } => "unclaimed",
        Need::Forge { .. } => "forge",
    }
}

fn detail(board: &Board, car: &Car, gates: &[v1::GateView]) -> String {
    match &car.state {
        State::Queued => {
            let cars = board.tables().cars.values();
            let ahead = cars.filter(|other| other.is_ahead_of(car));
            format!("{} ahead", count(ahead))
        }
        State::Withheld { need } => need.to_string(),
        State::Building { passed, .. } => {
            format!("{} of {} gates passed", passed.len(), gates.len())
        }
        State::Ready { .. } => "every required gate passed".to_owned(),
        State::Landing { fence, .. } => format!("its landing is decided, fence {fence}"),
        State::Landed { commit, .. } => format!("landed as {commit}"),
        State::Ejected { ejection, .. } => ejection.to_string(),
    }
}

/// The changes of a repository: those on their way in the train's order, then the last that ended.
pub(super) fn cars(board: &Board, repo: &Repo) -> v1::Cars {
    let own = board.tables().cars.values().filter(|car| car.repo == repo.name);
    let (open, ended): (Vec<_>, Vec<_>) = own.partition(|car| car.state.is_open());
    let rows = open.into_iter().chain(ended.into_iter().rev()).take(MAX_ROWS);
    v1::Cars { cars: rows.map(|found| car(board, found)).collect() }
}
