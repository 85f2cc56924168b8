//! One batch of changes, checked against the limits when it is built.
//!
//! The limits are the same for every backend, so that a fleet can move from one to another. They
//! leave room below etcd's defaults: 128 operations and 1.5 MiB in one transaction.

use std::collections::HashSet;

use thiserror::Error;

use crate::head::{CommitId, Format, Head};
use crate::record::{Change, Json, Key};
use crate::store::Leadership;

/// The most changes in one commit.
pub const MAX_CHANGES: usize = 120;
/// The longest value, and the longest ledger, in bytes: a repository's policy with a few thousand
/// scopes. Every other record stays below 32 KiB by the rules of the board.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;
/// The most bytes in all keys, values and the ledger of one commit.
pub const MAX_COMMIT_BYTES: usize = 1024 * 1024;

/// A batch of changes that is applied whole or not at all, with the ledger that goes with it.
/// Whatever has this type is within the limits and changes no key twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    id: CommitId,
    ledger: Json,
    changes: Vec<Change>,
    format: Option<Format>,
}

/// Why a batch cannot be a commit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejected {
    /// It has too many changes.
    #[error("{found} changes are more than the {MAX_CHANGES} of one commit")]
    TooManyChanges {
        /// How many it has.
        found: usize,
    },
    /// Two changes are of the same key.
    #[error("key `{key}` changes twice in one commit")]
    DuplicateKey {
        /// The key.
        key: Key,
    },
    /// A value is too long.
    #[error("value of `{key}` has {bytes} bytes, more than {MAX_VALUE_BYTES}")]
    ValueTooLarge {
        /// Whose value.
        key: Key,
        /// Its bytes.
        bytes: usize,
    },
    /// The ledger is too long.
    #[error("ledger has {bytes} bytes, more than {MAX_VALUE_BYTES}")]
    LedgerTooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// Everything together is too long.
    #[error("commit has {bytes} bytes, more than {MAX_COMMIT_BYTES}")]
    CommitTooLarge {
        /// Its bytes.
        bytes: usize,
    },
}

impl Commit {
    /// A commit of `changes` by the leader, who wants `ledger` in the head from then on. Each
    /// call makes a new id: a commit that is tried again after a settled loss is another commit.
    ///
    /// # Errors
    ///
    /// Fails if a limit is passed or a key changes twice.
    pub fn new(
        leadership: &Leadership,
        ledger: Json,
        changes: Vec<Change>,
    ) -> Result<Self, Rejected> {
        check(&ledger, &changes)?;
        Ok(Self { id: leadership.next_commit_id(), ledger, changes, format: None })
    }

    /// A commit that changes nothing but the head's number and id: whatever was still under way
    /// on `expected` can never apply after it.
    pub fn barrier(leadership: &Leadership, expected: &Head) -> Self {
        Self {
            id: leadership.next_commit_id(),
            ledger: expected.ledger.clone(),
            changes: Vec::new(),
            format: None,
        }
    }

    /// The same commit, which also raises the head's format. Parts that are not higher than the
    /// head's change nothing.
    #[must_use]
    pub fn raising_format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// What identifies this attempt.
    pub fn id(&self) -> CommitId {
        self.id
    }

    /// The ledger after this commit.
    pub fn ledger(&self) -> &Json {
        &self.ledger
    }

    /// The changes, each of another key.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The format to raise to, if any.
    pub fn format(&self) -> Option<Format> {
        self.format
    }
}

fn check(ledger: &Json, changes: &[Change]) -> Result<(), Rejected> {
    if changes.len() > MAX_CHANGES {
        return Err(Rejected::TooManyChanges { found: changes.len() });
    }
    let ledger_bytes = ledger.as_str().len();
    if ledger_bytes > MAX_VALUE_BYTES {
        return Err(Rejected::LedgerTooLarge { bytes: ledger_bytes });
    }
    let mut seen = HashSet::with_capacity(changes.len());
    let mut total = ledger_bytes;
    for change in changes {
        let key = change.key();
        if !seen.insert(key) {
            return Err(Rejected::DuplicateKey { key: key.clone() });
        }
        if let Change::Put(record) = change {
            let bytes = record.value.as_str().len();
            if bytes > MAX_VALUE_BYTES {
                return Err(Rejected::ValueTooLarge { key: key.clone(), bytes });
            }
        }
        total += change.bytes();
    }
    if total > MAX_COMMIT_BYTES {
        return Err(Rejected::CommitTooLarge { bytes: total });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    fn put(key: String, bytes: usize) -> Change {
        let value = Json::parse(format!("\"{}\"", "x".repeat(bytes - 2))).unwrap();
        Change::Put(Record { key: Key::parse(key).unwrap(), value })
    }

    fn built(changes: Vec<Change>) -> Result<Commit, Rejected> {
        Commit::new(&Leadership::new(1), Json::empty_object(), changes)
    }

    #[test]
    fn a_key_changes_once() {
        let key = Key::parse("a").unwrap();
        let twice = vec![put("a".into(), 2), Change::Delete { key: key.clone() }];
        assert_eq!(built(twice), Err(Rejected::DuplicateKey { key }));
    }

    #[test]
    fn each_limit_holds_at_its_edge() {
        let many = |n: usize| (0..n).map(|i| put(format!("k/{i}"), 2)).collect();
        assert!(built(many(MAX_CHANGES)).is_ok());
        let found = MAX_CHANGES + 1;
        assert_eq!(built(many(found)), Err(Rejected::TooManyChanges { found }));

        assert!(built(vec![put("a".into(), MAX_VALUE_BYTES)]).is_ok());
        let bytes = MAX_VALUE_BYTES + 1;
        let key = Key::parse("a").unwrap();
        assert_eq!(
            built(vec![put("a".into(), bytes)]),
            Err(Rejected::ValueTooLarge { key, bytes })
        );

        // Full values, and one that fills the rest to the byte: ledger 2, keys 4 each.
        let full = MAX_COMMIT_BYTES / MAX_VALUE_BYTES - 1;
        let filled = |rest: usize| {
            let mut changes: Vec<_> =
                (10..10 + full).map(|i| put(format!("k/{i}"), MAX_VALUE_BYTES)).collect();
            changes.push(put("k/99".into(), rest));
            built(changes)
        };
        let rest = MAX_COMMIT_BYTES - full * MAX_VALUE_BYTES - (full + 1) * 4 - 2;
        assert!(filled(rest).is_ok());
        let bytes = MAX_COMMIT_BYTES + 1;
        assert_eq!(filled(rest + 1), Err(Rejected::CommitTooLarge { bytes }));

        let bytes = MAX_VALUE_BYTES + 1;
        let ledger = Json::parse(format!("\"{}\"", "x".repeat(bytes - 2))).unwrap();
        let found = Commit::new(&Leadership::new(1), ledger, Vec::new());
        assert_eq!(found, Err(Rejected::LedgerTooLarge { bytes }));
    }
}
