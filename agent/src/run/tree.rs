//! The processes of a run, and signals to them and nobody else.
//!
//! A supervisor leads a kernel session of its own, so the run's processes are
//! those of that session: also the ones that moved to another process group
//! (shells with job control, `timeout`, test runners), which a signal to one
//! group would miss. A process that makes itself a session has left the run on
//! purpose (a compiler cache's server does) and is not followed.
//!
//! The number of a session stays taken while one process is in it, so nobody
//! else can get it in between; after a supervisor's death a witness, one process
//! that it has seen, proves that the session is still that of the run.

use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::process::{self, Process, State};

/// The processes of the run whose supervisor has pid `supervisor`, without the
/// supervisor; those that ended but were not waited for are included.
pub fn members(supervisor: i32) -> io::Result<Vec<Process>> {
    let mut members = process::in_session(supervisor)?;
    members.retain(|process| process.identity.pid != supervisor);
    Ok(members)
}

/// Those of `members` that have not ended.
pub fn alive(mut members: Vec<Process>) -> Vec<Process> {
    members.retain(|process| process.state == State::Alive);
    members
}

/// Sends `signal` to the groups of `members`, which the caller has just read.
///
/// A member that sits in the supervisor's own group gets it alone. Processes
/// that have ended in the meantime, or that have become another user's, are no
/// error: the next look tells whether they are still there.
pub fn signal(supervisor: i32, members: &[Process], signal: Signal) -> Result<(), Errno> {
    let groups: BTreeSet<i32> = members.iter().map(|process| process.group).collect();
    for group in groups {
        if group != supervisor {
            signal_group(group, signal)?;
            continue;
        }
        for process in members.iter().filter(|process| process.group == group) {
            ignore_absent(kill(Pid::from_raw(process.identity.pid), signal))?;
        }
    }
    Ok(())
}

/// Sends `signal` to the process group `group`, which the caller knows to be of
/// the run; that it is empty by now is no error.
pub fn signal_group(group: i32, signal: Signal) -> Result<(), Errno> {
    ignore_absent(killpg(Pid::from_raw(group), signal))
}

fn ignore_absent(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
        other => other,
    }
}
