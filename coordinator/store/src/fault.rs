//! Bugs of the store that a test can switch on ([`molt_fault`]). Not here: the checks
//! (`tests/tests/sim`).

/// A bug that can be seeded, named after the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A commit applies whatever the head is.
    HeadNotCompared,
    /// A commit applies whoever leads.
    LeaderNotCompared,
    /// A candidate takes the lead from a leader who was heard of a moment ago.
    SilenceNotCounted,
}

/// Whether a bug is switched on here.
macro_rules! fault {
    ($bug:ident) => {
        molt_fault::is_on($crate::fault::Bug::$bug)
    };
}
pub(crate) use fault;
