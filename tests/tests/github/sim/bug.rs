//! What can be wrong with this GitHub on purpose, so that tests show who would see it.

/// A way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Of the statuses of one context, the first counts, not the last.
    FirstStatusCounts,
    /// Every pull request merges.
    AlwaysMergeable,
    /// Webhooks are not sent.
    SilentHooks,
    /// Webhooks are signed with another secret.
    WrongSignature,
    /// A list has one page, whatever it holds.
    OnePage,
    /// Everybody may do everything.
    EverybodyAdmin,
    /// Refs move from wherever they stand.
    UncheckedMoves,
    /// Of several refs, those move that can.
    HalfMoves,
    /// Check runs of Apps are answered as made, and are nowhere.
    LostChecks,
}

impl Bug {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::FirstStatusCounts,
        Self::AlwaysMergeable,
        Self::SilentHooks,
        Self::WrongSignature,
        Self::OnePage,
        Self::EverybodyAdmin,
        Self::UncheckedMoves,
        Self::HalfMoves,
        Self::LostChecks,
    ];
}
