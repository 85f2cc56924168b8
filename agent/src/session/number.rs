//! The numbers of a session's requests, and which may have to be sent again.
//!
//! A number is written down before its request is sent. When nobody said what
//! became of it, the same command sends it again under the same number; another
//! command means that the caller went on.

use serde::{Deserialize, Serialize};

use crate::run::ProcessIdentity;

/// The numbers of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// The next that nobody has used.
    next: u64,
    /// Requests without a definite answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pending: Vec<Pending>,
}

/// A request that was sent or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    number: u64,
    /// Digest of the verb with its arguments.
    digest: String,
    /// The process that waits for the answer. Commands of one session may run
    /// side by side: one must not drop what another still waits for.
    asker: ProcessIdentity,
    /// Whether it was sent before, and nobody said what became of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
}

/// What becomes of earlier requests whose outcome nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// The caller went on without them.
    Dropped,
    /// The caller comes back to them.
    Kept,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { next: 1, pending: Vec::new() }
    }
}

impl Numbers {
    /// The number for a request of `asker`: that of the same request whose
    /// outcome nobody knows, else the next. `earlier` says what becomes of
    /// others. `alive` says whether another asker still waits.
    pub(super) fn take(
        &mut self,
        digest: &str,
        earlier: Earlier,
        asker: ProcessIdentity,
        alive: impl Fn(&ProcessIdentity) -> bool,
    ) -> u64 {
        let own = asker.clone();
        let waited_for = |pending: &Pending| pending.asker != own && alive(&pending.asker);
        let same = |pending: &Pending| pending.digest == digest && !waited_for(pending);
        let known = self.pending.iter().find(|pending| same(pending)).map(|pending| pending.number);
        let number = known.unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.pending
            .retain(|pending| waited_for(pending) || (earlier == Earlier::Kept && !same(pending)));
        let (digest, repeated) = (digest.to_owned(), known.is_some());
        self.pending.push(Pending { number, digest, asker, repeated });
        number
    }

    /// Makes the request `number` one of `asker`, unless another asker still waits for it; whether
    /// it is. What was dropped is nobody else's.
    pub(super) fn adopt(
        &mut self,
        number: u64,
        asker: ProcessIdentity,
        alive: impl Fn(&ProcessIdentity) -> bool,
    ) -> bool {
        let Some(pending) = self.pending.iter_mut().find(|pending| pending.number == number) else {
            return true;
        };
        if pending.asker != asker && alive(&pending.asker) {
            return false;
        }
        pending.asker = asker;
        true
    }

    /// Drops a request that has its definite answer.
    pub(super) fn settle(&mut self, number: u64) {
        self.pending.retain(|pending| pending.number != number);
    }

    /// Drops a request that reached nobody, unless it was sent before: what one try may have
    /// done, a later one that does nothing leaves unknown. Whether it is kept.
    pub(super) fn unsent(&mut self, number: u64) -> bool {
        self.pending.retain(|pending| pending.number != number || pending.repeated);
        self.pending.iter().any(|pending| pending.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32) -> ProcessIdentity {
        ProcessIdentity { pid, start: "s".to_owned() }
    }

    fn nobody(_: &ProcessIdentity) -> bool {
        false
    }

    #[test]
    fn the_same_command_repeats_an_unknown_outcome() {
        let mut numbers = Numbers::default();
        let first = numbers.take("claim runtime", Earlier::Dropped, process(1), nobody);
        assert_eq!(numbers.take("claim runtime", Earlier::Dropped, process(2), nobody), first);
        assert_eq!(
            numbers.take("claim runtime", Earlier::Dropped, process(2), nobody),
            first,
            "within one process"
        );
    }

    #[test]
    fn a_definite_answer_ends_it() {
        let mut numbers = Numbers::default();
        let first = numbers.take("claim runtime", Earlier::Dropped, process(1), nobody);
        numbers.settle(first);
        assert_ne!(numbers.take("claim runtime", Earlier::Dropped, process(2), nobody), first);
    }

    #[test]
    fn who_reaches_nobody_does_not_end_what_may_have_been_done_before() {
        let mut numbers = Numbers::default();
        let first = numbers.take("claim runtime", Earlier::Dropped, process(1), nobody);
        assert!(!numbers.unsent(first), "nothing was ever sent");
        let second = numbers.take("claim runtime", Earlier::Dropped, process(2), nobody);
        assert_ne!(second, first);
        assert_eq!(
            numbers.take("claim runtime", Earlier::Dropped, process(3), nobody),
            second,
            "no answer"
        );
        assert!(numbers.unsent(second));
        assert_eq!(numbers.take("claim runtime", Earlier::Dropped, process(4), nobody), second);
        numbers.settle(second);
        assert_ne!(numbers.take("claim runtime", Earlier::Dropped, process(5), nobody), second);
    }

    #[test]
    fn another_command_means_that_the_caller_went_on() {
        let mut numbers = Numbers::default();
        let first = numbers.take("claim runtime", Earlier::Dropped, process(1), nobody);
        let other = numbers.take("release", Earlier::Dropped, process(2), nobody);
        let again = numbers.take("claim runtime", Earlier::Dropped, process(3), nobody);
        assert!(first < other && other < again);
        assert_eq!(numbers.pending.len(), 1, "nothing is kept for ever");
    }

    #[test]
    fn commands_side_by_side_leave_each_other_alone() {
        let mut numbers = Numbers::default();
        let all_live = |_: &ProcessIdentity| true;
        let first = numbers.take("claim runtime", Earlier::Dropped, process(1), all_live);
        let same = numbers.take("claim runtime", Earlier::Dropped, process(2), all_live);
        let other = numbers.take("release", Earlier::Dropped, process(3), all_live);
        assert!(first < same && same < other, "two askers are two requests");
        let only_first_died = |process: &ProcessIdentity| process.pid != 1;
        assert_eq!(
            numbers.take("claim runtime", Earlier::Dropped, process(4), only_first_died),
            first
        );
    }

    #[test]
    fn who_comes_back_finds_what_was_asked_before() {
        let mut numbers = Numbers::default();
        let release = numbers.take("release", Earlier::Dropped, process(1), nobody);
        let resume = numbers.take("resume", Earlier::Kept, process(2), nobody);
        assert_eq!(numbers.take("resume", Earlier::Kept, process(3), nobody), resume);
        numbers.settle(resume);
        assert_eq!(numbers.take("release", Earlier::Dropped, process(4), nobody), release);
        assert_eq!(numbers.pending.len(), 1, "each is kept once");
    }
}
