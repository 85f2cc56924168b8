//! Bugs of what is simulated, which a test can switch on to prove that the referee would see them.
//!
//! They stand for bugs of hosts, clients and candidates. Those of the product's own code are
//! switched where that code is (`molt_store::fault`, `molt_coordinator::fault`).

/// A bug that can be seeded, named after the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The transaction that takes the lead does not compare what the candidate saw.
    CandidateComparesNothing,
    /// A host counts its deadline from the answer to a beat instead of from its sending.
    DeadlineFromAnswer,
    /// A run goes on past its deadline until somebody tells it to end.
    DeadlineIgnored,
    /// An answer of an older term than one seen is believed.
    OlderTermBelieved,
    /// A request whose outcome is unknown is repeated under a new number.
    RepeatedUnderNewNumber,
    /// A lock is given back before its child has ended.
    GivenBackEarly,
}

pub(crate) fn is_on(bug: Bug) -> bool {
    molt_fault::is_on(bug)
}
