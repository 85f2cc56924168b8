//! Reading a store beside whoever serves it, without the lead.

use molt_store::embedded::{self, Use};
use molt_store::{Head, Record};

use super::{Site, Tell, TransferError};
use crate::config::StorePlace;
use crate::store_place::PlaceError;

/// What a store held at one moment, and who leads.
#[derive(Debug)]
pub struct Seen {
    /// The last commit.
    pub head: Head,
    /// All records, sorted by key.
    pub records: Vec<Record>,
    /// Who leads.
    pub leader: Option<Leader>,
    /// The bytes of the store's files, where they are this machine's.
    pub bytes: Option<u64>,
}

/// Who leads, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leader {
    /// It has the store open.
    Here(String),
    /// It was the last to lead and did not resign: whether it lives shows within its ttl.
    Last(String),
}

impl Leader {
    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Here(name) | Self::Last(name) => name,
        }
    }
}

/// Reads the store of `site` as of one moment; `None` if there is none.
///
/// # Errors
///
/// It cannot be read, or is damaged.
pub async fn look(site: &Site) -> Result<Option<Seen>, TransferError> {
    match &site.store {
        StorePlace::Embedded { folder } => {
            let wrong = |source| PlaceError::Embedded { folder: folder.clone(), source };
            let leader = match embedded::in_use(folder).map_err(wrong)? {
                Use::Free => None,
                Use::Held(holder) => Some(Leader::Here(holder_name(holder))),
            };
            let seen = embedded::snapshot(folder).map_err(wrong)?;
            Ok(seen.map(|embedded::Snapshot { head, records, bytes }| Seen {
                head,
                records,
                leader,
                bytes: Some(bytes),
            }))
        }
        #[cfg(feature = "etcd")]
        StorePlace::Etcd(place) => {
            let store = crate::store_place::connect(place, site.spans.leader_ttl).await?;
            let load = |source| TransferError::Load { place: site.store_name(), source };
            let Some((head, records)) = store.snapshot().await.map_err(load)? else {
                return Ok(None);
            };
            let leader = store.examine().await.leader;
            let leader = leader
                .map(|leader| Leader::Last(format!("`{}` at {}", leader.name, leader.address)));
            Ok(Some(Seen { head, records, leader, bytes: None }))
        }
        #[cfg(not(feature = "etcd"))]
        StorePlace::Etcd(_) => Err(PlaceError::WithoutEtcd.into()),
    }
}

/// Who has an embedded store open.
pub(crate) fn holder_name(holder: Option<embedded::Holder>) -> String {
    match holder {
        Some(embedded::Holder { pid, address: Some(address) }) => {
            format!("process {pid} at {address}")
        }
        Some(embedded::Holder { pid, address: None }) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

/// Refuses a store that somebody has open; tells of a leader that may be gone.
pub(super) fn refuse_served(
    place: &str,
    leader: Option<Leader>,
    tell: Tell<'_>,
) -> Result<(), TransferError> {
    match leader {
        None => Ok(()),
        Some(Leader::Here(leader)) => {
            Err(TransferError::Served { place: place.to_owned(), leader })
        }
        Some(Leader::Last(leader)) => {
            tell(format!("{leader} led {place} last: it must have stopped"));
            Ok(())
        }
    }
}
