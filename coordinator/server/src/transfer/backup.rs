//! Backup: everything that a store holds at one moment, into one file.
//!
//! It takes no lead and keeps nobody from serving.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use molt_store::Record;

use super::archive::{self, Header};
use super::{Intent, Site, Tell, TransferError, Whole, look, sealed};

/// What a backup came to.
#[derive(Debug)]
pub struct Made {
    /// What the store held.
    pub whole: Whole,
    /// Who led meanwhile, if somebody did.
    pub leader: Option<String>,
    /// How many sealed entries of the audit were found.
    pub sealed: u64,
    /// How many sealed entries are on another machine.
    pub missing: u64,
    /// The file's digest and bytes, if it was written.
    pub file: Option<(String, u64)>,
}

/// Writes everything that the store of `site` holds into the file `path`, which must not be
/// there. What was written is gone again if it fails, or if `stop` is set meanwhile.
///
/// # Errors
///
/// The store is not to be had or does not verify, or the file cannot be written.
pub async fn backup(
    site: &Site,
    path: &Path,
    wall: u64,
    intent: Intent,
    stop: Arc<AtomicBool>,
    tell: Tell<'_>,
) -> Result<Made, TransferError> {
    let place = site.store_name();
    let Some(seen) = look::look(site).await? else {
        return Err(TransferError::Nothing { place });
    };
    tell(format!("read {} records of revision {}", seen.records.len(), seen.head.number));
    let whole = Whole::verify(&place, seen.head, seen.records, site.spans)?;
    if whole.is_empty() {
        return Err(TransferError::Nothing { place });
    }
    let entries = sealed::read(&site.audit(), whole.sealed())?;
    let sealed = entries.len() as u64;
    let missing = whole.sealed().seq - sealed;
    let leader = seen.leader.map(|leader| leader.name().to_owned());
    let mut made = Made { whole, leader, sealed, missing, file: None };
    if intent == Intent::DryRun {
        return Ok(made);
    }
    let Whole { head, ledger, records, .. } = &made.whole;
    let header = Header {
        version: archive::VERSION,
        fleet: site.fleet().to_owned(),
        revision: head.number,
        commit: head.id.to_string(),
        store: head.format,
        ledger: ledger.clone(),
        sealed,
        records: records.len() as u64,
        made: wall,
        program: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let records: Vec<Record> = records
        .iter()
        .map(|(key, value)| Record { key: key.clone(), value: value.clone() })
        .collect();
    let target = path.to_owned();
    let write = move || archive::write(&target, &header, &entries, records, &stop);
    let written = tokio::task::spawn_blocking(write).await;
    let written = written.map_err(|error| TransferError::Unbuildable(error.into()))?;
    made.file = Some(written?);
    Ok(made)
}
