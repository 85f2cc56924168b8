//! The folder of a run: where its files are and how they are written.
//!
//! Files that others decide on appear whole or not at all. The file `lock` is
//! held by the supervisor for its whole life; the system lets go of it at any
//! death. Not here: what the files mean (`spec`, `record`).

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{ExitRecord, SupervisorRecord, Witnesses};
use super::spec::{RunId, RunSpec};

/// A socket's address holds 104 bytes on Darwin, 108 on Linux, with a NUL.
const LONGEST_SOCKET: usize = 100;

/// How often a lock that is taken is tried, and what lies between two tries.
const LOCK_TRIES: u32 = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// A file of a run that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct FileError {
    /// What was tried, in words that follow "cannot".
    pub doing: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: what was being done to which file.
    pub(crate) fn when(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { doing, path, source }
    }
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder of all runs under the state folder `state`.
    pub fn all(state: &Path) -> PathBuf {
        state.join("runs")
    }

    /// The folder of run `id` under `state`, whether it exists or not.
    pub fn of(state: &Path, id: &RunId) -> Self {
        Self { path: Self::all(state).join(id.as_str()) }
    }

    /// The existing run folder `path`.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let path = path.canonicalize().map_err(FileError::when("open run folder", path))?;
        Ok(Self { path })
    }

    /// Makes the folder of `spec` under `state`, for this user alone. A folder
    /// that exists is an error: no run gets the name of another.
    pub fn create(state: &Path, spec: &RunSpec) -> Result<Self, FileError> {
        let runs = Self::all(state);
        std::fs::create_dir_all(&runs).map_err(FileError::when("create", &runs))?;
        let path = runs.join(spec.id.as_str());
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(FileError::when("create run folder", &path))?;
        let folder = Self::open(&path)?;
        write_json(&folder.path.join("spec.json"), spec)?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the run is asked to do.
    pub fn spec(&self) -> Result<RunSpec, FileError> {
        let path = self.path.join("spec.json");
        read_json(&path)?.ok_or_else(|| FileError {
            doing: "read",
            path,
            source: io::ErrorKind::NotFound.into(),
        })
    }

    /// How the run ended, once it has.
    pub fn exit_record(&self) -> Result<Option<ExitRecord>, FileError> {
        read_json(&self.path.join("exit.json"))
    }

    pub(crate) fn write_exit_record(&self, record: &ExitRecord) -> Result<(), FileError> {
        write_json(&self.path.join("exit.json"), record)
    }

    /// Who supervises the run, once somebody has begun to.
    pub fn supervisor(&self) -> Result<Option<SupervisorRecord>, FileError> {
        read_json(&self.path.join("supervisor.json"))
    }

    pub(crate) fn write_supervisor(&self, record: &SupervisorRecord) -> Result<(), FileError> {
        write_json(&self.path.join("supervisor.json"), record)
    }

    pub(crate) fn witnesses(&self) -> Result<Witnesses, FileError> {
        Ok(read_json(&self.path.join("members.json"))?.unwrap_or_default())
    }

    /// Not made to survive a crash of the machine, which no process survives: a
    /// supervisor that waits for a busy disk would be late at a deadline.
    pub(crate) fn write_witnesses(&self, witnesses: &Witnesses) -> Result<(), FileError> {
        replace_json(&self.path.join("members.json"), witnesses, 0o600, Survives::Programs)
    }

    /// What the supervisor itself had to say; empty unless something is wrong.
    pub fn supervisor_log(&self) -> PathBuf {
        self.path.join("supervisor.log")
    }

    /// The file whose lock is the supervisor's life.
    pub(crate) fn open_lock(&self) -> Result<File, FileError> {
        let path = self.path.join("lock");
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(FileError::when("open", &path))
    }

    /// Takes the lock for a supervisor that is to be started. `None` when the run
    /// has, had or gets one already. Others look at the lock for an instant, so
    /// one that is taken is tried again for a moment.
    pub(crate) fn lock_for_supervisor(&self) -> Result<Option<File>, FileError> {
        let lock = self.open_lock()?;
        for _ in 0..LOCK_TRIES {
            if self.supervisor()?.is_some() || self.exit_record()?.is_some() {
                return Ok(None);
            }
            match lock.try_lock() {
                Ok(()) => return Ok(Some(lock)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::Error(error)) => {
                    return Err(FileError::when("lock", &self.path)(error));
                }
            }
        }
        Ok(None)
    }

    /// The lock as a file that this process got as its standard input, if that
    /// is what it got: so a lock passes from who starts a supervisor to the
    /// supervisor without a gap.
    pub(crate) fn inherited_lock(&self) -> Result<Option<File>, FileError> {
        let path = self.path.join("lock");
        let same = || -> io::Result<Option<File>> {
            let given = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            let (given_is, lock_is) = (given.metadata()?, path.metadata()?);
            let same = (given_is.dev(), given_is.ino()) == (lock_is.dev(), lock_is.ino());
            Ok(same.then_some(given))
        };
        same().map_err(FileError::when("compare standard input with", &path))
    }

    /// Where the supervisor is to listen: in the folder, or, when that path is
    /// longer than a socket's address, in a folder of this user for temporary
    /// files; then `sock.path` says where.
    pub(crate) fn new_socket(&self) -> Result<PathBuf, FileError> {
        let socket = self.path.join("sock");
        if socket.as_os_str().len() <= LONGEST_SOCKET {
            return Ok(socket);
        }
        let digest = blake3::hash(self.path.as_os_str().as_bytes()).to_hex();
        let socket = short_folder()?.join(format!("{}.sock", &digest[..24]));
        write_json(&self.path.join("sock.path"), &socket)?;
        Ok(socket)
    }

    /// Where the supervisor listens.
    pub(crate) fn socket(&self) -> Result<PathBuf, FileError> {
        let elsewhere = read_json(&self.path.join("sock.path"))?;
        Ok(elsewhere.unwrap_or_else(|| self.path.join("sock")))
    }
}

/// A folder of this user alone with a short path, for sockets.
fn short_folder() -> Result<PathBuf, FileError> {
    let user = nix::unistd::geteuid();
    let name = format!("molt-{user}");
    let mut folder = std::env::temp_dir().join(&name);
    if folder.as_os_str().len() + "/.sock".len() + 24 > LONGEST_SOCKET {
        folder = Path::new("/tmp").join(&name);
    }
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(FileError::when("create", &folder)(error));
        }
        _ => {}
    }
    let found = folder.symlink_metadata().map_err(FileError::when("look at", &folder))?;
    if found.is_dir() && found.uid() == user.as_raw() && found.mode() & 0o077 == 0 {
        return Ok(folder);
    }
    // Somebody else could replace the socket and answer in the supervisor's name.
    let source = io::Error::other("it is not a folder of this user alone");
    Err(FileError { doing: "use", path: folder, source })
}

/// The value in `path`, or `None` when there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::when("read", path)(error)),
    };
    let value = serde_json::from_slice(&text).map_err(io::Error::from);
    value.map(Some).map_err(FileError::when("understand", path))
}

/// What a file must survive, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survives {
    /// The death of any program.
    Programs,
    /// Also a crash of the machine. Waits for the disk.
    Machine,
}

/// Replaces `path` by `value`, for this user alone.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    replace_json(path, value, 0o600, Survives::Machine)
}

/// Replaces `path` by `value` with the permissions `mode`: a reader sees the old
/// or the new.
pub(crate) fn replace_json<T: Serialize>(
    path: &Path,
    value: &T,
    mode: u32,
    survives: Survives,
) -> Result<(), FileError> {
    let write = || -> io::Result<()> {
        let draft = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&draft)?;
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        file.write_all(&text)?;
        if survives == Survives::Machine {
            file.sync_all()?;
        }
        std::fs::rename(&draft, path)?;
        match path.parent() {
            Some(folder) if survives == Survives::Machine => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    };
    write().map_err(FileError::when("write", path))
}
