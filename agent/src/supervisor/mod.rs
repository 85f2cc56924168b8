//! The supervisor: one small process per run, which owns its processes, pipes,
//! log, limits, deadline and exit record.
//!
//! It leads a kernel session of its own and has no living parent among those who
//! asked for the run: their death, a closed terminal or a `kill` of their process
//! tree leaves it alone. One loop (`owner`) owns everything; `life` decides,
//! `tree` knows the processes, `output` writes the log, `serve` talks to clients.
//! Not here: what clients do (`run`), and what the machine admits (`ledger`).

mod life;
mod output;
mod owner;
mod serve;
mod tree;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use nix::unistd::{dup2_stdout, getsid, setsid};

use self::owner::NotBegun;
use crate::run::client::Run;
use crate::run::folder::{FileError, RunFolder};
use crate::run::process::ProcessIdentity;
use crate::run::record::{Ending, ExitRecord, Moment, Status};

/// The verb that makes this program a supervisor.
const VERB: &str = "supervise";

/// Tells the second of the two processes that it is the one that stays.
const STAYS: &str = "MOLT_SUPERVISOR_STAYS";

/// What a supervisor says on its standard output when the run is under way.
const READY: &str = "ready\n";

/// Why a run has no supervisor now.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// It has one, or had one: a folder is for one run.
    #[error("the run in {folder} was started already")]
    Started {
        /// The run's folder.
        folder: String,
    },
    /// The program could not be started.
    #[error("cannot start {program} to supervise")]
    Program {
        /// Which program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The supervisor ended before the run was under way.
    #[error("the supervisor of {folder} could not begin: {said}")]
    Supervisor {
        /// The run's folder.
        folder: String,
        /// In its own words, or how it ended.
        said: String,
    },
    /// A file of the run could not be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A run with its supervisor, as far as its starter needs to know.
#[derive(Debug, Clone)]
pub struct Supervised {
    /// The run, for everything else.
    pub run: Run,
    /// The supervisor. It is not a child of this process.
    pub supervisor: ProcessIdentity,
}

/// Starts the run whose folder is `folder` under a supervisor of its own, with
/// `program` being this program (`molt-agent`).
///
/// Returns when the run is under way and its supervisor listens; blocks for the
/// start of two processes. A run whose own program cannot be executed counts as
/// started: its exit record says what was wrong.
pub fn spawn(program: &Path, folder: &Path) -> Result<Supervised, SpawnError> {
    let folder = RunFolder::open(folder)?;
    let name = folder.path().display().to_string();
    let Some(lock) = folder.lock_for_supervisor()? else {
        return Err(SpawnError::Started { folder: name });
    };
    let (said, status) = start(program, &folder, lock)
        .map_err(|source| SpawnError::Program { program: program.display().to_string(), source })?;
    if said != READY {
        let said = match said.trim() {
            "" => format!("it ended ({status}), see {}", folder.supervisor_log().display()),
            said => said.to_owned(),
        };
        return Err(SpawnError::Supervisor { folder: name, said });
    }
    let record = folder.supervisor()?.ok_or_else(|| SpawnError::Supervisor {
        folder: name,
        said: "it is ready and has no record".to_owned(),
    })?;
    let run = Run::open(folder.path())?;
    Ok(Supervised { run, supervisor: record.supervisor })
}

/// Runs the first process, and reads what the second says when it is ready.
fn start(program: &Path, folder: &RunFolder, lock: File) -> io::Result<(String, ExitStatus)> {
    let errors =
        OpenOptions::new().append(true).create(true).mode(0o600).open(folder.supervisor_log())?;
    let mut first = Command::new(program)
        .arg(VERB)
        .arg(folder.path())
        .current_dir("/")
        .env_remove(STAYS)
        // The lock goes along, so that it is held without a gap.
        .stdin(lock)
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()?;
    let mut said = String::new();
    if let Some(stdout) = &mut first.stdout {
        stdout.read_to_string(&mut said)?;
    }
    Ok((said, first.wait()?))
}

/// The program as a supervisor of the run whose folder is `folder`.
///
/// The first process starts the second and ends, so that the second belongs to
/// nobody's process tree. The second stays until the exit record is written.
pub fn main(folder: &Path) -> ExitCode {
    let outcome = match std::env::var_os(STAYS) {
        None => step_aside(folder),
        Some(_) => stay(folder),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to be told when these fail.
            drop(writeln!(io::stderr(), "{failure}"));
            drop(write!(io::stdout(), "{failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Why a supervisor could not do its work, in words that need no context.
#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self(format!("{error}: {}", error.source))
    }
}

impl Failure {
    fn when<E: std::fmt::Display>(doing: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("cannot {doing}: {error}"))
    }
}

fn step_aside(folder: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(Failure::when("find this program"))?;
    Command::new(program)
        .arg(VERB)
        .arg(folder)
        .env(STAYS, "1")
        .spawn()
        .map(drop)
        .map_err(Failure::when("start the supervisor"))
}

fn stay(folder: &Path) -> Result<(), Failure> {
    let folder = RunFolder::open(folder)?;
    let _lock = own_lock(&folder)?;
    lead_session()?;
    let started = Moment::now();
    let spec = folder.spec()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::when("build the runtime"))?;
    runtime.block_on(async {
        let (ending, failure) = match owner::begin(&folder, &spec, &started) {
            Ok(owner) => {
                announce_ready()?;
                return owner.run().await;
            }
            Err(NotBegun::Program(ending)) => (ending, None),
            Err(NotBegun::Wrapper(failure)) => {
                (Ending::of_wrapper(Status::NotStarted(125), failure.to_string()), Some(failure))
            }
        };
        folder.write_exit_record(&ExitRecord::new(&spec, &started, &Moment::now(), ending))?;
        failure.map_or_else(announce_ready, Err)
    })
}

/// The run's lock: given by who started this process, else taken now.
fn own_lock(folder: &RunFolder) -> Result<File, Failure> {
    if let Some(given) = folder.inherited_lock()?
        && given.try_lock().is_ok()
        && folder.supervisor()?.is_none()
    {
        return Ok(given);
    }
    let lock = folder.lock_for_supervisor()?;
    lock.ok_or_else(|| {
        Failure(format!("the run in {} was started already", folder.path().display()))
    })
}

fn lead_session() -> Result<(), Failure> {
    let own = nix::unistd::getpid();
    if getsid(None) == Ok(own) {
        return Ok(());
    }
    setsid().map(drop).map_err(Failure::when("begin a session"))
}

/// Tells the starter that the run is under way, then lets go of its pipe.
fn announce_ready() -> Result<(), Failure> {
    let mut stdout = io::stdout();
    // A starter that died meanwhile does not change the run.
    drop(stdout.write_all(READY.as_bytes()).and_then(|()| stdout.flush()));
    let nowhere = OpenOptions::new().write(true).open("/dev/null");
    let nowhere = nowhere.map_err(Failure::when("open /dev/null"))?;
    dup2_stdout(nowhere).map_err(Failure::when("close standard output"))
}
