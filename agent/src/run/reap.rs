//! The end of a run whose supervisor was killed.
//!
//! Whoever comes next on the machine stops what the supervisor left behind and
//! writes the exit record in its place. It signals a process only with proof
//! that it belongs to the run; without one it says so and touches nothing. Not
//! here: stopping a run that is supervised (`client`).

use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::folder::{FileError, RunFolder};
use super::process::{self, Process};
use super::record::{Class, Ending, ExitRecord, Moment, Status, SupervisorRecord};
use super::spec::RunSpec;
use super::tree;
use crate::clock;

/// Between two looks at processes that were told to end.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How long killed processes may take to disappear before this gives up.
const KILL_TAKES: Duration = Duration::from_secs(30);

/// Why a run was not reaped.
#[derive(Debug, thiserror::Error)]
pub enum ReapError {
    /// Its supervisor lives, starts right now, or somebody else reaps it.
    #[error("{run} is still supervised")]
    Supervised {
        /// The run.
        run: String,
    },
    /// Processes are there that look like the run's, but nothing proves it.
    #[error("pids {pids:?} may be what is left of {run}, but no witness of it is alive")]
    Unproven {
        /// The run.
        run: String,
        /// Who was not signalled.
        pids: Vec<i32>,
    },
    /// Killed processes do not go away; they may hang in the system.
    #[error("pids {pids:?} of {run} were killed and are still there")]
    Unkillable {
        /// The run.
        run: String,
        /// Who is left.
        pids: Vec<i32>,
    },
    /// A file of the run could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The processes of the machine could not be read.
    #[error("cannot look at the processes of {run}")]
    Processes {
        /// The run.
        run: String,
        /// Why not.
        source: io::Error,
    },
    /// A process of the run could not be signalled.
    #[error("cannot signal the processes of {run}")]
    Signal {
        /// The run.
        run: String,
        /// Why not.
        source: Errno,
    },
}

/// Ends the run in `folder` if its supervisor was killed, and says how it ended.
/// A run that has ended already is only read.
///
/// Blocks for the run's kill grace at most, and for as long as the system takes
/// to remove killed processes.
pub fn reap(folder: &Path) -> Result<ExitRecord, ReapError> {
    let folder = RunFolder::open(folder)?;
    if let Some(record) = folder.exit_record()? {
        return Ok(record);
    }
    let spec = folder.spec()?;
    let run = spec.id.to_string();
    if is_supervised(&folder)? {
        return Err(ReapError::Supervised { run });
    }
    // Dead supervisors hold no lock, so this waits at most for another reaper.
    let lock = folder.open_lock()?;
    lock.lock().map_err(FileError::when("lock", folder.path()))?;
    if let Some(record) = folder.exit_record()? {
        return Ok(record);
    }
    let supervisor = folder.supervisor()?;
    if let Some(supervisor) = &supervisor {
        Orphans { folder: &folder, run, supervisor }.stop(spec.kill_grace())?;
        if let Ok(socket) = folder.socket()
            && let Err(error) = std::fs::remove_file(&socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(FileError::when("remove", &socket)(error).into());
        }
    }
    let record = epitaph(&spec, supervisor)?;
    folder.write_exit_record(&record)?;
    Ok(record)
}

/// Whether nothing of the run in `folder` is left: its end is recorded, or
/// neither a supervisor nor a process that could be of the run is there. A
/// folder that is missing has no run.
pub fn is_over(folder: &Path) -> Result<bool, ReapError> {
    let folder = match RunFolder::open(folder) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(true),
        folder => folder?,
    };
    if folder.exit_record()?.is_some() {
        return Ok(true);
    }
    if is_supervised(&folder)? {
        return Ok(false);
    }
    let Some(supervisor) = folder.supervisor()? else {
        return Ok(true);
    };
    let run = folder.spec()?.id.to_string();
    match (Orphans { folder: &folder, run, supervisor: &supervisor }).find() {
        Ok(orphans) => Ok(orphans.is_empty()),
        Err(ReapError::Unproven { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the run's supervisor lives or is just being started. The lock
/// answers for both, and for a supervisor whose record is not yet written.
pub(super) fn is_supervised(folder: &RunFolder) -> Result<bool, FileError> {
    match folder.open_lock()?.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(true),
        Err(TryLockError::Error(error)) => {
            return Err(FileError::when("lock", folder.path())(error));
        }
    }
    // A lock file that somebody replaced must not make a live supervisor dead.
    let Some(record) = folder.supervisor()? else {
        return Ok(false);
    };
    let looking = FileError::when("look for the supervisor of", folder.path());
    record.supervisor.is_alive().map_err(looking)
}

/// What a dead supervisor left behind.
struct Orphans<'a> {
    folder: &'a RunFolder,
    run: String,
    supervisor: &'a SupervisorRecord,
}

impl Orphans<'_> {
    /// The run's processes that are alive, or the reason why it cannot be known.
    fn find(&self) -> Result<Vec<Process>, ReapError> {
        let supervisor = &self.supervisor.supervisor;
        let holder = process::find(supervisor.pid).map_err(|source| self.unreadable(source))?;
        let reused = holder.as_ref().is_some_and(|holder| holder.identity != *supervisor);
        if reused {
            // The pid is given again only when its session was empty.
            return Ok(Vec::new());
        }
        let members = tree::members(supervisor.pid).map_err(|source| self.unreadable(source))?;
        let mut witnesses = self.folder.witnesses()?.seen;
        witnesses.extend(self.supervisor.child.clone());
        let proven =
            holder.is_some() || members.iter().any(|member| witnesses.contains(&member.identity));
        let alive = tree::alive(members);
        if proven || alive.is_empty() {
            return Ok(alive);
        }
        Err(ReapError::Unproven { run: self.run.clone(), pids: pids(&alive) })
    }

    /// Tells them to end, then kills, until none is left.
    fn stop(&self, grace: Duration) -> Result<(), ReapError> {
        let mut left = self.find()?;
        let kill_at = clock::boottime().plus(grace);
        let give_up_at = kill_at.plus(KILL_TAKES);
        self.signal(&left, Signal::SIGTERM)?;
        while !left.is_empty() {
            thread::sleep(BETWEEN_LOOKS);
            // Proven once is proven until it is empty: a session keeps its number.
            left = tree::alive(
                tree::members(self.supervisor.supervisor.pid)
                    .map_err(|source| self.unreadable(source))?,
            );
            let now = clock::boottime();
            if now >= give_up_at && !left.is_empty() {
                return Err(ReapError::Unkillable { run: self.run.clone(), pids: pids(&left) });
            }
            if now >= kill_at {
                self.signal(&left, Signal::SIGKILL)?;
            }
        }
        Ok(())
    }

    fn signal(&self, members: &[Process], signal: Signal) -> Result<(), ReapError> {
        tree::signal(self.supervisor.supervisor.pid, members, signal)
            .map_err(|source| ReapError::Signal { run: self.run.clone(), source })
    }

    fn unreadable(&self, source: io::Error) -> ReapError {
        ReapError::Processes { run: self.run.clone(), source }
    }
}

/// The exit record of a run whose end nobody saw.
fn epitaph(spec: &RunSpec, supervisor: Option<SupervisorRecord>) -> Result<ExitRecord, FileError> {
    let now = Moment::now();
    let Some(supervisor) = supervisor else {
        let never = "the supervisor never started".to_owned();
        let ending = Ending::of_wrapper(Status::NotStarted(125), never);
        return Ok(ExitRecord::new(spec, &now, &now, ending));
    };
    let started = Moment { wall: supervisor.started, clock: supervisor.started_at };
    let mut record = ExitRecord::new(
        spec,
        &started,
        &now,
        Ending {
            class: Class::Killed,
            by: Some("supervisor lost".to_owned()),
            status: Status::Unknown,
        },
    );
    record.process = supervisor.child;
    record.lines = match std::fs::read(&spec.log) {
        Ok(log) => log.iter().filter(|&&byte| byte == b'\n').count() as u64,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(FileError::when("read", &spec.log)(error)),
    };
    Ok(record)
}

fn pids(processes: &[Process]) -> Vec<i32> {
    processes.iter().map(|process| process.identity.pid).collect()
}
