//! The referee, checked: each bug that can be seeded is caught, and by an invariant that it breaks.
//!
//! `make mutants` prints the table.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use molt_coordinator::fault as server;
use molt_domain::fault as domain;
use molt_store::fault as store;

use crate::bug as model;
use crate::scenario::{self, SEEDS, Scenario};

/// A bug, and where it is seeded.
#[derive(Debug, Clone, Copy)]
enum Mutant {
    /// In the rules.
    Domain(domain::Bug),
    /// In the store, or in how candidates count.
    Store(store::Bug),
    /// In the coordinator.
    Server(server::Bug),
    /// In what is simulated: hosts, clients and candidates.
    Model(model::Bug),
}

/// A bug, the test that catches it, and the invariants that it breaks there, by the beginning of
/// their names: any of them may see it first.
type Row = (Mutant, Scenario, &'static [&'static str]);

const MUTANTS: [Row; 17] = [
    (
        Mutant::Store(store::Bug::HeadNotCompared),
        scenario::a_commit_that_comes_late_changes_nothing(),
        &["board time", "2 ", "11 ", "12 "],
    ),
    (
        Mutant::Store(store::Bug::LeaderNotCompared),
        scenario::a_leader_that_was_replaced_commits_nothing(),
        &["a deposed leader"],
    ),
    (
        Mutant::Store(store::Bug::SilenceNotCounted),
        scenario::a_calm_fleet_works(),
        &["nobody takes the lead"],
    ),
    (
        Mutant::Server(server::Bug::HorizonIgnored),
        scenario::a_leader_that_is_cut_off_answers_nobody(),
        &["a leader answers within", "an answer is as new"],
    ),
    (
        Mutant::Server(server::Bug::HorizonFromReceipt),
        scenario::a_leader_counts_its_horizon_from_what_it_sent(),
        &["a leader answers within"],
    ),
    (
        Mutant::Server(server::Bug::TimeJumps),
        scenario::board_time_does_not_make_up_for_a_stall(),
        &["board time runs"],
    ),
    (
        Mutant::Server(server::Bug::UndoForgotten),
        scenario::what_a_full_store_refused_is_undone(),
        &["1 ", "11 ", "12 ", "a coordinator goes on"],
    ),
    (Mutant::Server(server::Bug::FenceNotMoved), scenario::a_calm_fleet_works(), &["2 "]),
    (
        Mutant::Server(server::Bug::AnsweredFirst),
        scenario::a_calm_fleet_works(),
        &["12 ", "an answer is as new"],
    ),
    (
        Mutant::Server(server::Bug::LivingPageFreed),
        scenario::a_calm_fleet_works(),
        &["12 answers are kept"],
    ),
    (
        Mutant::Domain(domain::Bug::RepeatedTwice),
        scenario::a_request_that_is_repeated_is_carried_out_once(),
        &["3 one request"],
    ),
    (
        Mutant::Model(model::Bug::CandidateComparesNothing),
        scenario::a_calm_fleet_works(),
        &["nobody takes the lead"],
    ),
    (
        Mutant::Model(model::Bug::DeadlineFromAnswer),
        scenario::a_child_ends_by_its_deadline_however_late_a_beat_was_answered(),
        &["6 "],
    ),
    (
        Mutant::Model(model::Bug::DeadlineIgnored),
        scenario::a_child_ends_by_its_deadline_however_late_a_beat_was_answered(),
        &["6 "],
    ),
    (
        Mutant::Model(model::Bug::OlderTermBelieved),
        scenario::an_answer_of_an_older_term_is_not_believed(),
        &["no older term"],
    ),
    (
        Mutant::Model(model::Bug::RepeatedUnderNewNumber),
        scenario::a_request_that_is_repeated_is_carried_out_once(),
        &["3 one request"],
    ),
    (
        Mutant::Model(model::Bug::GivenBackEarly),
        scenario::a_calm_fleet_works(),
        &["6 no two holders"],
    ),
];

impl Mutant {
    /// The invariant that breaks, and at which step, where one does.
    fn caught(self, by: Scenario, seed: u64) -> Option<(String, u64)> {
        let live = || {
            let run = || by.live(seed);
            match self {
                Self::Domain(bug) => molt_fault::with(bug, run),
                Self::Store(bug) => molt_fault::with(bug, run),
                Self::Server(bug) => molt_fault::with(bug, run),
                Self::Model(bug) => molt_fault::with(bug, run),
            }
        };
        match catch_unwind(AssertUnwindSafe(live)) {
            Ok(outcome) => Some((outcome.broken?.invariant.to_owned(), outcome.broken_at)),
            Err(_) => Some(("a coordinator goes on: it panicked".to_owned(), 0)),
        }
    }
}

/// Every seed of the test that is to catch a bug does, and by an invariant that the bug breaks.
#[test]
fn every_seeded_bug_of_a_fleet_is_caught() {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    let judge = || {
        while let Some(row @ (mutant, by, _)) = MUTANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let caught: Vec<_> = SEEDS.map(|seed| mutant.caught(*by, seed)).collect();
            verdicts.lock().unwrap_or_else(PoisonError::into_inner).push((*row, caught));
        }
    };
    thread::scope(|scope| {
        scope.spawn(judge);
        scope.spawn(judge);
    });
    let mut verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    verdicts.sort_by_key(|((mutant, ..), _)| format!("{mutant:?}"));
    let mut wrong = Vec::new();
    for ((mutant, by, expected), caught) in verdicts {
        let name = format!("{mutant:?}");
        println!("{name:<32} {}", by.name);
        let invariants: BTreeSet<&str> =
            caught.iter().flatten().map(|(invariant, _)| invariant.as_str()).collect();
        let steps: Vec<u64> = caught.iter().flatten().map(|(_, step)| *step).collect();
        println!("{:<32} at steps {steps:?}: {invariants:?}", "");
        let expects = |invariant: &&str| expected.iter().any(|name| invariant.starts_with(name));
        if steps.len() < caught.len() {
            wrong.push(format!("{name} is missed with some seeds"));
        } else if !invariants.iter().all(expects) {
            wrong.push(format!("{name} was taken for another bug"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
