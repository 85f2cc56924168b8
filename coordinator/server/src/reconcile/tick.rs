//! Lets board time do its work: expiries, lapses, offers, delays.

use std::time::Duration;

use molt_domain::board::{Command, More, Reply};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::engine::{Failure, Handle};

/// How often time is looked at. Finer than any span that a rule uses.
const EVERY: Duration = Duration::from_millis(200);

/// Ticks until stopped.
pub(crate) async fn run(handle: Handle, stop: CancellationToken) {
    let mut timer = tokio::time::interval(EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        // A crowd that expires at once is done in steps; the engine serves others in between.
        loop {
            match handle.own(Command::Tick).await {
                Ok(Reply::Ticked { more: More::Yes }) => {}
                Ok(_) | Err(Failure::Unavailable(_) | Failure::Unknown) => break,
                Err(Failure::Refused { refusal, .. }) => {
                    warn!(phase = "tick", %refusal, "time could not do its work");
                    break;
                }
            }
        }
    }
}
