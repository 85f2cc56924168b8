//! Processes as the system shows them: who they are, and who started whom.
//!
//! A pid alone names nobody, because it is given again. An identity is the pid
//! with the start time; whatever compares or signals a process uses that. The
//! table is read from `/proc` where there is one, else from `ps`. Not here:
//! which processes belong to a run (`tree`).

mod ancestry;
mod proc;
mod ps;

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::unistd::{Pid, getpgid};
use serde::{Deserialize, Serialize};

pub use ancestry::{Ancestor, ancestors, nearest_agent_root};

/// One process and no other, even after its pid was given again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its pid.
    pub pid: i32,
    /// When it started, in the system's own words; the boot is part of it.
    pub start: String,
}

impl ProcessIdentity {
    /// Who has `pid` now, or `None` when nobody has.
    pub fn of(pid: i32) -> io::Result<Option<Self>> {
        Ok(find(pid)?.map(|process| process.identity))
    }

    /// This process.
    pub fn own() -> io::Result<Self> {
        let pid = Pid::this().as_raw();
        Self::of(pid)?.ok_or_else(|| io::Error::other(format!("pid {pid} does not see itself")))
    }

    /// Whether this very process still runs. One that ended is not alive, even
    /// while its parent has not yet asked how it ended.
    pub fn is_alive(&self) -> io::Result<bool> {
        let alive = |process: Process| process.identity == *self && process.state == State::Alive;
        Ok(find(self.pid)?.is_some_and(alive))
    }
}

/// Whether a process runs or has only its exit status left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, sleeps or is stopped.
    Alive,
    /// It has ended; its parent has not yet asked how.
    Ended,
}

/// What the system shows of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Who it is.
    pub identity: ProcessIdentity,
    /// The pid of its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session in the kernel's sense; 0 when the system no longer says.
    pub session: i32,
    /// Whether it runs.
    pub state: State,
    /// Its resident memory, in bytes.
    pub memory: u64,
    /// The name of its program, without folders.
    pub name: String,
}

enum Source {
    Proc,
    Ps,
}

fn source() -> &'static Source {
    static SOURCE: OnceLock<Source> = OnceLock::new();
    SOURCE.get_or_init(|| match Path::new("/proc/self/stat").exists() {
        true => Source::Proc,
        false => Source::Ps,
    })
}

/// The process that has `pid` now.
pub fn find(pid: i32) -> io::Result<Option<Process>> {
    match source() {
        Source::Proc => proc::find(pid),
        Source::Ps => ps::find(pid),
    }
}

/// The user of the process that has `pid` now, or `None` when nobody has.
pub fn owner(pid: i32) -> io::Result<Option<u32>> {
    match source() {
        Source::Proc => proc::owner(pid),
        Source::Ps => ps::owner(pid),
    }
}

/// All processes of the kernel session `session`, those that ended included.
pub fn in_session(session: i32) -> io::Result<Vec<Process>> {
    match source() {
        Source::Proc => proc::in_session(session),
        Source::Ps => ps::in_session(session),
    }
}

/// Whether this process's own child `pid`, which nobody has waited for, ended.
///
/// Starts no process, so that it may answer a SIGCHLD. Where it cannot tell, it
/// says no, and the next look at the table tells.
pub fn child_has_ended(pid: i32) -> io::Result<bool> {
    match source() {
        Source::Proc => Ok(find(pid)?.is_none_or(|process| process.state == State::Ended)),
        // Darwin answers ESRCH for a process that has ended and was not waited for.
        Source::Ps => Ok(getpgid(Some(Pid::from_raw(pid))) == Err(Errno::ESRCH)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_knows_itself_and_is_alive() {
        let own = ProcessIdentity::own().unwrap();
        assert!(own.is_alive().unwrap());
        let other = ProcessIdentity { start: format!("{}0", own.start), ..own };
        assert!(!other.is_alive().unwrap(), "the start time is part of who it is");
    }

    #[test]
    fn an_ended_child_is_dead_before_anyone_waited_for_it() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let identity = ProcessIdentity::of(pid).unwrap().unwrap();
        assert!(identity.is_alive().unwrap());
        assert!(!child_has_ended(pid).unwrap());
        drop(child.stdin.take());
        while !child_has_ended(pid).unwrap() {
            std::thread::yield_now();
        }
        assert!(!identity.is_alive().unwrap());
        child.wait().unwrap();
        assert_eq!(ProcessIdentity::of(pid).unwrap(), None);
    }

    /// Both readers of the table must tell the same of the same processes.
    #[test]
    fn ps_and_proc_agree() {
        if !Path::new("/proc/self/stat").exists() {
            return;
        }
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let named = |process: &Process| process.name == "cat";
        // Between fork and exec the child still has this program's name.
        let by_proc = std::iter::repeat_with(|| proc::find(pid).unwrap().unwrap()).find(named);
        let by_proc = by_proc.unwrap();
        let by_ps = ps::find(pid).unwrap().unwrap();
        assert_eq!(
            (by_proc.parent, by_proc.group, by_proc.session, by_proc.state, &by_proc.name),
            (by_ps.parent, by_ps.group, by_ps.session, by_ps.state, &by_ps.name),
        );
        assert_eq!(ps::find(pid).unwrap().unwrap().identity, by_ps.identity);
        assert_eq!(proc::owner(pid).unwrap(), Some(nix::unistd::geteuid().as_raw()));
        assert_eq!(ps::owner(pid).unwrap(), proc::owner(pid).unwrap());
        let listed = ps::in_session(by_proc.session).unwrap();
        assert!(listed.iter().any(|process| process.identity == by_ps.identity));
        let mut child = child;
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(ps::find(pid).unwrap(), None);
    }
}
