//! The file of a backup: text, one JSON document a line.
//!
//! ```text
//! {"molt-backup":1,"fleet":"main","revision":48213,…}    what follows, and how much of it
//! {"entry":{…}}                                          the audit's sealed entries, in order
//! {"key":"claim/clm_0001","value":{…}}                   every record, sorted by key
//! {"blake3":"…"}                                         the digest of all lines before
//! ```
//!
//! A file is believed whole or not at all: it has as many lines as its first one says, and the
//! digest of the last. Not here: whether the records make a board ([`super::whole`]).

mod read;
mod write;

use std::path::PathBuf;

use molt_domain::audit::Entry;
use molt_domain::board::Ledger;
use molt_store::{Format, Json, Key, Record};
use serde::{Deserialize, Serialize};

pub use read::{Archive, read};
pub use write::write;

/// The version of the file that this program writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

/// The longest line: a record of the largest size, with room for its key.
const MAX_LINE: usize = 1 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the file.
    #[serde(rename = "molt-backup")]
    pub version: u32,
    /// Whose records they are.
    pub fleet: String,
    /// The number of the commit that they were read at.
    pub revision: u64,
    /// That commit.
    pub commit: String,
    /// The format of the records.
    pub store: Format,
    /// Where board time, ids, fences and the audit stand.
    pub ledger: Ledger,
    /// How many entries of the audit follow that are in no record.
    pub sealed: u64,
    /// How many records follow.
    pub records: u64,
    /// Wall time in milliseconds since 1970 when the backup was made, for people.
    pub made: u64,
    /// The version of the program that made it.
    pub program: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    blake3: String,
}

/// An entry's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine<E> {
    entry: E,
}

/// Why a backup is not believed.
#[derive(Debug, thiserror::Error)]
#[error("backup {}, line {line}", path.display())]
pub struct ArchiveError {
    /// The file.
    pub path: PathBuf,
    /// The line; the first is 1.
    pub line: u64,
    /// What is wrong there.
    #[source]
    pub fault: Fault,
}

/// What is wrong with a line of a backup.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[source] std::io::Error),
    /// The file ends there.
    #[error("the file was cut short: {0}")]
    Cut(&'static str),
    /// It is longer than any that was ever written.
    #[error("it has more than {MAX_LINE} bytes")]
    TooLong,
    /// It is not the first line of a backup.
    #[error("it is not the first line of a backup")]
    NoBackup,
    /// A newer program wrote it.
    #[error("the backup is of version {found}, newer than {VERSION}: use a newer program")]
    Newer {
        /// The version.
        found: u64,
    },
    /// It does not read.
    #[error("it is no {what}")]
    Line {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        #[source]
        cause: molt_store::Cause,
    },
    /// Keys are sorted, and each is there once.
    #[error("key `{key}` comes after `{before}`")]
    Order {
        /// The key.
        key: Key,
        /// The one before.
        before: Key,
    },
    /// What was read is not what was written.
    #[error("the digest is {found}, but the lines before have {expected}: the file was altered")]
    Digest {
        /// What the file says.
        found: String,
        /// What it should say.
        expected: String,
    },
    /// Something follows.
    #[error("it follows the end")]
    Behind,
}

const KEY: &str = "{\"key\":";
const VALUE: &str = ",\"value\":";

/// A record as a line, its value as it is.
fn record_line(record: &Record) -> Result<String, serde_json::Error> {
    let key = serde_json::to_string(record.key.as_str())?;
    // Between the parts of a document a line's end means nothing, and within them it is escaped.
    let value = record.value.as_str().replace('\n', " ");
    Ok(format!("{KEY}{key}{VALUE}{value}}}"))
}

/// Reads what [`record_line`] wrote.
fn read_record(line: &str) -> Result<Record, molt_store::Cause> {
    let rest = line.strip_prefix(KEY).ok_or("it does not begin with a key")?;
    let mut keys = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let key = keys.next().ok_or("it ends before its key")??;
    let rest = rest.get(keys.byte_offset()..).unwrap_or_default();
    let value = rest.strip_prefix(VALUE).ok_or("no value follows the key")?;
    let value = value.strip_suffix('}').ok_or("it ends before its value does")?;
    Ok(Record { key: Key::parse(key)?, value: Json::parse(value)? })
}

/// An entry as a line.
fn entry_line(entry: &Entry) -> Result<String, serde_json::Error> {
    serde_json::to_string(&EntryLine { entry })
}

#[cfg(test)]
mod tests;
