//! Taking the lead: everything is read, and believed only after it verified.

use molt_domain::audit::{self, Anchor, Broken, Entry};
use molt_domain::board::{Change, Ledger, Unreadable};
use molt_store::{Candidate, Head, Json, Leadership, Store};

use super::history::{Journal, SEAL};

/// Why the lead could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store says no.
    #[error("cannot take the lead")]
    Campaign(#[from] molt_store::CampaignError),
    /// The records are not to be had.
    #[error("cannot load the records")]
    Load(#[from] molt_store::LoadError),
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
    pub(super) journal: Journal,
}

pub(super) async fn load(store: &dyn Store, candidate: &Candidate) -> Result<Loaded, OpenError> {
    let leadership = store.campaign(candidate).await?;
    let (head, stored) = store.load(&leadership).await?;
    let ledger: Ledger = if head.ledger == Json::empty_object() {
        Ledger::default()
    } else {
        decode("head", &head.ledger)?
    };
    let mut records = Vec::new();
    let mut found = Vec::new();
    let mut anchor = Anchor::genesis();
    for record in stored {
        let key = record.key.as_str();
        if key == SEAL {
            anchor = decode(key, &record.value)?;
        } else if key.starts_with("audit/") {
            let entries: Vec<Entry> = decode(key, &record.value)?;
            found.push((record.key, entries));
        } else {
            records.push(Change::read(key, record.value.as_str().as_bytes())?);
        }
    }
    let (revision, sealed) = (head.number, anchor.seq);
    let entries = found.iter().flat_map(|(_, entries)| entries);
    let end = audit::verify(anchor, entries)
        .and_then(|end| {
            if end == ledger.audit {
                return Ok(end);
            }
            Err(Broken::End { expected: ledger.audit.seq, found: end.seq })
        })
        .map_err(|source| OpenError::Audit { revision, source })?;
    debug_assert_eq!(end, ledger.audit, "checked above");
    Ok(Loaded { leadership, head, ledger, records, journal: Journal::new(sealed, found) })
}

fn decode<T: serde::de::DeserializeOwned>(key: &str, value: &Json) -> Result<T, OpenError> {
    value.decode().map_err(|source| OpenError::Json { key: key.to_owned(), source })
}
