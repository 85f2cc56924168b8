//! Restore: a backup into an empty store, under an epoch of its own.

use std::path::Path;
use std::time::Duration;

use super::archive::{self, Archive, Header};
use super::epoch::{self, Since, Successor};
use super::fill;
use super::lead::Led;
use super::{Begun, Intent, Order, Site, Tell, TransferError, Whole, sealed};

/// What a restore came to, or would come to.
#[derive(Debug)]
pub struct Restored {
    /// What the backup's first line says.
    pub header: Header,
    /// What the backup holds.
    pub whole: Whole,
    /// The digest of the board that there is now.
    pub digest: String,
    /// How many records there are now.
    pub records: usize,
    /// The epoch that began.
    pub epoch: u64,
    /// Sessions that are to resume before they act.
    pub silenced: usize,
    /// How many sealed entries of the audit are in the backup.
    pub sealed: u64,
    /// How many sealed entries were on another machine when it was made.
    pub missing: u64,
    /// How long after the old fleet stopped every holder of it has stopped too, also those whom
    /// the backup does not know and nobody can reach.
    pub quiet: Duration,
    /// How many records this run wrote or removed.
    pub changed: usize,
    /// The revision that the store stands at, if anything was written.
    pub revision: Option<u64>,
}

/// Fills the empty store of `site` from the backup at `path`.
///
/// # Errors
///
/// The backup is not whole or does not verify, the store is not empty or not to be had, or what
/// was written is not what is read back.
pub async fn restore(
    path: &Path,
    site: &Site,
    order: &Order,
    (intent, begun): (Intent, Begun),
    tell: Tell<'_>,
) -> Result<Restored, TransferError> {
    let name = path.display().to_string();
    let Archive { header, head, sealed: entries, records, digest: backup } = archive::read(path)?;
    let format = head.format;
    if !format.admits(molt_store::FORMAT.written) {
        return Err(TransferError::Format { format });
    }
    let term = head.id.term();
    let whole = Whole::verify(&name, head, records, site.spans)?;
    sealed::verify(&name, &entries, whole.sealed())?;
    tell(format!("verified {name}: {}", whole.figures()));
    let next = epoch::succeed(&whole, order, Since::Unknown)?;
    let work = format!("restore of backup {} (revision {})", &backup[..16], whole.revision());
    let mut restored = Restored {
        digest: next.digest.clone(),
        records: next.records.len(),
        epoch: next.ledger.epoch,
        silenced: next.silenced,
        sealed: entries.len() as u64,
        missing: whole.sealed().seq - entries.len() as u64,
        quiet: site.spans.session_ttl + site.spans.kill_grace,
        changed: next.records.len(),
        revision: None,
        header,
        whole,
    };
    fill::survey(site, tell).await?.admit(&site.store_name(), &work, begun)?;
    sealed::check(&site.audit(), &entries)?;
    if intent == Intent::DryRun {
        return Ok(restored);
    }
    let led = Led::take(site, "restore", epoch::terms_above(term)).await?;
    let filled = led
        .while_led(async {
            let mut filling = fill::begin(&led, &work, begun).await?;
            sealed::write(&site.audit(), &entries)?;
            let Successor { records, ledger, .. } = &next;
            filling.fill(records, format, tell).await?;
            let changed = filling.changed;
            Ok((filling.finish(records, ledger, format).await?, changed))
        })
        .await;
    led.leave().await;
    let (head, changed) = filled?;
    restored.changed = changed;
    restored.revision = Some(head.number);
    Ok(restored)
}
