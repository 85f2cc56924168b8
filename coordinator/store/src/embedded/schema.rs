//! Makes a fresh file, opens an old one.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use super::{DATABASE_FILE, OpenError, Options, Tail, inspect};
use crate::head::Head;

/// What the file's header says about whose it is: "MOLT".
pub(super) const APPLICATION: u32 = 0x4d4f_4c54;
/// The newest layout of the tables below that this program handles.
pub(super) const LAYOUT: u32 = 1;

const PAGE_BYTES: u64 = 4096;

/// How long a file that is locked is waited for: a person who reads it may hold it for a moment.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

const TABLES: &str = "
    CREATE TABLE head (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        number INTEGER NOT NULL,
        id TEXT NOT NULL,
        written INTEGER NOT NULL,
        min_reader INTEGER NOT NULL,
        min_writer INTEGER NOT NULL,
        ledger TEXT NOT NULL
    ) STRICT;
    CREATE TABLE leader (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        term INTEGER NOT NULL,
        name TEXT NOT NULL,
        address TEXT NOT NULL
    ) STRICT;
    CREATE TABLE record (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO leader VALUES (1, 0, '', '');
";

/// Opens the database in `folder` for writing, making it first if there is none.
pub(super) fn open(folder: &Path, options: Options) -> Result<(Connection, Tail), OpenError> {
    let path = folder.join(DATABASE_FILE);
    let tail = match inspect::inspect(&path)? {
        Some(tail) => tail,
        None => {
            create(folder, &path)?;
            Tail::Clean
        }
    };
    let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(sqlite)?;
    // A file that is refused is left as it is, so its log is not moved into it on the way out.
    let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(keep_log, true).map_err(sqlite)?;
    if let Some(found) = first_damage(&connection).map_err(sqlite)? {
        return Err(OpenError::Damaged { path, found });
    }
    configure(&connection, options).map_err(sqlite)?;
    connection.set_db_config(keep_log, false).map_err(sqlite)?;
    Ok((connection, tail))
}

/// Makes a whole fresh database under another name and moves it into place, so that a crash
/// leaves either none or a whole one.
fn create(folder: &Path, path: &Path) -> Result<(), OpenError> {
    let draft = folder.join(format!("{DATABASE_FILE}.new"));
    let io = |source| OpenError::Io { path: draft.clone(), source };
    let sqlite = |source| OpenError::Sqlite { path: draft.clone(), source };
    for leftover in ["", "-journal", "-wal", "-shm"] {
        match fs::remove_file(folder.join(format!("{DATABASE_FILE}.new{leftover}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
    }
    fill(&draft).map_err(sqlite)?;
    File::open(&draft).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&draft, path).map_err(io)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

fn fill(draft: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(draft)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed())?;
    // The mode is kept in the file, so that it is never written in another one.
    set_wal(&connection)?;
    let fresh = Head::fresh();
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO head VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            fresh.number.cast_signed(),
            fresh.id.to_string(),
            fresh.format.written,
            fresh.format.min_reader,
            fresh.format.min_writer,
            fresh.ledger.as_str(),
        ],
    )?;
    transaction.commit()?;
    // Closing the only connection moves the log into the file and removes it.
    connection.close().map_err(|(_connection, error)| error)
}

fn set_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode == "wal" {
        Ok(())
    } else {
        // Happens on file systems without shared memory, where SQLite keeps the old mode.
        Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_SHMOPEN),
            Some(format!("journal mode is `{mode}`, but a write-ahead log is needed")),
        ))
    }
}

fn configure(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    set_wal(connection)?;
    // Each commit is on the disk before it is acknowledged. On macOS only a full sync is one;
    // elsewhere the two pragmas change nothing.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update_and_check(
        None,
        "wal_autocheckpoint",
        options.checkpoint_pages,
        |_| Ok(()),
    )?;
    // SQLite counts pages in 32 bits less two.
    let pages = (options.max_bytes / PAGE_BYTES).clamp(1, u64::from(u32::MAX - 1));
    connection.pragma_update_and_check(None, "max_page_count", pages.cast_signed(), |_| Ok(()))
}

/// The first thing that SQLite finds wrong with the file's structure.
pub(super) fn first_damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(found) => Ok(Some(found).filter(|found| found != "ok")),
        // Damage that keeps SQLite from looking at all.
        Err(rusqlite::Error::SqliteFailure(error, what))
            if matches!(
                error.code,
                rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase
            ) =>
        {
            Ok(Some(what.unwrap_or_else(|| error.to_string())))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_is_synced_to_the_disk() {
        let folder = tempfile::TempDir::new().unwrap();
        let (connection, _) = open(folder.path(), Options::default()).unwrap();
        let setting = |name: &str| -> i64 {
            connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
        };
        // In SQLite's numbers, 2 is FULL: the log is synced at each commit.
        assert_eq!(setting("synchronous"), 2);
        assert_eq!(setting("fullfsync"), 1);
        assert_eq!(setting("checkpoint_fullfsync"), 1);
        let pages = i64::from(Options::default().checkpoint_pages);
        assert_eq!(setting("wal_autocheckpoint"), pages);
        let mode: String =
            connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
}
