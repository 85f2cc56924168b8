//! Bugs that a test can switch on, to prove that the checks would see them.
//!
//! Without the feature `seeded-bugs` there is no switch: every place where a
//! bug could be seeded compiles to the sound rule. Not here: the checks.

#[cfg(feature = "seeded-bugs")]
use std::cell::Cell;

/// A bug that can be seeded, named after the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A scope and its child do not conflict.
    ChildrenForgotten,
    /// Of several scopes only the first must be free.
    PartialGrant,
    /// A grant takes the number of the grant before.
    FenceReused,
    /// Calls of an epoch before the last resume pass.
    StaleEpochPasses,
    /// What was offered to one is granted to another.
    OfferBarged,
    /// Nobody counts how often a waiter was passed.
    OvertakenForever,
    /// A wait may close a circle.
    CircleAllowed,
    /// A lock is granted while it is closed after a silent loss.
    DelaySkipped,
    /// A pool lends one slot more than it has.
    SlotPlusOne,
    /// Who asks for a build that runs is told to run it too.
    BuiltTwice,
    /// A task stays taken when its claim lapses.
    TaskOutlivesClaim,
    /// A result of an older attempt is taken.
    LateResultTaken,
    /// A refusal moves the board's counter.
    RefusalChanges,
    /// A repeated request is carried out again.
    RepeatedTwice,
    /// Scopes are given back without an audit entry.
    AuditDropped,
    /// A session comes back after its grace.
    ResumedTooLate,
    /// A change is ready although a gate has not passed.
    GateSkipped,
    /// A candidate lands on another base than it was tested on.
    StaleCandidateLands,
    /// Two landings are decided at once.
    TwoLandings,
    /// What a role may do is not looked at.
    RoleIgnored,
    /// A token that ended is as good as before.
    RevokedTokenPasses,
    /// What any host finds counts for landing.
    EveryHostCounts,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 22] = [
        Self::ChildrenForgotten,
        Self::PartialGrant,
        Self::FenceReused,
        Self::StaleEpochPasses,
        Self::OfferBarged,
        Self::OvertakenForever,
        Self::CircleAllowed,
        Self::DelaySkipped,
        Self::SlotPlusOne,
        Self::BuiltTwice,
        Self::TaskOutlivesClaim,
        Self::LateResultTaken,
        Self::RefusalChanges,
        Self::RepeatedTwice,
        Self::AuditDropped,
        Self::ResumedTooLate,
        Self::GateSkipped,
        Self::StaleCandidateLands,
        Self::TwoLandings,
        Self::RoleIgnored,
        Self::RevokedTokenPasses,
        Self::EveryHostCounts,
    ];
}

#[cfg(feature = "seeded-bugs")]
thread_local! {
    static ON: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Runs `run` on this thread with a bug switched on.
#[cfg(feature = "seeded-bugs")]
pub fn with<T>(bug: Bug, run: impl FnOnce() -> T) -> T {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            ON.set(None);
        }
    }
    let _off = Off;
    ON.set(Some(bug));
    run()
}

#[cfg(feature = "seeded-bugs")]
pub(crate) fn is_on(bug: Bug) -> bool {
    ON.get() == Some(bug)
}

#[cfg(not(feature = "seeded-bugs"))]
pub(crate) const fn is_on(_: Bug) -> bool {
    false
}

/// Whether a bug is switched on here.
macro_rules! fault {
    ($bug:ident) => {
        $crate::fault::is_on($crate::fault::Bug::$bug)
    };
}
pub(crate) use fault;
