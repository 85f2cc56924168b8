//! The referee, checked: each bug that can be seeded is caught, and by an invariant that it breaks.
//!
//! `make mutants` prints the table.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use molt_coordinator::fault as server;
use molt_domain::fault as domain;
use molt_store::fault as store;

use crate::bug as model;
use crate::world::{self, Outcome};

/// Runs that a bug may hide in, and the steps of each.
const RUNS: u64 = 40;
const STEPS: u64 = 20_000;

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

/// Each bug with the invariants that it breaks, by the beginning of their names: any of them may
/// see it first.
const MUTANTS: [(Mutant, &[&str]); 16] = [
    (Mutant::Store(store::Bug::HeadNotCompared), &["board time", "2 ", "11 ", "12 "]),
    (Mutant::Store(store::Bug::LeaderNotCompared), &["a deposed leader"]),
    (Mutant::Store(store::Bug::SilenceNotCounted), &["nobody takes the lead"]),
    (
        Mutant::Server(server::Bug::HorizonIgnored),
        &["a leader answers within", "an answer is as new"],
    ),
    (Mutant::Server(server::Bug::HorizonFromReceipt), &["a leader answers within"]),
    (Mutant::Server(server::Bug::TimeJumps), &["board time runs"]),
    (Mutant::Server(server::Bug::UndoForgotten), &["1 ", "11 ", "12 ", "a coordinator goes on"]),
    (Mutant::Server(server::Bug::FenceNotMoved), &["2 "]),
    (Mutant::Server(server::Bug::AnsweredFirst), &["12 ", "an answer is as new"]),
    (Mutant::Domain(domain::Bug::RepeatedTwice), &["3 one request"]),
    (Mutant::Model(model::Bug::CandidateComparesNothing), &["nobody takes the lead"]),
    (Mutant::Model(model::Bug::DeadlineFromAnswer), &["6 "]),
    (Mutant::Model(model::Bug::DeadlineIgnored), &["6 "]),
    (Mutant::Model(model::Bug::OlderTermBelieved), &["no older term"]),
    (Mutant::Model(model::Bug::RepeatedUnderNewNumber), &["3 one request"]),
    (Mutant::Model(model::Bug::GivenBackEarly), &["6 no two holders"]),
];

impl Mutant {
    fn live(self, seed: u64) -> Outcome {
        let run = || world::live(seed, STEPS);
        match self {
            Self::Domain(bug) => domain::with(bug, run),
            Self::Store(bug) => store::with(bug, run),
            Self::Server(bug) => server::with(bug, run),
            Self::Model(bug) => model::with(bug, run),
        }
    }

    /// The first run that catches it: its seed, step and invariant.
    fn caught(self) -> Option<(u64, u64, String)> {
        (0..RUNS).find_map(|seed| match catch_unwind(AssertUnwindSafe(|| self.live(seed))) {
            Ok(outcome) => {
                let broken = outcome.broken?;
                Some((seed, outcome.broken_at, broken.invariant.to_owned()))
            }
            Err(_) => Some((seed, 0, "a coordinator goes on: it panicked".to_owned())),
        })
    }
}

#[test]
fn every_seeded_bug_of_a_fleet_is_caught() {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    let judge = || {
        while let Some((mutant, expected)) = MUTANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let caught = mutant.caught();
            let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            verdicts.push((*mutant, *expected, caught));
        }
    };
    thread::scope(|scope| {
        scope.spawn(judge);
        scope.spawn(judge);
    });
    let mut verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    verdicts.sort_by_key(|(mutant, ..)| format!("{mutant:?}"));
    let mut wrong = Vec::new();
    println!("{:<36} {:<44} {:>4} {:>6}", "bug", "caught by", "seed", "step");
    for (mutant, expected, caught) in verdicts {
        let name = format!("{mutant:?}");
        let Some((seed, step, invariant)) = caught else {
            println!("{name:<36} nobody, in {RUNS} runs of {STEPS} steps");
            wrong.push(name);
            continue;
        };
        println!("{name:<36} {invariant:<44} {seed:>4} {step:>6}");
        if !expected.iter().any(|expected| invariant.starts_with(expected)) {
            wrong.push(format!("{name} was taken for another bug"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
