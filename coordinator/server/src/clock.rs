//! The only place where the service asks what time it is.
//!
//! Not here: board time, which the engine keeps; nothing decides by wall time.

use std::time::{Duration, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// Whose time an engine lives in.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's.
    Machine,
    /// The runtime's, since an instant of it: a simulation owns it, and moves it.
    Runtime {
        /// When it began.
        began: Instant,
    },
}

impl Clock {
    /// Time since the machine's boot, suspend included, or since the simulation began.
    #[must_use]
    pub fn boottime(self) -> Duration {
        match self {
            Self::Machine => boottime(),
            Self::Runtime { began } => began.elapsed(),
        }
    }

    /// Wall time in milliseconds since 1970, for display and the audit.
    #[must_use]
    pub fn wall(self) -> u64 {
        match self {
            Self::Machine => wall(),
            Self::Runtime { .. } => molt_domain::id::millis(self.boottime()),
        }
    }
}

/// Time since boot, suspend included: what board time is measured with.
#[must_use]
pub fn boottime() -> Duration {
    // Darwin's monotonic clock counts sleep; Linux has a clock of its own for that.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::CLOCK_MONOTONIC;
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Wall time in milliseconds since 1970, for display and the audit.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the service's one reader of the wall clock")]
pub fn wall() -> u64 {
    std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
