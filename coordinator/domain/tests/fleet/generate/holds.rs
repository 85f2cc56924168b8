//! Commands about locks, slots, builds and jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use molt_domain::board::{Board, Caller, Command, Request};
use molt_domain::build::{Build, BuildKey};
use molt_domain::gate::{Class, Finding};
use molt_domain::hold::{End, Hold, Holder, Waiter};
use molt_domain::id::{HoldId, JobId};
use molt_domain::job::{self, Job};
use molt_domain::lock;
use molt_domain::name::HostName;

use super::{Generator, HOSTS, commit};
use crate::fleet::policy::name;

impl Generator {
    pub(super) fn of_holds(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let what = format!("run {}", self.random.below(3));
        let command = match kind {
            "acquire-lock" => {
                let lock = name(["diff:a", "diff:b", "bench"][self.random.below(3)]);
                Command::AcquireLock { lock, what, otherwise: self.otherwise() }
            }
            "acquire-slot" => {
                let pool = name(if self.random.percent(6) { "npm" } else { "cargo" });
                let host = name(HOSTS[self.random.below(2)]);
                Command::AcquireSlot { pool, host, what, otherwise: self.otherwise() }
            }
            "ask-build" => {
                let build = BuildKey {
                    name: name("molt"),
                    fingerprint: name(["aaaa", "bbbb", "cccc", "dddd"][self.random.below(4)]),
                    profile: name("dev"),
                    place: name("h1/0"),
                };
                let missing = match board.tables().builds.get(&build).map(AsRef::as_ref) {
                    Some(Build::Built { artifacts, .. }) if self.random.percent(50) => {
                        artifacts.clone()
                    }
                    _ => None,
                };
                Command::AskBuild { build, missing, what }
            }
            "end-build" => return self.end_build(board),
            _ => return self.release_hold(board),
        };
        let at = self.agent()?;
        Some(self.by_agent(at, command))
    }

    fn end_build(&mut self, board: &Board) -> Option<Request> {
        let holds: Vec<Hold> = board
            .tables()
            .builds
            .values()
            .filter_map(|build| match build.as_ref() {
                Build::Building { hold, .. } => Some(hold.clone()),
                Build::Built { .. } | Build::Failed { .. } => None,
            })
            .collect();
        let hold = self.random.pick(&holds)?.clone();
        let class =
            [Class::Passed, Class::Passed, Class::Failed, Class::Killed, Class::Infra, Class::Oom]
                [self.random.below(6)];
        let artifacts = (class == Class::Passed).then(|| format!("art-{}", self.made()));
        let command = Command::EndBuild { hold: hold.id, class, artifacts };
        self.by_holder(hold.holder, &hold.host, command)
    }

    fn release_hold(&mut self, board: &Board) -> Option<Request> {
        let mut all: Vec<(HoldId, Holder, HostName)> = Vec::new();
        let hold = |hold: &Hold| (hold.id, hold.holder, hold.host.clone());
        let waiter = |waiter: &Waiter| (waiter.id, waiter.holder, waiter.host.clone());
        let tables = board.tables();
        for it in tables.locks.values() {
            match &it.state {
                lock::State::Held(held) | lock::State::Delayed { last: Some(held), .. } => {
                    all.push(hold(held));
                }
                lock::State::Delayed { last: None, .. } => {}
            }
            all.extend(it.line.iter().map(waiter));
        }
        for it in tables.slots.values() {
            all.extend(it.used.values().map(hold));
            all.extend(it.line.iter().map(waiter));
        }
        for it in tables.builds.values() {
            if let Build::Building { line, .. } = it.as_ref() {
                all.extend(line.iter().map(waiter));
            }
        }
        let (id, holder, host) = self.random.pick(&all)?.clone();
        if let Holder::Job(job) = holder {
            // A run that its host still has ends with its result.
            let runs = tables.jobs.get(&job).is_some_and(
                |job| matches!(&job.state, job::State::Assigned { host: at, .. } if *at == host),
            );
            if runs {
                return None;
            }
        }
        let end = if self.random.percent(80) { End::Gone } else { End::Silent };
        self.by_holder(holder, &host, Command::ReleaseHold { hold: id, end })
    }

    /// By the holder's session, by its host, or by somebody whose it is not.
    fn by_holder(&mut self, holder: Holder, host: &HostName, command: Command) -> Option<Request> {
        let owner = self.agents.iter().position(|agent| {
            agent.shown.as_ref().is_some_and(|shown| Holder::Session(shown.session) == holder)
        });
        match (self.random.below(10), owner) {
            (0, _) => {
                let at = self.agent()?;
                Some(self.by_agent(at, command))
            }
            (1..6, Some(at)) => Some(self.by_agent(at, command)),
            _ => Some(Request { caller: Caller::Host(host.clone()), ..Request::own(command) }),
        }
    }

    pub(super) fn end_job(&mut self, board: &Board) -> Option<Request> {
        let jobs: Vec<&Job> = board.tables().jobs.values().map(AsRef::as_ref).collect();
        let job = *self.random.pick(&jobs)?;
        let job::State::Assigned { host, .. } = &job.state else {
            return None;
        };
        // A host that has a bad day interrupts a run on every attempt.
        let bad_day = job.id.counter() % 9 == 0;
        let class = match self.random.below(20) {
            _ if bad_day => Class::Infra,
            0..14 => Class::Passed,
            14..16 => Class::Failed,
            16 | 17 => Class::Killed,
            18 => Class::Timeout,
            _ => Class::Vacuous,
        };
        let red: BTreeSet<String> = match class {
            Class::Failed => BTreeSet::from([["t1", "t2"][self.random.below(2)].to_owned()]),
            _ => BTreeSet::new(),
        };
        let other = self.random.percent(3);
        let finding = Finding {
            class,
            green: u32::from(class == Class::Passed) * 5,
            red_count: red.len() as u32,
            red,
            places: Vec::new(),
            exit: Some(0),
            note: String::new(),
            log: String::new(),
            argv: Vec::new(),
            commit: if other { commit(u64::MAX) } else { job.commit.clone() },
            tree: job.tree.clone(),
            duration: Duration::ZERO,
            peak: 0,
        };
        let chance = self.random.below(20);
        let attempt = if chance == 0 { job.attempt.saturating_sub(1) } else { job.attempt };
        let host = if chance == 1 { name("h9") } else { host.clone() };
        let id = if chance == 2 { JobId::from_counter(1) } else { job.id };
        let command = Command::EndJob { job: id, attempt, finding };
        Some(Request { caller: Caller::Host(host), ..Request::own(command) })
    }
}
