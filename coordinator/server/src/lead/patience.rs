//! How long a coordinator waits before it asks for the lead again, and what it says of that.
//!
//! Not here: what makes a campaign fail for good.

use std::time::Duration;

use molt_retry::{Delays, Policy};
use tracing::warn;

use super::Standing;

/// How often who stands by asks for the lead: one that is given back is taken up within this.
const CAMPAIGN_EVERY: Duration = Duration::from_millis(200);

/// What is remembered from one campaign to the next.
pub(super) struct Patience {
    /// What was in the way of the last campaign, and has been told.
    told: Option<String>,
    /// Runs for as long as the same thing is in the way.
    delays: Delays,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { told: None, delays: Policy::LEAD.into() }
    }

    /// How long to wait after a campaign that came to `standing`. What is in the way is told when
    /// it begins to be, and not again while it stays the same.
    pub(super) fn after(&mut self, standing: &Standing) -> Duration {
        let reason = match standing {
            Standing::Hindered { reason } => reason,
            Standing::Leading(_) => return self.forget(Duration::ZERO),
            Standing::StandingBy { .. } => return self.forget(CAMPAIGN_EVERY),
        };
        if self.told.as_ref() != Some(reason) {
            warn!(phase = "lead", %reason, "cannot take the lead: will ask again");
            self.told = Some(reason.clone());
            self.delays.reset();
        }
        self.delays.next_delay().unwrap_or(CAMPAIGN_EVERY)
    }

    fn forget(&mut self, wait: Duration) -> Duration {
        self.told = None;
        self.delays.reset();
        wait
    }
}
