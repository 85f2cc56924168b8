//! The table of policies.

use std::fmt;
use std::time::Duration;

use crate::delays::Delays;
use crate::random::Seed;

/// How patiently one kind of call is tried again.
///
/// The first wait is `first`, each further one is `factor` times as long, none
/// is longer than `cap`. Jitter only shortens: a wait is drawn from the last
/// `spread` percent below its nominal length, so the cap and the end hold
/// exactly. No wait begins that would end after `give_up_after`, counted from
/// the first attempt.
///
/// There is no public constructor: a new kind of call gets a name and a reason
/// here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    name: &'static str,
    pub(crate) first: Duration,
    pub(crate) factor: u32,
    pub(crate) cap: Duration,
    pub(crate) give_up_after: Option<Duration>,
    pub(crate) spread: u32,
}

impl Policy {
    /// Asking the store what became of a commit whose answer was lost.
    ///
    /// It gives up inside the default leader ttl of 15 s less the margin of
    /// 2 s: a leader that cannot learn its own state by then steps down, and
    /// its successor reads the head. One leader asks, so nothing is spread.
    pub const COMMIT_UNKNOWN: Self = Self {
        name: "commit-unknown",
        first: Duration::from_millis(10),
        factor: 2,
        cap: Duration::from_millis(500),
        give_up_after: Some(Duration::from_secs(13)),
        spread: 0,
    }
    .checked();

    /// Finding the coordinator again after its connection was lost.
    ///
    /// It never gives up by itself: a host daemon outlives its coordinator, and
    /// a command that a person waits for sets an end with [`Policy::within`].
    /// The cap is part of the bound on `session ttl`, which counts one
    /// reconnection; the wide spread is for the crowd after a takeover.
    pub const RECONNECT: Self = Self {
        name: "reconnect",
        first: Duration::from_millis(100),
        factor: 2,
        cap: Duration::from_secs(5),
        give_up_after: None,
        spread: 50,
    }
    .checked();

    /// Finding a member of the store that takes a call, when none could so far.
    ///
    /// That is the case while they elect a leader, which takes one to two seconds; the next try
    /// after it should not be long in coming, because one engine waits and nobody else.
    pub const STORE_MEMBER: Self = Self {
        name: "store-member",
        first: Duration::from_millis(20),
        factor: 2,
        cap: Duration::from_millis(200),
        give_up_after: Some(Duration::from_secs(2)),
        spread: 50,
    }
    .checked();

    /// Asking for the lead again after the store did not give it, though nobody else has it.
    ///
    /// It never gives up: a store that is full or away is mended by people, who then want no
    /// restart as well. The cap is part of how long a fleet is without a leader after its store
    /// came back, and long beside what a campaign costs. A fleet has few candidates, so nothing is
    /// spread.
    pub const LEAD: Self = Self {
        name: "lead",
        first: Duration::from_millis(200),
        factor: 2,
        cap: Duration::from_secs(1),
        give_up_after: None,
        spread: 0,
    }
    .checked();

    /// Reading changes, heads, rights or statuses from a forge.
    ///
    /// For reads alone: a write to a forge is looked up before it is repeated.
    pub const FORGE_READ: Self = Self {
        name: "forge-read",
        first: Duration::from_millis(500),
        factor: 2,
        cap: Duration::from_secs(30),
        give_up_after: Some(Duration::from_secs(120)),
        spread: 25,
    }
    .checked();

    /// Asking a forge again that refused for a limit and did not say when to come back.
    ///
    /// It wants a minute at least, which the jitter leaves, and more each time in a row. Beyond an
    /// hour nothing is won: that is the longest span that forges count in.
    pub const FORGE_UNSAID: Self = Self {
        name: "forge-unsaid",
        first: Duration::from_secs(75),
        factor: 2,
        cap: Duration::from_secs(3600),
        give_up_after: None,
        spread: 20,
    }
    .checked();

    /// Asking a forge again after the moment that it named: everybody who was told the same would
    /// be there at once.
    pub const FORGE_RESUME: Self = Self {
        name: "forge-resume",
        first: Duration::from_secs(2),
        factor: 1,
        cap: Duration::from_secs(2),
        give_up_after: None,
        spread: 100,
    }
    .checked();

    /// Fetching from a git remote, and pushing objects to refs of their own.
    ///
    /// Not for the push that moves a base: after a lost answer, landing reads
    /// the base back and decides by ancestry.
    pub const GIT_NETWORK: Self = Self {
        name: "git-network",
        first: Duration::from_secs(1),
        factor: 2,
        cap: Duration::from_secs(30),
        give_up_after: Some(Duration::from_secs(300)),
        spread: 25,
    }
    .checked();

    /// Every policy, for `serve` to print and for tests.
    pub const ALL: [Self; 8] = [
        Self::COMMIT_UNKNOWN,
        Self::RECONNECT,
        Self::STORE_MEMBER,
        Self::LEAD,
        Self::FORGE_READ,
        Self::FORGE_UNSAID,
        Self::FORGE_RESUME,
        Self::GIT_NETWORK,
    ];

    /// Turns a mistake in the table into a build that fails.
    const fn checked(self) -> Self {
        assert!(!self.first.is_zero(), "a first wait of zero is a busy loop");
        assert!(self.factor > 0, "a factor of zero is a busy loop");
        assert!(self.first.as_nanos() <= self.cap.as_nanos(), "the first wait is within the cap");
        assert!(self.spread <= 100, "the spread is a percentage");
        if let Some(end) = self.give_up_after {
            assert!(self.cap.as_nanos() <= end.as_nanos(), "the cap is reached before the end");
        }
        self
    }

    /// The name, as logs and errors show it.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The same policy with another end, such as that of a `--wait` flag.
    ///
    /// An end of zero means one attempt.
    #[must_use]
    pub const fn within(self, give_up_after: Duration) -> Self {
        Self { give_up_after: Some(give_up_after), ..self }
    }

    /// The same policy with another width of jitter; more than 100 percent is 100.
    #[must_use]
    pub const fn spread(self, percent: u8) -> Self {
        let spread = if percent > 100 { 100 } else { percent as u32 };
        Self { spread, ..self }
    }

    /// One run through this policy, which begins now.
    pub fn delays(self, seed: Seed) -> Delays {
        Delays::new(self, seed)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first, factor, cap, give_up_after, spread } = self;
        write!(f, "{name}: {first:?} x{factor} up to {cap:?}, spread {spread}%, ")?;
        match give_up_after {
            Some(end) => write!(f, "for {end:?}"),
            None => f.write_str("for ever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<_> = Policy::ALL.iter().map(Policy::name).collect();
        assert_eq!(names.len(), Policy::ALL.len());
    }

    #[test]
    fn prints_as_one_line() {
        assert_eq!(
            Policy::COMMIT_UNKNOWN.to_string(),
            "commit-unknown: 10ms x2 up to 500ms, spread 0%, for 13s"
        );
        assert_eq!(
            Policy::RECONNECT.to_string(),
            "reconnect: 100ms x2 up to 5s, spread 50%, for ever"
        );
    }

    #[test]
    #[should_panic(expected = "busy loop")]
    fn a_policy_that_would_spin_is_rejected() {
        let _ = Policy { factor: 0, ..Policy::RECONNECT }.checked();
    }
}
