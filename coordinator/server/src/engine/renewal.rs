//! A renewal of the lead that is on its way, while the engine goes on.
//!
//! A store that takes its time keeps nobody from an answer that the horizon still allows. Not
//! here: when a renewal is due, and until when one counts ([`super::horizon`]).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use molt_store::TenureError;
use tracing::warn;

use super::{Ended, Engine};

/// What the store said to a renewal.
pub(super) type Renewed = Result<(), TenureError>;

/// A renewal that was sent off.
pub(super) struct Renewal {
    /// When it was sent, since boot.
    sent: Duration,
    answering: Pin<Box<dyn Future<Output = Renewed> + Send>>,
}

/// Waits for a renewal, and says when it was sent; for ever if there is none. Whoever stops
/// waiting may begin again.
pub(super) async fn landing(renewal: &mut Option<Renewal>) -> (Duration, Renewed) {
    match renewal {
        Some(Renewal { sent, answering }) => (*sent, answering.as_mut().await),
        None => std::future::pending().await,
    }
}

impl Engine {
    /// Shows the store that this leader is still there.
    pub(super) fn renewing(&self) -> Renewal {
        let (store, leadership) = (Arc::clone(&self.store), self.leadership.clone());
        let answering = Box::pin(async move { store.renew(&leadership).await });
        Renewal { sent: self.clock.sending(), answering }
    }

    /// Takes note of what the store said to a renewal that was sent at `sent`.
    pub(super) fn renewed(&mut self, (sent, renewed): (Duration, Renewed)) -> Result<(), Ended> {
        self.renewal = None;
        match renewed {
            Ok(()) => self.horizon.heard(sent),
            Err(TenureError::Deposed { term }) => return Err(Ended::Deposed { term }),
            Err(TenureError::Unavailable(cause)) => {
                warn!(phase = "lead", %cause, "the lead could not be renewed");
                self.horizon.unheard();
                // A commit that was sent later may have been heard, and speaks for itself.
                if self.flight.is_none() && !self.horizon.holds() {
                    return Err(self.cut_off());
                }
            }
        }
        Ok(())
    }
}
