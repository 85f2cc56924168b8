//! Bugs of the coordinator that a test can switch on ([`molt_fault`]). Not here: the checks
//! (`tests/tests/sim`).

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
    /// A page of answers is written over while something on it lives.
    LivingPageFreed,
}

/// Whether a bug is switched on here.
macro_rules! fault {
    ($bug:ident) => {
        molt_fault::is_on($crate::fault::Bug::$bug)
    };
}
pub(crate) use fault;
