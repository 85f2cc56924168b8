//! What every commit moves on, and the format that says who may write.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::commit::Commit;
use crate::record::Json;

/// The format that this program writes into a fresh store. `FORMAT.written` is also the
/// program's own version wherever a format is compared with a program. What each of them is:
/// `docs/records.md`.
pub const FORMAT: Format = Format { written: 3, min_reader: 3, min_writer: 3 };

/// How the records are written, and how old a program may be that still handles them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The version that the records are written in.
    pub written: u32,
    /// The oldest program that reads them rightly.
    pub min_reader: u32,
    /// The oldest program that may lead, that is, write.
    pub min_writer: u32,
}

impl Format {
    /// Whether a program of version `program` may lead over records of this format.
    pub fn admits(self, program: u32) -> bool {
        program >= self.min_reader && program >= self.min_writer
    }

    /// This format, raised to `other` wherever that is higher. A format never falls.
    pub fn raised_to(self, other: Self) -> Self {
        Self {
            written: self.written.max(other.written),
            min_reader: self.min_reader.max(other.min_reader),
            min_writer: self.min_writer.max(other.min_writer),
        }
    }
}

/// What identifies one attempt to commit: the term of the leader who made it and its place among
/// that leader's attempts. Terms only grow, so no two attempts ever share an id, and a simulation
/// makes the same ids each time it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId {
    term: u64,
    serial: u64,
}

/// A text that is no commit id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("commit id `{text}` is not of the form `term-serial`")]
pub struct CommitIdError {
    text: String,
}

impl CommitId {
    /// The id of a fresh store's head, which no commit made.
    pub const ORIGIN: Self = Self { term: 0, serial: 0 };

    pub(crate) fn new(term: u64, serial: u64) -> Self {
        Self { term, serial }
    }

    /// The term of the leader who made it.
    pub fn term(self) -> u64 {
        self.term
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.serial)
    }
}

impl FromStr for CommitId {
    type Err = CommitIdError;

    fn from_str(text: &str) -> Result<Self, CommitIdError> {
        text.split_once('-')
            .and_then(|(term, serial)| {
                Some(Self { term: term.parse().ok()?, serial: serial.parse().ok()? })
            })
            .ok_or_else(|| CommitIdError { text: text.to_owned() })
    }
}

/// What every commit moves on. The store keeps one; every commit names the one it builds on by
/// `number` and `id`, and is refused if the store's is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many commits made the state, barriers included. A fresh store has 0.
    pub number: u64,
    /// The commit that made this head.
    pub id: CommitId,
    /// The format of the records.
    pub format: Format,
    /// What the writer keeps beside the records, such as board time and counters; opaque here.
    pub ledger: Json,
}

impl Head {
    /// The head of a fresh store.
    pub fn fresh() -> Self {
        Self { number: 0, id: CommitId::ORIGIN, format: FORMAT, ledger: Json::empty_object() }
    }

    /// Whether `other` is the same point of the same history.
    pub fn is_at(&self, other: &Self) -> bool {
        self.number == other.number && self.id == other.id
    }

    /// The head that `commit` makes of this one: the next number, never a lower format.
    pub fn after(&self, commit: &Commit) -> Self {
        Self {
            number: self.number + 1,
            id: commit.id(),
            format: commit.format().map_or(self.format, |format| self.format.raised_to(format)),
            ledger: commit.ledger().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_ids_read_back_as_written() {
        let id = CommitId::new(7, 42);
        assert_eq!(id.to_string(), "7-42");
        assert_eq!("7-42".parse(), Ok(id));
        for bad in ["", "7", "7-", "-42", "7-x", "7-42-1"] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad:?} was taken as an id");
        }
    }

    #[test]
    fn a_format_admits_by_both_floors_and_never_falls() {
        let format = Format { written: 3, min_reader: 1, min_writer: 2 };
        assert!(!format.admits(1));
        assert!(format.admits(2));
        let lower = Format { written: 1, min_reader: 2, min_writer: 1 };
        assert_eq!(format.raised_to(lower), Format { written: 3, min_reader: 2, min_writer: 2 });
    }
}
