//! The only place where the benchmark asks what time it is.

use std::time::{Instant, SystemTime};

/// Now, for spans.
#[expect(clippy::disallowed_methods, reason = "the benchmark's one reader of the clock for spans")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall time in UTC to the second, fit for a file name: `20260131T120000Z`.
#[expect(clippy::disallowed_methods, reason = "the benchmark's one reader of the wall clock")]
pub(crate) fn utc() -> String {
    let text = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    text.replace(['-', ':'], "")
}

/// Wall time in milliseconds since 1970, to compare with what another process of this machine
/// wrote down.
#[expect(clippy::disallowed_methods, reason = "the benchmark's one reader of the wall clock")]
pub(crate) fn wall_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64() * 1e3)
}
