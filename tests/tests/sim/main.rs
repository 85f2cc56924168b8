//! A deterministic simulation of a fleet under faults.
//!
//! One thread, virtual time, everything drawn from one seed. Three coordinators over one store,
//! eight hosts with a daemon and three agents each; a network that delays, loses and repeats,
//! cuts and splits; coordinators that crash, stop, freeze for longer than the leader's ttl and
//! wake; hosts that freeze, lose power, and whose clocks jump.
//!
//! **Real**: the whole coordinator above its listener (`Lead`, `Seat`, the terms, the engine, the
//! horizon, board time, the reconcilers of time and audit, the service with its conversions and
//! streams, the board), the records and compares of `MemoryStore`, barriers and settling, the
//! candidates' `Vigil`, and the generated client with what statuses mean and the retry policies.
//! **Simulated**: connections (requests and answers are parcels of their encoded messages),
//! etcd's keys beside the records, hosts, daemons, supervisors, children and agents.
//! **Not here**: landings and gates, which need git and processes; etcd itself.
//!
//! Faults are drawn by chance, and in `scenario` there are courses of them with a point each. The
//! same seed is the same run: what a process draws or counts for itself (hash keys, the order of
//! branches that are ready together, numbers of tasks, other threads) decides nothing here, and a
//! test lives through seeds twice to prove it.
//!
//! `MOLT_SIM_STEPS`, `MOLT_SIM_RUNS` and `MOLT_SIM_REPLAYS` make longer runs, `MOLT_SIM_SEED`
//! another; a failure prints its seed and the last steps.

#![expect(clippy::expect_used, reason = "a simulation that cannot be set up has no verdict")]

mod agent;
mod bug;
mod client;
mod coordinator;
mod fault;
mod grace;
mod host;
mod journal;
#[cfg(feature = "seeded-bugs")]
mod mutants;
mod net;
mod news;
mod node;
mod outcome;
mod pages;
mod pipe;
mod random;
mod referee;
mod rules;
mod run;
mod scenario;
mod store;
mod trace;
mod world;

use std::collections::BTreeSet;
use std::thread;

use crate::outcome::Outcome;

/// Runs side by side.
const THREADS: u64 = 2;

fn setting(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("{name}={text} is no number"))
}

#[test]
fn a_fleet_under_faults_keeps_every_promise() {
    let seed = setting("MOLT_SIM_SEED", 0x6d6f_6c74);
    let runs = setting("MOLT_SIM_RUNS", 6);
    let steps = setting("MOLT_SIM_STEPS", 120_000) / runs;
    let one = |lane: u64| {
        move || -> Vec<Outcome> {
            let mine = (0..runs).filter(|run| run % THREADS == lane);
            mine.map(|run| world::live(seed + run, steps)).collect()
        }
    };
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..THREADS).map(|lane| scope.spawn(one(lane))).collect();
        let joined = lanes.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .flat_map(|lane| lane.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for outcome in &outcomes {
        println!("{outcome}");
        if outcome.broken.is_some() {
            println!("again: MOLT_SIM_SEED={:#x} MOLT_SIM_RUNS=1", outcome.seed);
        }
        let Outcome { tally, .. } = outcome;
        println!("{} commits, {} terms, {} answers", tally.commits, tally.terms, tally.answers);
        println!("{:?}", tally.events);
    }
    let broken: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.broken.as_ref()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let steps: u64 = outcomes.iter().map(|outcome| outcome.steps).sum();
    println!("{steps} steps");
}

/// Seeds that are lived through twice.
const REPLAYED: u64 = 5;

/// Both lives of a seed go on side by side, and what a process counts or draws for all its threads
/// falls out differently for each. They must not differ all the same.
#[test]
fn the_same_seed_makes_the_same_run() {
    let seed = setting("MOLT_SIM_SEED", 0);
    let steps = setting("MOLT_SIM_STEPS", 18_000);
    let mut digests = BTreeSet::new();
    for seed in seed..seed + setting("MOLT_SIM_REPLAYS", REPLAYED) {
        let live = || world::live_keeping(seed, steps, usize::MAX);
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(live);
            let other = live();
            (one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), other)
        });
        if let Some(differs) = one.differs_from(&other) {
            panic!("seed {seed:#x} has two lives:\n{differs}");
        }
        digests.insert(one.digest);
    }
    assert_eq!(
        digests.len() as u64,
        setting("MOLT_SIM_REPLAYS", REPLAYED),
        "another seed is another run"
    );
}
