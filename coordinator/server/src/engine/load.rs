//! Taking the lead: everything is read, and believed only after it verified.

use std::collections::BTreeSet;

use molt_domain::audit::{self, Anchor, Broken, Entry};
use molt_domain::board::{Change, Ledger, Unreadable};
use molt_store::{Candidate, Head, Json, Key, Leadership, Record, Store};
use tracing::warn;

use super::answers::{Answers, Reading};
use super::history::{Journal, SEAL};
use super::mark::{self, Mark, Said};

/// Why the lead could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store says no.
    #[error("cannot take the lead")]
    Campaign(#[from] molt_store::CampaignError),
    /// The records are not to be had.
    #[error("cannot load the records")]
    Load(#[from] molt_store::LoadError),
    /// The store is being filled.
    #[error("not all records are there: the {what} has not ended; run it again")]
    Unfinished {
        /// What fills it.
        what: String,
    },
    /// The records are served from elsewhere.
    #[error("the records moved {to}: serve them from there")]
    Moved {
        /// Where to.
        to: String,
    },
    /// A record does not read.
    #[error("a stored record does not read")]
    Record(#[from] Unreadable),
    /// The ledger or the audit does not read.
    #[error("stored `{key}` does not read")]
    Json {
        /// What.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The audit chain does not hold.
    #[error("the audit does not verify at revision {revision}")]
    Audit {
        /// The store's revision.
        revision: u64,
        /// Where it breaks.
        #[source]
        source: Broken,
    },
}

/// What was found.
pub(super) struct Loaded {
    pub(super) leadership: Leadership,
    pub(super) head: Head,
    pub(super) ledger: Ledger,
    pub(super) records: Vec<Change>,
    pub(super) answers: Answers,
    pub(super) journal: Journal,
}

/// What stored records say, once they have verified.
#[derive(Debug)]
pub(crate) struct Sound {
    /// The records of the board.
    pub(crate) records: Vec<Change>,
    /// Where its answers stand.
    pub(super) answers: Answers,
    /// How far the audit is sealed in files.
    pub(crate) sealed: Anchor,
    /// The audit's records, in order.
    pub(crate) audit: Vec<(Key, Vec<Entry>)>,
}

pub(super) async fn load(store: &dyn Store, candidate: &Candidate) -> Result<Loaded, OpenError> {
    let leadership = store.campaign(candidate).await?;
    let (head, stored) = store.load(&leadership).await?;
    let ledger = match board_of(&head) {
        Ok(ledger) => ledger,
        Err(error) => {
            // Whoever fills the store, or looks after it, need not wait for this one's ttl.
            if let Err(error) = store.resign(&leadership).await {
                warn!(phase = "lead", %error, "the lead could not be given back");
            }
            return Err(error);
        }
    };
    let Sound { records, answers, sealed, audit } = verify(&head, &ledger, stored)?;
    let journal = Journal::new(sealed.seq, audit);
    Ok(Loaded { leadership, head, ledger, records, answers, journal })
}

/// The ledger of a store that may be served.
fn board_of(head: &Head) -> Result<Ledger, OpenError> {
    match read_ledger(head)? {
        Said::Board(ledger) => Ok(ledger),
        Said::Marked(Mark::Unfinished { unfinished }) => {
            Err(OpenError::Unfinished { what: unfinished })
        }
        Said::Marked(Mark::Moved { moved, .. }) => Err(OpenError::Moved { to: moved }),
    }
}

/// What the head says of the store.
///
/// # Errors
///
/// It does not read.
pub(crate) fn read_ledger(head: &Head) -> Result<Said, OpenError> {
    let key = || "head".to_owned();
    mark::said(&head.ledger).map_err(|source| OpenError::Json { key: key(), source })
}

/// Reads every record, and verifies that the audit ends where `ledger` says.
///
/// # Errors
///
/// A record does not read, or the audit does not hold.
pub(crate) fn verify(
    head: &Head,
    ledger: &Ledger,
    stored: Vec<Record>,
) -> Result<Sound, OpenError> {
    let (mut records, mut answers) = (Vec::new(), Reading::default());
    let mut sessions = BTreeSet::new();
    let mut found: Vec<(Key, Vec<Entry>)> = Vec::new();
    let mut sealed = Anchor::genesis();
    for record in stored {
        let key = record.key.as_str();
        if key == SEAL {
            sealed = decode(key, &record.value)?;
        } else if key.starts_with("audit/") {
            let entries: Vec<Entry> = decode(key, &record.value)?;
            found.push((record.key, entries));
        } else if !answers.page(&record)? {
            match Change::read(key, record.value.as_str().as_bytes())? {
                Change::Answer(key, Some(answer)) => answers.single(key, answer),
                change => {
                    if let Change::Session(id, _) = &change {
                        sessions.insert(*id);
                    }
                    records.push(change);
                }
            }
        }
    }
    let (answers, answered) = answers.end(&sessions);
    records.extend(answered);
    let revision = head.number;
    let entries = found.iter().flat_map(|(_, entries)| entries);
    audit::verify(sealed.clone(), entries)
        .and_then(|end| {
            if end == ledger.audit {
                return Ok(());
            }
            Err(Broken::End { expected: ledger.audit.seq, found: end.seq })
        })
        .map_err(|source| OpenError::Audit { revision, source })?;
    Ok(Sound { records, answers, sealed, audit: found })
}

fn decode<T: serde::de::DeserializeOwned>(key: &str, value: &Json) -> Result<T, OpenError> {
    value.decode().map_err(|source| OpenError::Json { key: key.to_owned(), source })
}
