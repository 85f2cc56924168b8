//! A store in one SQLite file, for a fleet on one machine.
//!
//! A folder holds `board.sqlite` (records as JSON text, one per row, readable with `sqlite3`),
//! SQLite's write-ahead log beside it, and `board.lock`, by which the operating system keeps out
//! a second process. All writing is done by one connection. A commit of many changes waits for the
//! disk on a thread of its own, so that whoever commits can get the next one ready; for a few the
//! two switches would cost more than that brings.
//!
//! * `inspect`: looks at the files before SQLite may touch them.
//! * `wal`: reads SQLite's write-ahead log, to know what a recovery will do.
//! * `lock`: keeps a second process out.
//! * `schema`: makes a fresh file, opens an old one.
//! * `snapshot`: reads everything beside whoever serves.
//! * `writer`: the connection and its transactions.

mod inspect;
mod lock;
mod schema;
mod snapshot;
mod wal;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use thiserror::Error;

use crate::commit::Commit;
use crate::head::Head;
use crate::record::Record;
use crate::store::{
    CampaignError, Candidate, CommitError, Durability, Facts, Leadership, LoadError, Store, Tenure,
    TenureError,
};

pub use lock::Holder;
pub use snapshot::{Snapshot, Use, in_use, snapshot};
use writer::{Step, Writer};

/// The file with the records, inside the store's folder.
pub const DATABASE_FILE: &str = "board.sqlite";
/// The file that is locked while the store is open, inside the store's folder.
pub const LOCK_FILE: &str = "board.lock";

/// A commit of so many changes is made where it is asked for: one command has three or four.
const FEW: usize = 6;

/// How an embedded store behaves. The defaults suit a fleet on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How large the records may grow, in bytes; a commit beyond is `Unavailable`. The default
    /// is 2 GiB, as in etcd.
    pub max_bytes: u64,
    /// After how many pages of 4 KiB the write-ahead log is copied into the main file. A page is
    /// copied once, however often it was written since: the more, the fewer.
    pub checkpoint_pages: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_bytes: 2 << 30, checkpoint_pages: 8000 }
    }
}

/// What was found when a store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The number of the last whole commit, at which the store stands.
    pub head: u64,
    /// What the write-ahead log held after that commit.
    pub tail: Tail,
}

/// What follows the last whole commit in the write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tail {
    /// Nothing that a commit left unfinished.
    #[default]
    Clean,
    /// The beginning of a commit that a crash cut short. It was never acknowledged and is gone.
    Dropped {
        /// Its bytes.
        bytes: u64,
    },
}

/// Why a store was not opened. Whatever the reason, the database and its log are as they were.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is held by {}", .folder.display(), lock::describe(.holder.as_ref()))]
    Held {
        /// The store's folder.
        folder: PathBuf,
        /// Who, as far as the lock file says.
        holder: Option<Holder>,
    },
    /// A newer program laid the file out: use that program.
    #[error(
        "{} has layout {found}, newer than {supported}, which is the newest of this program",
        .path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The file's layout.
        found: u32,
        /// The newest layout that this program handles.
        supported: u32,
    },
    /// The file is not ours.
    #[error("{} is not a board: {found}", .path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Part of what was stored is not there any more: restore it from a backup.
    #[error("{} is damaged: {found}", .path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What shows it.
        found: String,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("cannot open {}", .path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// A store in one SQLite file. The file is this process's alone until the value is dropped.
#[derive(Debug)]
pub struct EmbeddedStore {
    writer: Arc<Mutex<Writer>>,
}

impl EmbeddedStore {
    /// Opens the store in `folder`, or makes a fresh one if there is none. Blocks while the file
    /// is checked, which takes time in proportion to its size.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Opened), OpenError> {
        let io = |source| OpenError::Io { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let lock = lock::FolderLock::acquire(folder)?;
        let (connection, tail) = schema::open(folder, options)?;
        let path = folder.join(DATABASE_FILE);
        let (writer, head) = Writer::new(connection, lock)
            .map_err(|source| OpenError::Sqlite { path: path.clone(), source })?;
        if let Tail::Dropped { bytes } = tail {
            tracing::warn!(path = %path.display(), head, bytes, "dropped an unfinished commit");
        }
        Ok((Self { writer: Arc::new(Mutex::new(writer)) }, Opened { head, tail }))
    }

    /// The connection. Whoever has it waits for the disk on its own thread.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        locked(&self.writer)
    }
}

fn locked(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    // A transaction that a panic left is rolled back when it is dropped, so what is in there is
    // whole.
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        self.writer().campaign(candidate)
    }

    async fn load(&self, leadership: &Leadership) -> Result<(Head, Vec<Record>), LoadError> {
        self.writer().load(leadership.term())
    }

    async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError> {
        let step = Step {
            term: leadership.term(),
            from_number: expected.number,
            from_id: expected.id,
            next: expected.after(&commit),
            commit,
        };
        if step.commit.changes().len() <= FEW {
            return self.writer().commit(step);
        }
        let writer = Arc::clone(&self.writer);
        let committing = tokio::task::spawn_blocking(move || locked(&writer).commit(step));
        // One that panicked may have got through before.
        committing.await.unwrap_or_else(|error| Err(CommitError::Unknown(error.into())))
    }

    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.writer().holds(leadership.term())
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.writer().resign(leadership.term())
    }

    fn facts(&self) -> Facts {
        Facts { backend: "embedded", durability: Durability::Disk, tenure: Tenure::UntilTaken }
    }
}
