//! What one machine runs at once: slots, memory, cores and local locks.
//!
//! The coordinator proposes, this admits: one file per machine, changed under
//! the system's lock, so that all processes, repositories and (where the
//! folder's permissions let them) users of the machine share one count. An
//! entry leaves with [`Ledger::release`], or once its holder is dead and nothing
//! of its run is left. Not here: who is next in line, and what a run needs.

mod book;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub use book::{Admission, Admitted, Budget, Demand, Entry, Request, Shortage, Slot, SlotDemand};

use self::book::Book;
use crate::run::folder::{FileError, Survives, read_json, replace_json};
use crate::run::reap::{ReapError, is_over};
use crate::run::spec::RunId;

/// Everybody who may write the folder may share the ledger; the umask narrows it.
const MODE: u32 = 0o666;

/// Why the ledger could not be asked. Nothing was admitted or released.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file of the ledger could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Whether a holder is alive could not be found out.
    #[error("cannot tell whether pid {pid} of {run} is alive")]
    Holder {
        /// The run.
        run: RunId,
        /// Its holder.
        pid: i32,
        /// Why not.
        source: io::Error,
    },
    /// Whether a run is over could not be found out.
    #[error("cannot tell whether {run} is over")]
    Run {
        /// The run.
        run: RunId,
        /// Why not.
        source: ReapError,
    },
}

/// The ledger of this machine.
#[derive(Debug, Clone)]
pub struct Ledger {
    folder: PathBuf,
    budget: Budget,
}

impl Ledger {
    /// The ledger in `folder`, which is made if it is missing, for a machine that
    /// may spend `budget`.
    pub fn open(folder: &Path, budget: Budget) -> Result<Self, LedgerError> {
        std::fs::create_dir_all(folder).map_err(FileError::when("create", folder))?;
        let folder = folder.canonicalize().map_err(FileError::when("open", folder))?;
        Ok(Self { folder, budget })
    }

    /// Takes what `request` asks for if all of it fits beside what runs. Asking
    /// again for a run that is in the ledger gives the same answer again.
    pub fn admit(&self, request: &Request) -> Result<Admission, LedgerError> {
        self.change(|book, budget| book.admit(request, budget))
    }

    /// Gives back what `run` has. A run that has nothing is no error.
    pub fn release(&self, run: &RunId) -> Result<(), LedgerError> {
        self.change(|book, _| book.release(run))
    }

    /// Who has what now.
    pub fn entries(&self) -> Result<Vec<Entry>, LedgerError> {
        self.change(|book, _| book.entries().to_vec())
    }

    /// Lets `act` change the ledger after the dead have left it.
    fn change<T>(&self, act: impl FnOnce(&mut Book, &Budget) -> T) -> Result<T, LedgerError> {
        let _lock = self.lock()?;
        let path = self.folder.join("ledger.json");
        let before: Book = read_json(&path)?.unwrap_or_default();
        let mut book = before.clone();
        book.retain(is_live)?;
        let answer = act(&mut book, &self.budget);
        if book != before {
            replace_json(&path, &book, MODE, Survives::Machine)?;
        }
        Ok(answer)
    }

    /// Waits for the lock, which nobody holds for longer than one change.
    fn lock(&self) -> Result<File, LedgerError> {
        let path = self.folder.join("ledger.lock");
        let take = || -> io::Result<File> {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(MODE)
                .open(&path)?;
            file.lock()?;
            Ok(file)
        };
        Ok(take().map_err(FileError::when("lock", &path))?)
    }
}

/// Whether an entry still stands for something on this machine. A run folder
/// that this user may not read counts as live: its own user will release it.
fn is_live(entry: &Entry) -> Result<bool, LedgerError> {
    let run = || entry.run.clone();
    let holder = &entry.holder;
    let alive = holder.is_alive().map_err(|source| LedgerError::Holder {
        run: run(),
        pid: holder.pid,
        source,
    })?;
    if alive {
        return Ok(true);
    }
    match is_over(&entry.folder) {
        Ok(over) => Ok(!over),
        Err(ReapError::File(error)) if error.source.kind() == io::ErrorKind::PermissionDenied => {
            Ok(true)
        }
        Err(source) => Err(LedgerError::Run { run: run(), source }),
    }
}
