//! The train: changes in one order, each landing exactly as it was tested.
//!
//! The first car is merged with the base, its gates run on that very commit,
//! and the base moves to that very commit. Not here: merging and pushing,
//! which reconcilers do, and what results mean ([`crate::gate`]).

mod approval;
mod gates;
mod landing;
mod order;
mod overriding;
mod passage;
mod pulls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::approval::{Approval, Need, Origin};
pub(crate) use self::approval::{Approving, approve};
pub(crate) use self::gates::{advance, set_base_inputs, set_candidate};
pub(crate) use self::landing::{confirm, decline, intend, lands, leave_head, withdraw};
pub use self::order::first;
pub(crate) use self::order::{
    Proposal, ahead_of, conflict, dequeue, eject_of_claim, may_retry, put_back, retry, submit,
    unmergeable, void_candidates, works_for,
};
pub use self::overriding::{ACCEPTED_FOR, Accepted, MAX_OVERRIDES, Override};
pub(crate) use self::overriding::{Overriding, may_override, override_gate, put_override};
pub use self::passage::Passage;
pub(crate) use self::pulls::{
    Entering, admit, cars_of_pull, eject_pull, enter, head_moved, hinder, hinder_pull, let_pull_on,
    show,
};

use crate::claim::Part;
use crate::gate::Class;
use crate::id::{BoardTime, CarId, ClaimId, Fence, JobId, SessionId};
use crate::name::{AgentName, GateName, RepoName};
use crate::scope::Pattern;

/// Cars that ended and are still told of; older ones are in the audit.
pub const KEPT: usize = 200;

/// Red items that an ejection names, the first ones in order.
pub const MAX_NAMED: usize = 20;

/// A change in the train, pinned to its head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Car {
    /// Its id.
    pub id: CarId,
    /// The repository.
    pub repo: RepoName,
    /// Who proposed it.
    #[serde(flatten)]
    pub proposer: Proposer,
    /// The pull request that shows it at the forge, where a session proposed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<PullAt>,
    /// The proposer's name.
    pub agent: AgentName,
    /// The commit that was proposed; another head is another car.
    pub head: String,
    /// One line.
    pub title: String,
    /// All there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The claims that were held when it was proposed.
    pub claims: Vec<ClaimId>,
    /// What they covered.
    pub parts: Vec<Part>,
    /// And beside scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub globs: Vec<Pattern>,
    /// Whether each of those claims had been announced.
    pub announced: Announced,
    /// When it was proposed.
    pub submitted: BoardTime,
    /// The wall time of it in milliseconds since 1970: the candidate's date, for people.
    pub proposed: u64,
    /// Where its head comes from.
    #[serde(default, skip_serializing_if = "Origin::is_own")]
    pub origin: Origin,
    /// The person who approved its head, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The failures of its gates that a person answers for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Whether its forge said of a landing that it may not happen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
    /// Where it is.
    pub state: State,
}

impl Car {
    /// Whether it comes before `other` in the train's one order. Who waits for a person holds
    /// nobody up.
    #[must_use]
    pub fn is_ahead_of(&self, other: &Self) -> bool {
        self.repo == other.repo && self.state.has_a_turn() && self.id < other.id
    }

    /// The pull request that it is, or that shows it.
    #[must_use]
    pub fn pull(&self) -> Option<u64> {
        match self.proposer {
            Proposer::Pull(number) => Some(number),
            Proposer::Session(_) => self.shown.as_ref().map(|at| at.number),
        }
    }
}

/// Where a pull request is at its forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullAt {
    /// Its number in the repository.
    pub number: u64,
    /// Its address, for people.
    pub url: String,
}

/// Who proposes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proposer {
    /// An agent's session.
    Session(SessionId),
    /// A pull request, by its number in the repository at its forge.
    Pull(u64),
}

/// Whether the claims of a change had been announced when it was proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Announced {
    /// All of them.
    All,
    /// Not all of them.
    NotAll,
}

/// Where a car is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// In the train, without a candidate.
    Queued,
    /// It takes a person's approval before it goes on, and keeps its place meanwhile.
    Withheld {
        /// Why.
        need: Need,
    },
    /// Its candidate's gates run.
    Building {
        /// What is tested.
        candidate: Candidate,
        /// The gates that passed.
        passed: BTreeSet<GateName>,
    },
    /// Every required gate passed.
    Ready {
        /// What was tested.
        candidate: Candidate,
    },
    /// The landing is decided.
    Landing {
        /// What lands.
        candidate: Candidate,
        /// The landing's fence.
        fence: Fence,
        /// How its head gets into the base.
        #[serde(default, skip_serializing_if = "Passage::is_within")]
        passage: Passage,
    },
    /// It landed.
    Landed {
        /// As which commit.
        commit: String,
        /// When.
        at: BoardTime,
        /// How its head got into the base.
        #[serde(default, skip_serializing_if = "Passage::is_within")]
        passage: Passage,
    },
    /// It left without landing.
    Ejected {
        /// Why.
        ejection: Ejection,
        /// When.
        at: BoardTime,
    },
}

impl State {
    /// Whether the car is still on its way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Landed { .. } | Self::Ejected { .. })
    }

    /// Whether the train works on it when it is first.
    #[must_use]
    pub fn has_a_turn(&self) -> bool {
        self.is_open() && !matches!(self, Self::Withheld { .. })
    }

    /// The stable reason code.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Withheld { need } => need.reason(),
            Self::Building { .. } => "building",
            Self::Ready { .. } => "ready",
            Self::Landing { .. } => "landing",
            Self::Landed { .. } => "landed",
            Self::Ejected { ejection, .. } => ejection.reason(),
        }
    }
}

/// The commit that would land: base and head merged, made and published once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The base that it replaces.
    pub base: String,
    /// Its commit.
    pub commit: String,
    /// Its tree.
    pub tree: String,
    /// The ref that hosts fetch it from.
    pub from: String,
    /// The paths that it changes; kept only until the scope gate has judged them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Changed paths that are not UTF-8: in no scope.
    #[serde(default)]
    pub odd: u32,
    /// Why the policy does not read in its tree, when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Some of the protected paths that it changes, as the board found; then it is a barrier:
    /// nothing behind it is tested or lands beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<String>,
    /// Digest of each run gate's inputs in its tree.
    pub inputs: BTreeMap<GateName, String>,
    /// The same of the base's tree.
    pub base_inputs: BTreeMap<GateName, String>,
}

/// Why a car left without landing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Ejection {
    /// It does not merge with the base.
    ConflictBase {
        /// Where.
        paths: Vec<String>,
    },
    /// A run gate does not pass.
    GateFailed {
        /// The gate.
        gate: GateName,
        /// How its run ended.
        class: Class,
        /// The items that block.
        red: Vec<String>,
        /// One line of the run.
        note: String,
        /// The run, to read its log.
        job: JobId,
    },
    /// It changes paths that its claims do not cover.
    ScopeEscape {
        /// Some of them.
        paths: Vec<String>,
        /// How many.
        count: u32,
    },
    /// Not all of its claims were announced.
    AnnouncementMissing,
    /// It changes the policy into one that cannot be in force.
    PolicyChange {
        /// What is wrong with it.
        #[serde(default)]
        problem: String,
    },
    /// A claim that it rests on was taken away.
    ApprovalMissing {
        /// Why.
        reason: String,
    },
    /// It cannot be merged or published at all.
    Unmergeable {
        /// Why.
        detail: String,
    },
    /// It was taken out.
    Dequeued,
    /// Its proposer proposed another head.
    Superseded,
    /// The head of its pull request is another one.
    HeadMoved {
        /// Which.
        now: String,
    },
    /// Its pull request was closed.
    Closed,
    /// The forge's rules stand in the way.
    Hindered {
        /// The stable reason code.
        code: String,
        /// What does.
        what: String,
    },
}

/// The codes of what the forge can put in the way; anything else closes.
const HINDRANCES: [&str; 6] = [
    "ruleset-blocked",
    "approval-missing",
    "gate-failed",
    "building",
    "policy-change",
    "auth-lost",
];

/// The stable code of what the forge puts in the way.
fn hindrance(code: &str) -> &'static str {
    HINDRANCES.into_iter().find(|known| *known == code).unwrap_or("closed")
}

impl Ejection {
    /// The stable reason code.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ConflictBase { .. } => "conflict-base",
            Self::GateFailed { class: Class::Timeout, .. } => "gate-timeout",
            Self::GateFailed { class, .. } if class.is_about_the_host() => "gate-interrupted",
            Self::GateFailed { .. } => "gate-failed",
            Self::ScopeEscape { .. } => "scope-escape",
            Self::AnnouncementMissing => "announcement-missing",
            Self::PolicyChange { .. } => "policy-change",
            Self::ApprovalMissing { .. } => "approval-missing",
            Self::Unmergeable { .. } => "closed",
            Self::Dequeued => "dequeued",
            Self::Superseded => "superseded",
            Self::HeadMoved { .. } => "head-moved",
            Self::Closed => "closed",
            Self::Hindered { code, .. } => hindrance(code),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ConflictBase { .. } => {
                "merge the base into the change, resolve, submit the new head"
            }
            Self::GateFailed { class, .. } if class.is_about_the_host() => {
                "the run was interrupted: `molt-agent gate retry CAR` runs it again"
            }
            Self::GateFailed { .. } => "mend what the gate found, submit the new head",
            Self::ScopeEscape { .. } => {
                "claim the scopes of those paths, or leave them out, then submit again"
            }
            Self::AnnouncementMissing => "run `molt-agent announce`, then submit again",
            Self::PolicyChange { .. } => {
                "mend what `molt-coordinator policy check` finds, submit the new head"
            }
            Self::ApprovalMissing { .. } => "claim the scopes again, then submit again",
            Self::Unmergeable { .. } => "mend the cause, then submit again",
            Self::Dequeued | Self::Superseded => "nothing: it was meant",
            Self::HeadMoved { .. } => "look at the new head, then ask for that one",
            Self::Closed => "open the pull request again, then ask again",
            Self::Hindered { .. } => "mend that at the forge: it enters again by itself",
        }
    }
}

impl fmt::Display for Ejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason())?;
        match self {
            Self::ConflictBase { paths } => write!(f, ": {}", paths.join(" ")),
            Self::GateFailed { gate, class, red, note, .. } => {
                write!(f, ": {gate} {class}")?;
                if !red.is_empty() {
                    write!(f, ", {} red, first {}", red.len(), red[0])?;
                }
                if note.is_empty() { Ok(()) } else { write!(f, " ({note})") }
            }
            Self::ScopeEscape { paths, count } => {
                write!(f, ": {count} paths in no scope that was held, e.g. {}", paths.join(" "))
            }
            Self::ApprovalMissing { reason } => write!(f, ": a claim was taken away ({reason})"),
            Self::Unmergeable { detail: text }
            | Self::PolicyChange { problem: text }
            | Self::Hindered { what: text, .. } => write!(f, ": {text}"),
            Self::HeadMoved { now } => write!(f, ": its head is {now} now"),
            Self::AnnouncementMissing | Self::Dequeued | Self::Superseded | Self::Closed => Ok(()),
        }
    }
}
