//! The one place where these tests ask what time it is: every wait has its end.

use std::time::{Duration, Instant};

/// The longest that anything here is waited for. Passing never takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Between two looks at something that cannot be waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// A moment after which something is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The moment `span` from now.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the clock of these tests")]
    pub(crate) fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// What is left until then.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the clock of these tests")]
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has come.
    pub(crate) fn is_over(self) -> bool {
        self.left().is_zero()
    }
}

/// Asks until there is an answer; a test that gets none fails, and says what it waited for.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(PATIENCE);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(!deadline.is_over(), "waited {PATIENCE:?} in vain: {what}");
        pause(BETWEEN_LOOKS);
    }
}

/// Lets others work for a moment. No test may rest on how long it is.
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}
