//! The lead of a store, held while something is done to it.

use std::sync::Arc;
use std::time::Duration;

use molt_store::{CampaignError, Candidate, Head, Leadership, Record, Store, Tenure, TenureError};
use tracing::warn;

use super::{Site, TransferError};
use crate::store_place::{self, Opened};

/// How often the lead is asked for while somebody may still hold it.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How often it is shown that the lead is still held.
const SHOW_EVERY: Duration = Duration::from_secs(2);

/// A store whose lead is ours.
pub(super) struct Led {
    pub(super) place: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) leadership: Leadership,
}

impl Led {
    /// Opens the store of `site` and takes its lead, in a term above `above`. Whoever was heard of
    /// within the ttl of a leader serves it, and is not disturbed.
    pub(super) async fn take(site: &Site, what: &str, above: u64) -> Result<Self, TransferError> {
        let Opened { store, .. } = store_place::open(&site.store, site.spans.leader_ttl).await?;
        let place = site.store_name();
        let candidate = Candidate::new(format!("molt-coordinator {what}"), "nowhere").above(above);
        let patience = match store.facts().tenure {
            Tenure::UntilTaken => Duration::ZERO,
            Tenure::Lease { ttl } => ttl + 6 * ASK_EVERY,
        };
        let mut refused = None;
        let asked = async {
            loop {
                match store.campaign(&candidate).await {
                    Ok(leadership) => return Ok(leadership),
                    Err(error) => match error {
                        CampaignError::Held { .. } | CampaignError::Unavailable(_) => {
                            refused = Some(error);
                        }
                        lasting => return Err(lasting),
                    },
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        let campaign = |source| TransferError::Campaign { place: place.clone(), source };
        let leadership = match tokio::time::timeout(patience, asked).await {
            Ok(answer) => answer.map_err(campaign)?,
            Err(_) => {
                return Err(match refused {
                    Some(CampaignError::Held { name, address, .. }) => {
                        TransferError::Served { place, leader: format!("`{name}` at {address}") }
                    }
                    Some(error) => campaign(error),
                    None => campaign(CampaignError::Unavailable("no answer in time".into())),
                });
            }
        };
        Ok(Self { place, store, leadership })
    }

    /// Everything that is there.
    pub(super) async fn load(&self) -> Result<(Head, Vec<Record>), TransferError> {
        let loaded = self.store.load(&self.leadership).await;
        loaded.map_err(|source| TransferError::Load { place: self.place.clone(), source })
    }

    /// Shows again and again that the lead is still held, while `work` goes on.
    pub(super) async fn while_led<T>(
        &self,
        work: impl Future<Output = Result<T, TransferError>>,
    ) -> Result<T, TransferError> {
        let show = async {
            loop {
                tokio::time::sleep(SHOW_EVERY).await;
                match self.store.renew(&self.leadership).await {
                    Ok(()) => {}
                    Err(TenureError::Deposed { .. }) => {
                        return TransferError::Deposed { place: self.place.clone() };
                    }
                    Err(TenureError::Unavailable(cause)) => {
                        warn!(phase = "lead", %cause, "the lead could not be renewed");
                    }
                }
            }
        };
        tokio::select! {
            done = work => done,
            lost = show => Err(lost),
        }
    }

    /// Gives the lead back, so that the next one need not wait for a ttl.
    pub(super) async fn leave(self) {
        if let Err(error) = self.store.resign(&self.leadership).await {
            warn!(phase = "lead", %error, "the lead is left to run out");
        }
    }
}
