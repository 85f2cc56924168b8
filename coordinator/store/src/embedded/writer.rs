//! The connection and its transactions.

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, TransactionBehavior, params};

use super::lock::FolderLock;
use crate::commit::Commit;
use crate::head::{CommitId, Format, Head};
use crate::record::{Change, Json, Key, Record};
use crate::store::{
    CampaignError, Candidate, Cause, CommitError, Leadership, LoadError, TenureError,
};

/// A commit with both of its compares.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) term: u64,
    pub(super) from_number: u64,
    pub(super) from_id: CommitId,
    /// The head if the compares hold.
    pub(super) next: Head,
    pub(super) commit: Commit,
}

/// The one who writes. The lock goes when the connection is closed, not before: fields are
/// dropped in this order.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    lock: FolderLock,
}

/// Both compares and the step of the head in one statement.
const MOVE_HEAD: &str = "
    UPDATE head
    SET number = ?1, id = ?2, written = ?3, min_reader = ?4, min_writer = ?5, ledger = ?6
    WHERE number = ?7 AND id = ?8 AND (SELECT term FROM leader) = ?9";
const READ_HEAD: &str = "SELECT number, id, written, min_reader, min_writer, ledger FROM head";
const READ_TERM: &str = "SELECT term FROM leader";
const TAKE_LEAD: &str =
    "UPDATE leader SET term = max(term, ?3) + 1, name = ?1, address = ?2 RETURNING term";
const LEAVE_LEAD: &str = "UPDATE leader SET term = term + 1 WHERE term = ?1";
const READ_RECORDS: &str = "SELECT key, value FROM record ORDER BY key";
const PUT: &str = "
    INSERT INTO record (key, value) VALUES (?1, ?2)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM record WHERE key = ?1";

impl Writer {
    /// Takes over `connection`; answers the head's number too.
    pub(super) fn new(connection: Connection, lock: FolderLock) -> rusqlite::Result<(Self, u64)> {
        let number: i64 = connection.query_row("SELECT number FROM head", [], |row| row.get(0))?;
        Ok((Self { connection, lock }, number.cast_unsigned()))
    }

    pub(super) fn campaign(&mut self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        let unavailable = |error: rusqlite::Error| CampaignError::Unavailable(error.into());
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(unavailable)?;
        let format = read_head(&transaction)
            .map_err(|error| match error {
                ReadError::Sqlite(error) => unavailable(error),
                ReadError::Damaged { what, cause } => CampaignError::Damaged { what, cause },
            })?
            .format;
        if !format.admits(candidate.program) {
            return Err(CampaignError::Format { program: candidate.program, format });
        }
        let term: i64 = transaction
            .query_row(
                TAKE_LEAD,
                params![candidate.name, candidate.address, candidate.above.cast_signed()],
                |row| row.get(0),
            )
            .map_err(unavailable)?;
        transaction.commit().map_err(unavailable)?;
        if let Err(error) = self.lock.set_address(&candidate.address) {
            // The lock itself holds; only what it tells people is old.
            tracing::warn!(%error, "cannot write the leader's address into the lock file");
        }
        Ok(Leadership::new(term.cast_unsigned()))
    }

    /// Whether `term` is still the leader's.
    pub(super) fn holds(&mut self, term: u64) -> Result<(), TenureError> {
        match read_term(&self.connection) {
            Ok(found) if found == term => Ok(()),
            Ok(_) => Err(TenureError::Deposed { term }),
            Err(error) => Err(TenureError::Unavailable(error.into())),
        }
    }

    /// Ends the leadership of `term`.
    pub(super) fn resign(&mut self, term: u64) -> Result<(), TenureError> {
        match self.connection.execute(LEAVE_LEAD, [term.cast_signed()]) {
            Ok(0) => Err(TenureError::Deposed { term }),
            Ok(_) => Ok(()),
            Err(error) => Err(TenureError::Unavailable(error.into())),
        }
    }

    pub(super) fn load(&mut self, term: u64) -> Result<(Head, Vec<Record>), LoadError> {
        let map = |error| match error {
            ReadError::Sqlite(error) if is_damage(&error) => {
                LoadError::Damaged { what: "the database".to_owned(), cause: error.into() }
            }
            ReadError::Sqlite(error) => LoadError::Unavailable(error.into()),
            ReadError::Damaged { what, cause } => LoadError::Damaged { what, cause },
        };
        // A read transaction, so that head and records are of one moment.
        let transaction = self.connection.transaction().map_err(|e| map(e.into()))?;
        if read_term(&transaction).map_err(|e| map(e.into()))? != term {
            return Err(LoadError::Deposed { term });
        }
        let head = read_head(&transaction).map_err(map)?;
        let records = read_records(&transaction).map_err(map)?;
        Ok((head, records))
    }

    pub(super) fn commit(&mut self, step: Step) -> Result<Head, CommitError> {
        let Step { term, from_number, from_id, next, commit } = step;
        // Until the transaction is committed, an error rolls it back and nothing has happened.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(unavailable)?;
        let moved = transaction
            .prepare_cached(MOVE_HEAD)
            .and_then(|mut statement| {
                statement.execute(params![
                    next.number.cast_signed(),
                    next.id.to_string(),
                    next.format.written,
                    next.format.min_reader,
                    next.format.min_writer,
                    next.ledger.as_str(),
                    from_number.cast_signed(),
                    from_id.to_string(),
                    term.cast_signed(),
                ])
            })
            .map_err(unavailable)?;
        if moved == 0 {
            return Err(refusal(&transaction, term));
        }
        apply(&transaction, commit.changes()).map_err(unavailable)?;
        transaction.commit().map_err(unacknowledged)?;
        Ok(next)
    }
}

fn apply(connection: &Connection, changes: &[Change]) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(PUT)?;
    let mut delete = connection.prepare_cached(DELETE)?;
    for change in changes {
        match change {
            Change::Put(Record { key, value }) => put.execute([key.as_str(), value.as_str()])?,
            Change::Delete { key } => delete.execute([key.as_str()])?,
        };
    }
    Ok(())
}

/// Which of the two compares failed.
fn refusal(connection: &Connection, term: u64) -> CommitError {
    match read_term(connection) {
        Ok(found) if found != term => CommitError::Deposed { term },
        Ok(_same) => match read_head(connection) {
            Ok(head) => CommitError::Moved { head },
            Err(ReadError::Sqlite(error)) => unavailable(error),
            Err(ReadError::Damaged { cause, .. }) => CommitError::Unavailable(cause),
        },
        Err(error) => unavailable(error),
    }
}

fn unavailable(error: rusqlite::Error) -> CommitError {
    CommitError::Unavailable(error.into())
}

/// What an error of `COMMIT` itself means. A full disk or a locked file shows before the frame
/// that ends the commit is whole. After any other error that frame may be on the disk although
/// it is not in force: a crash right now would bring it to life, the next commit overwrites it.
fn unacknowledged(error: rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            CommitError::Unavailable(error.into())
        }
        _ => CommitError::Unknown(error.into()),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Why something was not read.
pub(super) enum ReadError {
    Sqlite(rusqlite::Error),
    Damaged { what: String, cause: Cause },
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl ReadError {
    fn damaged(what: impl Into<String>) -> impl FnOnce(Cause) -> Self {
        move |cause| Self::Damaged { what: what.into(), cause }
    }
}

fn read_term(connection: &Connection) -> rusqlite::Result<u64> {
    let term: i64 = connection.prepare_cached(READ_TERM)?.query_row([], |row| row.get(0))?;
    Ok(term.cast_unsigned())
}

pub(super) fn read_head(connection: &Connection) -> Result<Head, ReadError> {
    let mut statement = connection.prepare_cached(READ_HEAD)?;
    let row = statement.query_row([], HeadRow::read).optional()?.ok_or_else(|| {
        ReadError::Damaged { what: "the head".to_owned(), cause: "it is not there".into() }
    })?;
    let id = row.id.parse::<CommitId>();
    let id = id.map_err(|error| ReadError::damaged("the head's id")(error.into()))?;
    let ledger = Json::parse(row.ledger);
    let ledger = ledger.map_err(|error| ReadError::damaged("the ledger")(error.into()))?;
    Ok(Head { number: row.number.cast_unsigned(), id, format: row.format, ledger })
}

struct HeadRow {
    number: i64,
    id: String,
    format: Format,
    ledger: String,
}

impl HeadRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            id: row.get(1)?,
            format: Format {
                written: row.get(2)?,
                min_reader: row.get(3)?,
                min_writer: row.get(4)?,
            },
            ledger: row.get(5)?,
        })
    }
}

pub(super) fn read_records(connection: &Connection) -> Result<Vec<Record>, ReadError> {
    let mut statement = connection.prepare_cached(READ_RECORDS)?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let what = || format!("the key {text:?}");
        let key =
            Key::parse(text.clone()).map_err(|error| ReadError::damaged(what())(error.into()))?;
        let value = Json::parse(row.get::<_, String>(1)?)
            .map_err(|error| ReadError::damaged(format!("record `{key}`"))(error.into()))?;
        records.push(Record { key, value });
    }
    Ok(records)
}
