//! Bugs that a test can switch on, to prove that the checks would see them.
//!
//! Without the feature `seeded-bugs` there is no switch: every place where a
//! bug could be seeded compiles to the sound rule. Not here: the checks
//! (`tests/tests/sim`).

#[cfg(feature = "seeded-bugs")]
use std::cell::Cell;

/// A bug that can be seeded, named after the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A leader answers from memory however long ago the store heard of it.
    HorizonIgnored,
    /// The horizon is counted from the receipt of the store's answer instead of from the sending.
    HorizonFromReceipt,
    /// Board time makes up for a stall at one look.
    TimeJumps,
    /// A batch that the store did not take stays on the board in memory.
    UndoForgotten,
    /// A decision takes its fence from the last commit instead of from the decision before it.
    FenceNotMoved,
    /// Callers are answered before the store took the commit.
    AnsweredFirst,
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
