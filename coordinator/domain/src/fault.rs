//! Bugs of the rules that a test can switch on ([`molt_fault`]). Not here: the checks.

/// A bug that can be seeded, named after the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A scope and its child do not conflict.
    ChildrenForgotten,
    /// Paths that are claimed beside scopes are in nobody's way.
    GlobsForgotten,
    /// Of several scopes only the first must be free.
    PartialGrant,
    /// A grant takes the number of the grant before.
    FenceReused,
    /// Calls of an epoch before the last resume pass.
    StaleEpochPasses,
    /// What is shared by some is granted to others alone.
    SharedWithAnybody,
    /// What was handed over goes on under the giver's fence.
    HandoverKeepsFence,
    /// A claim is accepted by somebody whom nobody offered it to.
    AcceptedUnasked,
    /// A task stays with whoever handed its claim over.
    TaskStaysBehind,
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
    /// What takes a person's approval goes on without one.
    UnapprovedRuns,
    /// What changes protected paths is tested beside others.
    BarrierPassed,
    /// Whoever asks is a person who may approve.
    AnybodyApproves,
    /// What older programs have no words for is written for them.
    FormatIgnored,
    /// Scopes whose paths overlap are dealt to two agents.
    SharesOverlap,
    /// Work is taken as if it had not been dealt.
    PlanIgnored,
    /// Nobody hears an announcement.
    AnnouncementUnheard,
    /// Of an announcement only the holders of the very same scopes hear.
    NeighboursForgotten,
    /// Whoever reads after a cursor that expired is told of what is left.
    ExpiredCursorPasses,
    /// A report of somebody who has the task no more is taken.
    LateReportTaken,
    /// A lost session's claims lapse although there are signs of life.
    SignsIgnored,
    /// An idle claim ends before its holder was asked.
    IdleNeverAsked,
    /// What was seen before a session was lost is taken for a sign of its life.
    StaleSigns,
    /// A pull request's car goes on with a head that is another one by now.
    HeadMovedKeepsCar,
    /// A head's branch that we moved for a landing is taken for a new head.
    OwnMoveIsNewHead,
    /// A landing that the forge does not let happen is tried for ever.
    DeclinedForEver,
    /// A comment that was heard is heard again.
    CommentHeardTwice,
    /// A pull request enters although somebody cancelled it.
    CancelledEnters,
    /// An override of some failures of a gate is taken for all of them.
    OverrideCoversAll,
    /// A pull request that shows a session's change becomes a second one.
    ShownIsNoCar,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 47] = [
        Self::ChildrenForgotten,
        Self::GlobsForgotten,
        Self::PartialGrant,
        Self::FenceReused,
        Self::StaleEpochPasses,
        Self::SharedWithAnybody,
        Self::HandoverKeepsFence,
        Self::AcceptedUnasked,
        Self::TaskStaysBehind,
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
        Self::UnapprovedRuns,
        Self::BarrierPassed,
        Self::AnybodyApproves,
        Self::FormatIgnored,
        Self::SharesOverlap,
        Self::PlanIgnored,
        Self::AnnouncementUnheard,
        Self::NeighboursForgotten,
        Self::ExpiredCursorPasses,
        Self::LateReportTaken,
        Self::SignsIgnored,
        Self::IdleNeverAsked,
        Self::StaleSigns,
        Self::HeadMovedKeepsCar,
        Self::OwnMoveIsNewHead,
        Self::DeclinedForEver,
        Self::CommentHeardTwice,
        Self::CancelledEnters,
        Self::OverrideCoversAll,
        Self::ShownIsNoCar,
    ];
}

/// Whether a bug is switched on here.
macro_rules! fault {
    ($bug:ident) => {
        molt_fault::is_on($crate::fault::Bug::$bug)
    };
}
pub(crate) use fault;
