//! The processes that this supervisor started: looked at, signalled, gone.

use std::collections::BTreeSet;
use std::io;
use std::process::Child;

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::life::{Leader, Look};
use crate::clock::{self, Millis};
use crate::run::folder::{FileError, RunFolder};
use crate::run::process::{self, Process, ProcessIdentity, State};
use crate::run::record::{Status, Witnesses};
use crate::run::tree;

/// What `ru_maxrss` counts in.
const RUSAGE_UNIT: u64 = if cfg!(target_vendor = "apple") { 1 } else { 1024 };

/// How often the witnesses are written at most, in milliseconds.
const BETWEEN_WITNESSES: u64 = 1000;

/// The run's own process and all that it started.
///
/// Nobody waits for the run's own process before all others are gone. So its pid
/// stays taken, and with it the number of its group: a signal cannot reach a
/// stranger who got the number meanwhile.
pub(super) struct Tree {
    supervisor: i32,
    child: Child,
    leader: ProcessIdentity,
    /// How the run's own process ended, once it was waited for.
    status: Option<Status>,
    members: Vec<Process>,
    peak: u64,
    written: Option<(Millis, Witnesses)>,
}

impl Tree {
    pub(super) fn new(supervisor: i32, child: Child, leader: ProcessIdentity) -> Self {
        Self {
            supervisor,
            child,
            leader,
            status: None,
            members: Vec::new(),
            peak: 0,
            written: None,
        }
    }

    /// Whether the run's own process has ended.
    pub(super) fn leader(&self) -> io::Result<Leader> {
        let ended = self.status.is_some() || process::child_has_ended(self.leader.pid)?;
        Ok(if ended { Leader::Ended } else { Leader::Alive })
    }

    /// Reads which processes are there.
    pub(super) fn look(&mut self) -> io::Result<Look> {
        let all = tree::members(self.supervisor)?;
        let own = all.iter().find(|process| process.identity == self.leader);
        let leader = match own.map(|process| process.state) {
            Some(State::Alive) => Leader::Alive,
            Some(State::Ended) => Leader::Ended,
            // It has left the session, or the system hides what ended.
            None => self.leader()?,
        };
        self.members = tree::alive(all);
        let memory = self.memory();
        self.peak = self.peak.max(memory);
        Ok(Look { now: clock::boottime(), leader, processes: self.members.len(), memory })
    }

    /// What is known when the processes could not be read: that not all is over.
    pub(super) fn blind_look(&mut self) -> Look {
        self.members.clear();
        Look { now: clock::boottime(), leader: Leader::Alive, processes: 1, memory: 0 }
    }

    /// Sends `signal` to the group of the run's own process, as long as nobody
    /// has waited for that, and to the other groups of the last look.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        if self.status.is_some() {
            return tree::signal(self.supervisor, &self.members, signal);
        }
        let group = self.leader.pid;
        let elsewhere: Vec<Process> =
            self.members.iter().filter(|process| process.group != group).cloned().collect();
        tree::signal_group(group, signal)?;
        tree::signal(self.supervisor, &elsewhere, signal)
    }

    /// Makes sure that nobody is left, after a look has found nobody: looks once
    /// more (one look can miss a process whose parent ended within it), waits for
    /// the run's own process, and asks the system whether its group is empty.
    pub(super) fn confirm_gone(&mut self) -> io::Result<Option<Status>> {
        if self.look()?.processes > 0 {
            return Ok(None);
        }
        let status = match &self.status {
            Some(status) => status.clone(),
            None => self.child.wait()?.into(),
        };
        self.status = Some(status.clone());
        let empty = killpg(Pid::from_raw(self.leader.pid), None) == Err(Errno::ESRCH);
        // Ended processes whose parent does not ask for them keep a group going.
        let gone = empty || self.look()?.processes == 0;
        Ok(gone.then_some(status))
    }

    /// Writes down who is there, if that has changed and some time has passed.
    pub(super) fn write_witnesses(&mut self, folder: &RunFolder) -> Result<(), FileError> {
        let now = clock::boottime();
        let seen: BTreeSet<_> =
            self.members.iter().map(|process| process.identity.clone()).collect();
        if let Some((at, last)) = &self.written
            && (now.get() < at.get() + BETWEEN_WITNESSES || last.seen == seen)
        {
            return Ok(());
        }
        let witnesses = Witnesses { seen };
        folder.write_witnesses(&witnesses)?;
        self.written = Some((now, witnesses));
        Ok(())
    }

    /// The resident memory of the processes of the last look, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.members.iter().map(|process| process.memory).sum()
    }

    /// How many processes the last look saw.
    pub(super) fn processes(&self) -> usize {
        self.members.len()
    }

    pub(super) fn leader_identity(&self) -> &ProcessIdentity {
        &self.leader
    }

    /// The most memory that was seen, in bytes: of all together at any look, or
    /// of the largest single one at any time.
    pub(super) fn peak(&self) -> u64 {
        let largest = getrusage(UsageWho::RUSAGE_CHILDREN)
            .map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0));
        self.peak.max(largest.saturating_mul(RUSAGE_UNIT))
    }
}
