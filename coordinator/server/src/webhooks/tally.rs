//! How many webhooks were taken in and how many were not.
//!
//! The log is told at the first, the second, the fourth and so on: strangers must not fill it.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use molt_forge::github::webhook::Reading;
use tracing::{info, warn};

/// Why a request was not taken in. Who sent it is told the status alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// No signature, or none that is good: nothing more is looked at.
    Unsigned,
    /// The body is too long.
    TooLong,
    /// The body took too long.
    TooSlow,
    /// The body broke off.
    Broken,
    /// All bodies together are too long for now.
    Crowded,
}

impl Refused {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Crowded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Unsigned => "no good signature: is the secret the one that the forge has?",
            Self::TooLong => "the body is too long",
            Self::TooSlow => "the body took too long",
            Self::Broken => "the body broke off",
            Self::Crowded => "too many bodies at once",
        }
    }
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Taken in, those without a mark among them.
    pub(super) accepted: u64,
    /// Of these, such as did not name the thing that they are about.
    pub(super) coarse: u64,
    /// Not taken in.
    pub(super) refused: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: AtomicU64,
    coarse: AtomicU64,
    refused: AtomicU64,
}

impl Tally {
    pub(super) fn accept(&self, event: &str, reading: Reading) {
        let accepted = one_more(&self.accepted);
        if accepted.is_power_of_two() {
            info!(phase = "webhook", accepted, "webhooks taken in");
        }
        if reading != Reading::Coarse {
            return;
        }
        let coarse = one_more(&self.coarse);
        if coarse.is_power_of_two() {
            warn!(
                phase = "webhook",
                event, coarse, "webhooks of an unknown shape: do they come as application/json?"
            );
        }
    }

    pub(super) fn refuse(&self, refused: Refused) {
        let count = one_more(&self.refused);
        if count.is_power_of_two() {
            warn!(phase = "webhook", refused = count, why = refused.why(), "webhooks refused");
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Counts {
            accepted: count(&self.accepted),
            coarse: count(&self.coarse),
            refused: count(&self.refused),
        }
    }
}

/// Counts, and nothing else depends on the number.
fn one_more(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_in_and_what_is_not_are_counted_apart() {
        let tally = Tally::default();
        for reading in [Reading::Whole, Reading::Coarse, Reading::Ignored] {
            tally.accept("push", reading);
        }
        tally.refuse(Refused::Unsigned);
        tally.refuse(Refused::Crowded);
        assert_eq!(tally.counts(), Counts { accepted: 3, coarse: 1, refused: 2 });
    }
}
