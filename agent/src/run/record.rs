//! How a run went: the files that its supervisor leaves for others.
//!
//! Not here: how they are written (`folder`) and decided (the supervisor).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

use super::process::ProcessIdentity;
use super::sources::Outcome;
use super::spec::{Argv, Phase, RunId, RunSpec};
use crate::clock::{self, Millis};

/// How the run's own process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It returned this code.
    Exited(u8),
    /// This signal ended it.
    Signaled(i32),
    /// It could not be started; the code is what a shell would return.
    NotStarted(u8),
    /// Nobody was there to see it.
    Unknown,
}

impl From<ExitStatus> for Status {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code().map(u8::try_from), status.signal()) {
            (Some(Ok(code)), _) => Self::Exited(code),
            (_, Some(signal)) => Self::Signaled(signal),
            _ => Self::Unknown,
        }
    }
}

/// What the end of a run means for whoever asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It returned 0.
    Passed,
    /// It returned something else, or crashed.
    Failed,
    /// Its processes had more memory than its limit.
    Oom,
    /// It ran longer than its limit.
    Timeout,
    /// Somebody outside stopped it.
    Killed,
    /// Its deadline came: whoever held something for it was lost.
    Deadline,
    /// The wrapper failed, not the run.
    Infra,
}

/// The end of a run, written once, after the last of its processes is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The run.
    pub run: RunId,
    /// How its own process ended.
    pub status: Status,
    /// What that means.
    pub class: Class,
    /// Who or what ended it, if it did not end by itself.
    pub by: Option<String>,
    /// When it started, RFC 3339.
    pub started: String,
    /// When the last of its processes was seen gone, RFC 3339.
    pub finished: String,
    /// From start to finish, in milliseconds, suspend included.
    pub duration_ms: u64,
    /// The most resident memory that its processes were seen with, in bytes.
    pub peak_memory: Option<u64>,
    /// What was executed.
    pub argv: Argv,
    /// Where.
    pub cwd: PathBuf,
    /// The second word of its log lines.
    pub phase: Phase,
    /// Its log.
    pub log: PathBuf,
    /// How many lines that has.
    pub lines: u64,
    /// The machine's name.
    pub host: String,
    /// Its own process, if it was started.
    pub process: Option<ProcessIdentity>,
    /// How many processes it left behind, which had to be told to end.
    pub stragglers: usize,
    /// Whether all its processes were seen gone before this was written.
    pub group_gone: bool,
    /// What the specification said about commit, tree and toolchain, as given.
    pub facts: BTreeMap<String, String>,
    /// What became of the tree that it read; `None` when nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Outcome>,
}

/// A point in time for both of a record's readers: people and arithmetic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// RFC 3339.
    pub wall: String,
    /// On the clock that counts suspend.
    pub clock: Millis,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { wall: clock::rfc3339_millis(clock::wall()), clock: clock::boottime() }
    }
}

/// How a run ended and what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How its own process ended.
    pub status: Status,
    /// What that means.
    pub class: Class,
    /// Who or what ended it, if it did not end by itself.
    pub by: Option<String>,
}

impl Ending {
    /// The wrapper failed, for the reason `by`.
    pub fn of_wrapper(status: Status, by: String) -> Self {
        Self { status, class: Class::Infra, by: Some(by) }
    }
}

impl ExitRecord {
    /// The record of a run without processes: nothing measured, nothing logged.
    pub(crate) fn new(spec: &RunSpec, started: &Moment, finished: &Moment, ending: Ending) -> Self {
        Self {
            run: spec.id.clone(),
            status: ending.status,
            class: ending.class,
            by: ending.by,
            started: started.wall.clone(),
            finished: finished.wall.clone(),
            duration_ms: finished.clock.get().saturating_sub(started.clock.get()),
            peak_memory: None,
            argv: spec.argv.clone(),
            cwd: spec.cwd.clone(),
            phase: spec.phase.clone(),
            log: spec.log.clone(),
            lines: 0,
            host: nix::unistd::gethostname()
                .map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into()),
            process: None,
            stragglers: 0,
            group_gone: true,
            facts: spec.facts.clone(),
            sources: spec
                .sources
                .as_ref()
                .map(|_| Outcome::Unknown { reason: "nobody looked at it again".to_owned() }),
        }
    }

    /// What a wrapper returns for this run: the code of its process, 128 plus
    /// the signal, 126 or 127 as a shell, or 125 when nobody knows.
    pub fn exit_code(&self) -> u8 {
        match self.status {
            Status::Exited(code) | Status::NotStarted(code) => code,
            Status::Signaled(signal) => {
                u8::try_from(signal).map_or(125, |signal| signal.saturating_add(128))
            }
            Status::Unknown => 125,
        }
    }
}

/// Who supervises a run, written before and again after its process starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorRecord {
    /// The supervisor; its pid is the kernel session of the run.
    pub supervisor: ProcessIdentity,
    /// The run's own process, leader of its process group, once it is started.
    pub child: Option<ProcessIdentity>,
    /// When the run started, RFC 3339.
    pub started: String,
    /// The same on the clock that counts suspend.
    pub started_at: Millis,
}

/// The processes that a supervisor last saw, kept for [`super::reap()`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnesses {
    /// Who was there.
    pub seen: BTreeSet<ProcessIdentity>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn ends(script: &str) -> Status {
        Command::new("sh").args(["-c", script]).status().unwrap().into()
    }

    #[test]
    fn codes_and_signals_are_told_apart() {
        assert_eq!(ends("exit 0"), Status::Exited(0));
        assert_eq!(ends("exit 137"), Status::Exited(137));
        assert_eq!(ends("kill -9 $$"), Status::Signaled(9));
    }
}
