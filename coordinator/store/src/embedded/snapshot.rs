//! Reads everything beside whoever serves, and disturbs nobody.
//!
//! A reader takes no lead and keeps no lock: SQLite's log lets it see one moment while the next
//! commits are written. Not here: whether what was read makes sense as a board.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::lock::Holder;
use super::writer::{self, ReadError};
use super::{DATABASE_FILE, LOCK_FILE, OpenError, inspect, schema};
use crate::head::Head;
use crate::record::Record;

/// What a store held at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The last commit.
    pub head: Head,
    /// All records, sorted by key.
    pub records: Vec<Record>,
    /// The bytes of the database and of its log.
    pub bytes: u64,
}

/// Whether a process has a store open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// None has.
    Free,
    /// One has; who, as far as the lock file says.
    Held(Option<Holder>),
}

/// Whether the store in `folder` is open in a process, at this moment.
///
/// # Errors
///
/// Fails if the lock file cannot be looked at.
pub fn in_use(folder: &Path) -> Result<Use, OpenError> {
    Ok(match lock(folder)? {
        Locked::Free(_) => Use::Free,
        Locked::Held(holder) => Use::Held(holder),
    })
}

/// Reads the head and all records of the store in `folder` as of one moment, whether or not it is
/// served meanwhile; `None` if there is no store. Blocks while the file is checked and read.
///
/// # Errors
///
/// See [`OpenError`]; it is never `Held`.
pub fn snapshot(folder: &Path) -> Result<Option<Snapshot>, OpenError> {
    let path = folder.join(DATABASE_FILE);
    match lock(folder)? {
        // Nobody writes, so the files hold still while they are looked at.
        Locked::Free(_lock) => {
            if inspect::inspect(&path)?.is_none() {
                return Ok(None);
            }
        }
        // Whoever has it open has looked.
        Locked::Held(_) => {}
    }
    read(&path).map(Some)
}

fn read(path: &Path) -> Result<Snapshot, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let damaged = |found: String| OpenError::Damaged { path: path.to_owned(), found };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(schema::PATIENCE).map_err(sqlite)?;
    // What is checked is what is read: both see the moment at which the transaction began.
    let transaction = connection.transaction().map_err(sqlite)?;
    if let Some(found) = schema::first_damage(&transaction).map_err(sqlite)? {
        return Err(damaged(found));
    }
    let map = |error| match error {
        ReadError::Sqlite(source) => sqlite(source),
        ReadError::Damaged { what, cause } => damaged(format!("{what}: {cause}")),
    };
    let head = writer::read_head(&transaction).map_err(map)?;
    let records = writer::read_records(&transaction).map_err(map)?;
    Ok(Snapshot { head, records, bytes: bytes(path)? })
}

/// The bytes of the database and of its log.
fn bytes(path: &Path) -> Result<u64, OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    let main = path.metadata().map_err(io(path))?.len();
    let log = inspect::wal_path(path);
    match log.metadata() {
        Ok(found) => Ok(main + found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(main),
        Err(error) => Err(io(&log)(error)),
    }
}

enum Locked {
    /// Locked until this is dropped, if there is a file to lock.
    Free(Option<File>),
    Held(Option<Holder>),
}

fn lock(folder: &Path) -> Result<Locked, OpenError> {
    let path: PathBuf = folder.join(LOCK_FILE);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Locked::Free(None)),
        Err(source) => return Err(OpenError::Io { path, source }),
    };
    match file.try_lock() {
        Ok(()) => Ok(Locked::Free(Some(file))),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            read.map_err(|source| OpenError::Io { path, source })?;
            Ok(Locked::Held(serde_json::from_str(&text).ok()))
        }
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Commit;
    use crate::embedded::{EmbeddedStore, Options};
    use crate::record::{Change, Json, Key};
    use crate::store::{Candidate, Store};

    async fn put(store: &EmbeddedStore, key: &str) -> crate::Leadership {
        let leadership = store.campaign(&Candidate::new("a", "a:1")).await.unwrap();
        let (head, _) = store.load(&leadership).await.unwrap();
        let record = Record { key: Key::parse(key).unwrap(), value: Json::empty_object() };
        let ledger = Json::parse("{\"n\":1}").unwrap();
        let commit = Commit::new(&leadership, ledger, vec![Change::Put(record)]).unwrap();
        store.commit(&leadership, &head, commit).await.unwrap();
        leadership
    }

    fn keys(snapshot: &Snapshot) -> Vec<&str> {
        snapshot.records.iter().map(|record| record.key.as_str()).collect()
    }

    #[tokio::test]
    async fn a_reader_sees_one_moment_and_nobody_is_deposed() {
        let folder = tempfile::TempDir::new().unwrap();
        assert!(snapshot(folder.path()).unwrap().is_none());
        let (store, _) = EmbeddedStore::open(folder.path(), Options::default()).unwrap();
        let leadership = put(&store, "a").await;
        let Use::Held(Some(holder)) = in_use(folder.path()).unwrap() else { panic!("it is open") };
        assert_eq!((holder.pid, holder.address.as_deref()), (std::process::id(), Some("a:1")));

        let seen = snapshot(folder.path()).unwrap().unwrap();
        let loaded = store.load(&leadership).await.unwrap();
        assert_eq!((seen.head, seen.records), loaded);
        store.renew(&leadership).await.unwrap();

        put(&store, "b").await;
        assert_eq!(keys(&snapshot(folder.path()).unwrap().unwrap()), ["a", "b"]);
        drop(store);
        assert_eq!(in_use(folder.path()).unwrap(), Use::Free);
        assert_eq!(keys(&snapshot(folder.path()).unwrap().unwrap()), ["a", "b"]);
        let (store, _) = EmbeddedStore::open(folder.path(), Options::default()).unwrap();
        put(&store, "c").await;
    }

    #[tokio::test]
    async fn a_file_that_was_cut_short_is_found_out() {
        let folder = tempfile::TempDir::new().unwrap();
        let (store, _) = EmbeddedStore::open(folder.path(), Options::default()).unwrap();
        put(&store, "a").await;
        drop(store);
        let path = folder.path().join(DATABASE_FILE);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(path.metadata().unwrap().len() - 100).unwrap();
        let error = snapshot(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    }
}
