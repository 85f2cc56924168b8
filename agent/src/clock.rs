//! The clocks of a machine: one that counts suspend, for deadlines, and wall
//! time, for people.
//!
//! Nothing else in this crate asks the system for the time. Not here: board
//! time, which only the coordinator keeps and which no host compares with its
//! own clocks.

use std::fmt;
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The clock of deadlines: it goes on while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
const COUNTS_SUSPEND: ClockId = ClockId::CLOCK_BOOTTIME;

/// The clock of deadlines. Darwin's `CLOCK_MONOTONIC` is the one that goes on
/// during sleep (it reads `mach_continuous_time`); its `CLOCK_UPTIME_RAW` stops.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const COUNTS_SUSPEND: ClockId = ClockId::CLOCK_MONOTONIC;

/// A point on this machine's clock that counts suspend, in milliseconds since
/// it booted. Points of different boots or machines do not compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(u64);

impl Millis {
    /// The point `milliseconds` after boot.
    pub const fn since_boot(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since boot.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The point `span` later; the end of time where that overflows.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long it is from here to `later`; zero when `later` has passed.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms after boot", self.0)
    }
}

/// Now, on the clock that counts suspend.
#[expect(clippy::expect_used, reason = "POSIX has no failure for a clock that exists")]
pub fn boottime() -> Millis {
    let now = clock_gettime(COUNTS_SUSPEND).expect("the system has the clock that counts suspend");
    Millis(Duration::from(now).as_millis().try_into().unwrap_or(u64::MAX))
}

/// Now, as a wall clock shows it: for display and file names, never for a
/// decision.
#[expect(clippy::disallowed_methods, reason = "this module is the seam that the ban points to")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// `at` in UTC as RFC 3339 with milliseconds, such as `2026-01-31T09:30:00.125Z`.
pub fn rfc3339_millis(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_runs_backwards() {
        let readings: Vec<_> = (0..1000).map(|_| boottime()).collect();
        assert!(readings.is_sorted(), "{readings:?}");
        assert!(readings[0].get() > 0);
    }

    #[test]
    fn points_saturate_instead_of_wrapping() {
        let end = Millis::since_boot(u64::MAX - 1).plus(Duration::from_secs(1));
        assert_eq!(end.get(), u64::MAX);
        assert_eq!(end.until(Millis::since_boot(5)), Duration::ZERO);
        assert_eq!(Millis::since_boot(5).until(Millis::since_boot(8)), Duration::from_millis(3));
    }

    #[test]
    fn wall_time_is_written_in_utc_with_milliseconds() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_005);
        assert_eq!(rfc3339_millis(at), "2001-09-09T01:46:40.005Z");
    }
}
