//! What is recorded of every change, and how the entries chain.
//!
//! Each entry's hash covers the one before it, so that an altered, dropped or
//! inserted entry shows at the first place where it matters. Not here: where
//! entries are kept and exported.

use serde::{Deserialize, Serialize};

use crate::board::{Actor, Event, Now};
use crate::id::BoardTime;

/// Where a chain stands: enough to append to it, or to verify what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The last entry's number; 0 before the first.
    pub seq: u64,
    /// The last entry's hash.
    pub hash: String,
}

impl Anchor {
    /// Where every chain begins.
    #[must_use]
    pub fn genesis() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

/// One recorded event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number; numbers are dense.
    pub seq: u64,
    /// Board time.
    pub at: BoardTime,
    /// Wall time in milliseconds since 1970, for people.
    pub wall: u64,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub event: Event,
    /// blake3 of the entry before's hash and this entry's content.
    pub hash: String,
}

/// The part of an entry that its hash covers, beside the hash before it.
#[derive(Serialize)]
struct Content<'a> {
    seq: u64,
    at: BoardTime,
    wall: u64,
    actor: &'a Actor,
    event: &'a Event,
}

fn link(before: &str, content: &Content<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before.as_bytes());
    hasher.update(b"\n");
    match serde_json::to_vec(content) {
        Ok(bytes) => hasher.update(&bytes),
        Err(error) => unreachable!("events have string keys and finite numbers: {error}"),
    };
    hasher.finalize().to_hex().to_string()
}

/// Appends `events` to the chain that stands at `anchor`, and moves the anchor.
pub fn append(anchor: &mut Anchor, now: Now, actor: &Actor, events: Vec<Event>) -> Vec<Entry> {
    events
        .into_iter()
        .map(|event| {
            let seq = anchor.seq + 1;
            let content = Content { seq, at: now.board, wall: now.wall, actor, event: &event };
            let hash = link(&anchor.hash, &content);
            *anchor = Anchor { seq, hash: hash.clone() };
            Entry { seq, at: now.board, wall: now.wall, actor: actor.clone(), event, hash }
        })
        .collect()
}

/// A chain that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An entry is missing or out of order.
    #[error("audit entry {expected} is missing: found {found}")]
    Gap {
        /// The number that should come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// An entry's content is not what was hashed.
    #[error("audit entry {seq} was altered: its hash does not fit its content")]
    Altered {
        /// The entry.
        seq: u64,
    },
    /// The chain ends before or after where the store says.
    #[error("the audit ends at entry {found}, the store says {expected}")]
    End {
        /// Where the store's anchor stands.
        expected: u64,
        /// Where the entries end.
        found: u64,
    },
}

/// Verifies that `entries` continue the chain from `anchor`; returns where it then stands.
///
/// # Errors
///
/// The first entry that does not fit.
pub fn verify<'a>(
    mut anchor: Anchor,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<Anchor, Broken> {
    for entry in entries {
        if entry.seq != anchor.seq + 1 {
            return Err(Broken::Gap { expected: anchor.seq + 1, found: entry.seq });
        }
        let Entry { seq, at, wall, ref actor, ref event, .. } = *entry;
        let hash = link(&anchor.hash, &Content { seq, at, wall, actor, event });
        if hash != entry.hash {
            return Err(Broken::Altered { seq });
        }
        anchor = Anchor { seq, hash };
    }
    Ok(anchor)
}
