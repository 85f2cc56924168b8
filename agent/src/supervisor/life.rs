//! The rules of a run's life: when it is told to end, when it is killed, when it
//! is over. Pure: the caller brings the time and what it saw.

use std::time::Duration;

use crate::clock::Millis;
use crate::run::record::{Class, Ending, Status};
use crate::run::spec::RunSpec;
use crate::run::wire::RunState;

/// How long processes that a run left behind may take to end by themselves: a
/// `tee` that still writes must not be cut off.
const LINGER: Duration = Duration::from_secs(1);

/// Why a run is stopped before it ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// It ran as long as it may.
    Timeout { after: Duration },
    /// Whoever held something for it may be lost.
    Deadline { at: Millis },
    /// Its processes have more memory than they may, both in bytes.
    Memory { used: u64, limit: u64 },
    /// Somebody asked for it.
    Stop { reason: String },
    /// The supervisor cannot do its work.
    Wrapper { error: String },
}

impl Cause {
    fn class(&self) -> Class {
        match self {
            Self::Timeout { .. } => Class::Timeout,
            Self::Deadline { .. } => Class::Deadline,
            Self::Memory { .. } => Class::Oom,
            Self::Stop { .. } => Class::Killed,
            Self::Wrapper { .. } => Class::Infra,
        }
    }

    /// For people, as a lowercase fragment.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Timeout { after } => {
                format!("timeout after {}", humantime::format_duration(*after))
            }
            Self::Deadline { at } => format!("deadline at {at}"),
            Self::Memory { used, limit } => {
                format!("memory of {used} bytes over the limit of {limit}")
            }
            Self::Stop { reason } => reason.clone(),
            Self::Wrapper { error } => error.clone(),
        }
    }
}

/// Whether the run's own process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leader {
    Alive,
    Ended,
}

/// What is there now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) now: Millis,
    pub(super) leader: Leader,
    /// How many of its processes are alive.
    pub(super) processes: usize,
    /// Their resident memory in bytes.
    pub(super) memory: u64,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "what a look calls for has to be carried out"]
pub(super) enum Act {
    /// Nothing before the next look.
    Wait,
    /// Tell all processes to end.
    Terminate,
    /// Kill all processes.
    Kill,
    /// Nobody is left: make sure of it, then write the exit record.
    Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Lingering { until: Millis },
    Terminating { until: Millis },
    Killing,
}

/// A run between its start and its exit record.
#[derive(Debug)]
pub(super) struct Life {
    stage: Stage,
    timeout: Option<(Duration, Millis)>,
    memory_limit: Option<u64>,
    grace: Duration,
    deadline: Option<Millis>,
    /// What was asked for since the last look.
    asked: Option<Cause>,
    cause: Option<Cause>,
    stragglers: usize,
}

impl Life {
    pub(super) fn new(spec: &RunSpec, started: Millis) -> Self {
        let timeout = spec.limits.timeout_ms.map(Duration::from_millis);
        Self {
            stage: Stage::Running,
            timeout: timeout.map(|after| (after, started.plus(after))),
            memory_limit: spec.limits.memory_bytes,
            grace: spec.kill_grace(),
            deadline: spec.deadline,
            asked: None,
            cause: None,
            stragglers: 0,
        }
    }

    /// Takes note of a reason to stop; the next look acts on the first.
    pub(super) fn stop(&mut self, cause: Cause) {
        self.asked.get_or_insert(cause);
    }

    /// Moves the deadline to `to` unless it is later already. A deadline that has come stands,
    /// also while nobody has looked since: after a suspend, those who extend may wake up first.
    pub(super) fn extend(&mut self, to: Millis, now: Millis) -> Result<Option<Millis>, String> {
        if matches!(self.stage, Stage::Terminating { .. } | Stage::Killing) {
            let by = self.cause.as_ref().map_or_else(|| "it has ended".to_owned(), Cause::text);
            return Err(format!("the run is being stopped: {by}"));
        }
        if let Some(at) = self.deadline.filter(|&at| now >= at) {
            return Err(format!("the run is to be stopped: {}", Cause::Deadline { at }.text()));
        }
        self.deadline = self.deadline.map(|deadline| deadline.max(to));
        Ok(self.deadline)
    }

    /// What `look` calls for.
    pub(super) fn step(&mut self, look: Look) -> Act {
        if look.leader == Leader::Ended && look.processes == 0 {
            return Act::Finish;
        }
        let stage = self.stage;
        match stage {
            Stage::Running if look.leader == Leader::Ended => {
                let until = look.now.plus(LINGER.min(self.grace));
                self.stage = Stage::Lingering { until };
                Act::Wait
            }
            Stage::Running => match self.due(look) {
                Some(cause) => {
                    self.cause = Some(cause);
                    self.terminate(look.now)
                }
                None => Act::Wait,
            },
            Stage::Lingering { until } if look.now >= until || self.due(look).is_some() => {
                self.stragglers = look.processes;
                self.terminate(look.now)
            }
            Stage::Terminating { until } if look.now >= until => {
                self.stage = Stage::Killing;
                Act::Kill
            }
            // Again at every look: a process may have been born in between.
            Stage::Killing => Act::Kill,
            Stage::Lingering { .. } | Stage::Terminating { .. } => Act::Wait,
        }
    }

    fn terminate(&mut self, now: Millis) -> Act {
        self.stage = Stage::Terminating { until: now.plus(self.grace) };
        Act::Terminate
    }

    fn due(&mut self, look: Look) -> Option<Cause> {
        if let Some(cause) = self.asked.take() {
            return Some(cause);
        }
        if let Some(at) = self.deadline.filter(|&at| look.now >= at) {
            return Some(Cause::Deadline { at });
        }
        if let Some((after, _)) = self.timeout.filter(|&(_, at)| look.now >= at) {
            return Some(Cause::Timeout { after });
        }
        let limit = self.memory_limit.filter(|&limit| look.memory > limit)?;
        Some(Cause::Memory { used: look.memory, limit })
    }

    /// The next point at which time alone calls for a look.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let timeout = self.timeout.map(|(_, at)| at);
        match self.stage {
            Stage::Running => [self.deadline, timeout].into_iter().flatten().min(),
            Stage::Lingering { until } => {
                [self.deadline, timeout, Some(until)].into_iter().flatten().min()
            }
            Stage::Terminating { until } => Some(until),
            Stage::Killing => None,
        }
    }

    /// Whether the run is on its way out, so that somebody may be waiting.
    pub(super) fn is_ending(&self) -> bool {
        self.stage != Stage::Running
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.deadline
    }

    /// How many processes had to be told to end after the run's own had ended.
    pub(super) fn stragglers(&self) -> usize {
        self.stragglers
    }

    pub(super) fn state(&self) -> RunState {
        match self.stage {
            Stage::Running => RunState::Running,
            Stage::Lingering { .. } => RunState::Lingering,
            Stage::Terminating { .. } | Stage::Killing => {
                RunState::Stopping { by: self.cause.as_ref().map(Cause::text) }
            }
        }
    }

    /// What it means that the run's own process ended with `status`.
    pub(super) fn ending(&self, status: Status) -> Ending {
        if let Some(cause) = &self.cause {
            return Ending { class: cause.class(), by: Some(cause.text()), status };
        }
        let (class, by) = match status {
            Status::Exited(0) => (Class::Passed, None),
            Status::Signaled(signal) if FROM_OUTSIDE.contains(&signal) => {
                (Class::Killed, Some(format!("signal {signal} from outside")))
            }
            Status::Exited(_) | Status::Signaled(_) => (Class::Failed, None),
            Status::NotStarted(_) | Status::Unknown => (Class::Infra, None),
        };
        Ending { status, class, by }
    }
}

/// HUP, INT, KILL, TERM: what people and the system send; the others are what a
/// program brings upon itself. The numbers are the same on all Unix systems.
const FROM_OUTSIDE: [i32; 4] = [1, 2, 9, 15];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::spec::{Argv, Limits, RunId};

    const GRACE: u64 = 3000;

    fn life(limits: Limits, deadline: Option<u64>) -> Life {
        let argv = Argv::try_from(vec!["x".to_owned()]).unwrap();
        let phase = "test".parse().unwrap();
        let mut spec = RunSpec::new(RunId::fresh(), argv, "/".into(), "/l".into(), phase);
        spec.limits = limits;
        spec.deadline = deadline.map(Millis::since_boot);
        spec.kill_grace_ms = GRACE;
        Life::new(&spec, Millis::since_boot(0))
    }

    fn look(now: u64, leader: Leader, processes: usize) -> Look {
        Look { now: Millis::since_boot(now), leader, processes, memory: 10 }
    }

    fn at(now: u64) -> Look {
        look(now, Leader::Alive, 1)
    }

    #[test]
    fn each_limit_stops_with_its_class_and_not_before() {
        let timeout = Limits { timeout_ms: Some(500), memory_bytes: None };
        let memory = |limit| Limits { timeout_ms: None, memory_bytes: Some(limit) };
        for (mut life, class) in [
            (life(timeout, None), Class::Timeout),
            (life(Limits::default(), Some(500)), Class::Deadline),
        ] {
            assert_eq!(life.step(at(499)), Act::Wait);
            assert_eq!(life.next_due(), Some(Millis::since_boot(500)));
            assert_eq!(life.step(at(500)), Act::Terminate);
            assert_eq!(life.ending(Status::Exited(0)).class, class, "also after a clean end");
        }
        assert_eq!(life(memory(10), None).step(at(1)), Act::Wait);
        let mut over = life(memory(9), None);
        assert_eq!(over.step(at(1)), Act::Terminate);
        assert_eq!(over.ending(Status::Signaled(15)).class, Class::Oom);
    }

    #[test]
    fn told_to_end_once_then_killed_until_all_are_gone() {
        let mut life = life(Limits::default(), None);
        life.stop(Cause::Stop { reason: "enough".to_owned() });
        life.stop(Cause::Stop { reason: "too late".to_owned() });
        assert_eq!(life.step(at(100)), Act::Terminate);
        assert_eq!(life.step(at(100 + GRACE - 1)), Act::Wait);
        assert_eq!(life.step(at(100 + GRACE)), Act::Kill);
        assert_eq!(life.step(look(9000, Leader::Ended, 1)), Act::Kill);
        assert_eq!(life.step(look(9001, Leader::Alive, 0)), Act::Kill);
        assert_eq!(life.step(look(9002, Leader::Ended, 0)), Act::Finish);
        let ending = life.ending(Status::Signaled(9));
        assert_eq!((ending.class, ending.by.as_deref()), (Class::Killed, Some("enough")));
    }

    #[test]
    fn what_a_run_leaves_behind_may_linger_then_goes_too() {
        let mut life = life(Limits::default(), None);
        assert_eq!(life.step(look(10, Leader::Ended, 2)), Act::Wait);
        assert_eq!(life.state(), RunState::Lingering);
        assert_eq!(life.step(look(1009, Leader::Ended, 2)), Act::Wait);
        assert_eq!(life.step(look(1010, Leader::Ended, 2)), Act::Terminate);
        assert_eq!(life.step(look(1010 + GRACE, Leader::Ended, 1)), Act::Kill);
        assert_eq!(life.stragglers(), 2);
        assert_eq!(life.ending(Status::Exited(0)).class, Class::Passed);
        assert_eq!(life.ending(Status::Exited(3)).class, Class::Failed);
    }

    #[test]
    fn stopping_what_lingers_does_not_change_how_the_run_ended() {
        let mut life = life(Limits::default(), None);
        assert_eq!(life.step(look(10, Leader::Ended, 1)), Act::Wait);
        life.stop(Cause::Stop { reason: "enough".to_owned() });
        assert_eq!(life.step(look(11, Leader::Ended, 1)), Act::Terminate);
        assert_eq!(life.ending(Status::Exited(0)).class, Class::Passed);
    }

    #[test]
    fn a_deadline_only_moves_later_and_not_once_it_came() {
        let mut life = life(Limits::default(), Some(500));
        let extend =
            |life: &mut Life, to, now| life.extend(Millis::since_boot(to), Millis::since_boot(now));
        assert_eq!(extend(&mut life, 400, 10), Ok(Some(Millis::since_boot(500))));
        assert_eq!(extend(&mut life, 900, 499), Ok(Some(Millis::since_boot(900))));
        assert_eq!(life.step(at(899)), Act::Wait);
        let refused = extend(&mut life, 2000, 900).expect_err("it came, though nobody looked");
        assert!(refused.contains("deadline"), "{refused}");
        assert_eq!(life.step(at(900)), Act::Terminate);
        let refused = extend(&mut life, 2000, 901).expect_err("too late");
        assert!(refused.contains("deadline"), "{refused}");
    }

    #[test]
    fn never_ends_before_a_deadline_that_is_none() {
        let mut life = life(Limits::default(), None);
        assert_eq!(life.extend(Millis::since_boot(5), Millis::since_boot(9)), Ok(None));
        assert_eq!(life.step(at(u64::MAX)), Act::Wait);
    }

    #[test]
    fn crashes_are_its_own_fault_and_kills_are_not() {
        let life = life(Limits::default(), None);
        assert_eq!(life.ending(Status::Signaled(11)).class, Class::Failed);
        assert_eq!(life.ending(Status::Signaled(9)).class, Class::Killed);
        assert_eq!(life.ending(Status::Exited(1)).class, Class::Failed);
    }
}
