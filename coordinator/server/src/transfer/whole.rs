//! Everything that a store held at one moment, verified.

use std::collections::BTreeMap;

use molt_domain::audit::Anchor;
use molt_domain::board::{Board, Ledger};
use molt_domain::policy::Spans;
use molt_store::{Head, Json, Key, Record};

use super::TransferError;
use crate::engine::{self, Mark, OpenError, Said, Sound};

/// Everything that a store held at one moment. Every record reads, and the audit ends where the
/// ledger says.
#[derive(Debug)]
pub struct Whole {
    /// The last commit.
    pub(super) head: Head,
    /// The ledger, also where a mark stands in the head's place for it.
    pub(super) ledger: Ledger,
    /// Every record, as it is stored.
    pub(super) records: BTreeMap<Key, Json>,
    /// The board that they make.
    pub(super) board: Board,
    /// How far the audit is sealed in files.
    pub(super) sealed: Anchor,
    /// Where the records live on, if they have moved.
    pub(super) moved: Option<String>,
}

impl Whole {
    /// Verifies what was read at `place`.
    ///
    /// # Errors
    ///
    /// The store is not filled yet, a record does not read, or the audit does not hold.
    pub fn verify(
        place: &str,
        head: Head,
        records: Vec<Record>,
        spans: Spans,
    ) -> Result<Self, TransferError> {
        let unsound = |source: OpenError| {
            let place = place.to_owned();
            TransferError::Unsound { place, source: Box::new(source) }
        };
        let (ledger, moved) = match engine::read_ledger(&head).map_err(unsound)? {
            Said::Board(ledger) => (ledger, None),
            Said::Marked(Mark::Moved { moved, ledger }) => (ledger, Some(moved)),
            Said::Marked(Mark::Unfinished { unfinished }) => {
                return Err(unsound(OpenError::Unfinished { what: unfinished }));
            }
        };
        let kept = as_map(&records);
        let Sound { records, sealed, .. } =
            engine::verify(&head, &ledger, records).map_err(unsound)?;
        let board = Board::recover(spans, ledger.clone(), records);
        Ok(Self { head, ledger, records: kept, board, sealed, moved })
    }

    /// The number of the last commit.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.head.number
    }

    /// Where the records live on, if they have moved.
    #[must_use]
    pub fn moved(&self) -> Option<&str> {
        self.moved.as_deref()
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many entries the audit has.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.ledger.audit.seq
    }

    /// How far the audit is sealed in files.
    #[must_use]
    pub fn sealed(&self) -> &Anchor {
        &self.sealed
    }

    /// The digest of the board, as a coordinator tells it.
    #[must_use]
    pub fn digest(&self) -> String {
        self.board.digest()
    }

    /// What tells these contents from all others: records and ledger, audit included.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (key, value) in &self.records {
            for part in [key.as_str(), value.as_str()] {
                // Nothing in a part ends it, so no two lists of parts look alike.
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        let Ledger { time, epoch, counter, audit } = &self.ledger;
        hasher.update(format!("{} {epoch} {counter} {}", time.0, audit.hash).as_bytes());
        hasher.finalize().to_hex()[..16].to_owned()
    }

    /// The contents in one line.
    #[must_use]
    pub fn figures(&self) -> String {
        let tables = self.board.tables();
        let held = tables.claims.values().filter(|claim| claim.is_held()).count();
        format!(
            "{} records: {} sessions, {held} claims held, {} tasks, {} cars, {} audit entries",
            self.len(),
            tables.sessions.len(),
            tables.tasks.len(),
            tables.cars.len(),
            self.entries()
        )
    }
}

/// Records by their keys.
pub(super) fn as_map(records: &[Record]) -> BTreeMap<Key, Json> {
    records.iter().map(|record| (record.key.clone(), record.value.clone())).collect()
}
