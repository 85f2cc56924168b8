//! The time of day, which an App's own tokens carry. It is a value, so that tests own it.

use std::sync::Arc;
use std::time::SystemTime;

/// Tells the time of day.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl Clock {
    /// The machine's.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place here that asks for wall time")]
    pub fn machine() -> Self {
        Self::of(SystemTime::now)
    }

    /// One that tells what `now` does.
    #[must_use]
    pub fn of(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> SystemTime {
        (self.0)()
    }
}
