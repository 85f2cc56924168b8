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
//! `MOLT_SIM_STEPS` and `MOLT_SIM_RUNS` make longer runs, `MOLT_SIM_SEED` another; a failure
//! prints its seed and the last steps.

#![expect(clippy::expect_used, reason = "a simulation that cannot be set up has no verdict")]

mod agent;
mod bug;
mod client;
mod coordinator;
mod fault;
mod host;
mod journal;
#[cfg(feature = "seeded-bugs")]
mod mutants;
mod net;
mod news;
mod node;
mod pipe;
mod random;
mod referee;
mod rules;
mod run;
mod store;
mod trace;
mod world;

use std::thread;

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
        move || -> Vec<world::Outcome> {
            let mine = (0..runs).filter(|run| run % THREADS == lane);
            mine.map(|run| world::live(seed + run, steps)).collect()
        }
    };
    let outcomes: Vec<world::Outcome> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..THREADS).map(|lane| scope.spawn(one(lane))).collect();
        let joined = lanes.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .flat_map(|lane| lane.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for outcome in &outcomes {
        println!("{outcome}");
        let world::Outcome { tally, .. } = outcome;
        println!("{} commits, {} terms, {} answers", tally.commits, tally.terms, tally.answers);
        println!("{:?}", tally.events);
    }
    let broken: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.broken.as_ref()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let steps: u64 = outcomes.iter().map(|outcome| outcome.steps).sum();
    println!("{steps} steps");
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let seed = setting("MOLT_SIM_SEED", 0x6d6f_6c74);
    let live = |seed| world::live_keeping(seed, setting("MOLT_SIM_STEPS", 8_000), usize::MAX);
    let (first, second) = (live(seed), live(seed));
    let differs = first.last.iter().zip(&second.last).position(|(one, other)| one != other);
    if let Some(at) = differs {
        let from = at.saturating_sub(20);
        println!("{}", first.last[from..=at].join("\n"));
        println!("but then:\n{}", second.last[at]);
    }
    assert_eq!((differs, &first.digest), (None, &second.digest), "the first step that differs");
    assert_ne!(first.digest, live(seed + 1).digest, "another seed is another run");
}
