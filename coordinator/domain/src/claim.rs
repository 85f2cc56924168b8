//! Who holds which scope.
//!
//! No two held claims conflict, unless both share. A request for several scopes is granted whole
//! or not at all; one that may wait keeps its place in the line, may be passed
//! by requests that fit beside it only a bounded number of times, and is
//! offered its scopes when nobody is there to take them.

mod ask;
mod change;
mod end;
mod handover;
mod idle;
mod line;
mod meet;
mod waits;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::fault;
use crate::id::{BoardTime, ClaimId, Fence, SessionId, TaskId};
use crate::name::RepoName;
use crate::scope::{Conflict, Pattern, Reach, Risk, Scope, ScopeName};

pub(crate) use self::ask::{announce, claim, obstacle};
pub(crate) use self::change::{extend, narrow};
pub(crate) use self::end::{lapse_all, operator, release, revoke, unqueue};
pub use self::handover::{Accepted, Handover};
pub(crate) use self::handover::{accept, offer, withdraw};
pub use self::idle::Idle;
pub(crate) use self::idle::{expire as expire_idle, tell_waiters};
pub(crate) use self::line::{SERVED, expire, serve, unqueue_stuck};
pub use self::meet::meets;
pub(crate) use self::waits::Lines;

/// How often a waiter may be passed by requests that conflict with it.
pub const MAX_OVERTAKEN: u32 = 3;

/// A line of this many waiters in a request's way is not passed at all.
pub const MAX_PASSED: usize = 8;

/// Paths of its own that one claim has at most.
pub const MAX_GLOBS: usize = 16;

/// Claims that one session holds or waits for at most; one claim may have many scopes.
pub const MAX_CLAIMS: usize = 12;

/// Scopes that one session holds or waits for, together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Its id.
    pub id: ClaimId,
    /// The repository.
    pub repo: RepoName,
    /// Who holds it or waits.
    pub session: SessionId,
    /// The scopes that are claimed, in the order of names; empty where globs alone are.
    pub parts: Vec<Part>,
    /// Paths that are claimed beside the scopes, plain ones, in the order of their texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub globs: Vec<Pattern>,
    /// The policy that the parts' patterns are from.
    pub policy: String,
    /// Why.
    pub why: String,
    /// The task it serves.
    pub task: Option<TaskId>,
    /// Whether others may hold the same beside it.
    #[serde(default, skip_serializing_if = "Mode::is_exclusive")]
    pub mode: Mode,
    /// How risky the work is.
    pub risk: Risk,
    /// The tests that are expected to matter.
    pub tests: Vec<String>,
    /// When it was asked for.
    pub asked: BoardTime,
    /// How long it lasts at most, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Held, waiting or offered.
    pub state: State,
    /// To whom its holder offers it; only what is held has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// That its holder was asked whether it is still worked on; only what is held has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
}

/// One scope of a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub scope: ScopeName,
    /// How its paths weigh against others.
    #[serde(default)]
    pub reach: Reach,
    /// Its patterns, and its children's, as they were when it was granted or asked for.
    pub paths: Vec<Pattern>,
}

impl Part {
    fn as_scope(&self) -> Scope {
        Scope {
            name: self.scope.clone(),
            paths: self.paths.clone(),
            reach: self.reach,
            max: None,
            tests: Vec::new(),
            risk: Risk::default(),
        }
    }
}

impl Claim {
    /// The names of what is claimed.
    pub fn scopes(&self) -> impl Iterator<Item = &ScopeName> {
        self.parts.iter().map(|part| &part.scope)
    }

    /// The names of what is claimed, as a list.
    #[must_use]
    pub fn scope_list(&self) -> Vec<ScopeName> {
        self.scopes().cloned().collect()
    }

    /// All that is claimed: the scopes, then the globs.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        let scopes = self.scopes().cloned().map(Piece::Scope);
        scopes.chain(self.globs.iter().cloned().map(|glob| Piece::Glob { glob }))
    }

    /// The same as a list.
    #[must_use]
    pub fn piece_list(&self) -> Vec<Piece> {
        self.pieces().collect()
    }

    /// Whether the holder may edit under it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.state, State::Held { .. })
    }

    /// When it ends by itself, if it is held and does.
    #[must_use]
    pub fn end(&self) -> Option<BoardTime> {
        match self.state {
            State::Held { until, .. } => until,
            State::Waiting { .. } | State::Offered { .. } => None,
        }
    }

    /// Whether it keeps others out.
    fn closes(&self) -> bool {
        match self.state {
            State::Held { .. } => true,
            State::Offered { .. } => !fault!(OfferBarged),
            State::Waiting { .. } => false,
        }
    }

    /// Whether it was held and its own maximum is over, or it was offered and nobody came.
    fn is_over(&self, now: BoardTime) -> bool {
        match self.state {
            State::Held { until, .. } => until.is_some_and(|until| until <= now),
            State::Offered { until, .. } => until <= now,
            State::Waiting { .. } => false,
        }
    }
}

/// Which of its claims a session means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// This one.
    Claim(ClaimId),
    /// The one with this scope.
    Scope(ScopeName),
    /// The one with this path beside its scopes, or instead of them.
    Glob(Pattern),
}

/// Whether others may hold the same scopes beside a claim.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nobody may.
    #[default]
    Exclusive,
    /// Those who share may: they agree among themselves who edits what.
    Shared,
}

impl Mode {
    /// Whether nobody else may hold the same.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        *self == Self::Exclusive
    }

    /// Whether two claims of the same scopes can be held side by side.
    #[must_use]
    pub fn admits(self, other: Self) -> bool {
        match fault!(SharedWithAnybody) {
            false => (self, other) == (Self::Shared, Self::Shared),
            true => (self, other) != (Self::Exclusive, Self::Exclusive),
        }
    }
}

/// Where a claim is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// The session may edit.
    Held {
        /// The grant's number.
        fence: Fence,
        /// When it was granted.
        since: BoardTime,
        /// When it ends by itself.
        until: Option<BoardTime>,
    },
    /// In the line.
    Waiting {
        /// Its place: lower is earlier.
        place: u64,
        /// How often somebody was granted past it.
        overtaken: u32,
        /// How many offers it let go by.
        missed: u32,
    },
    /// Free for this waiter, who was not there to take it.
    Offered {
        /// Its place if it lets the offer go by.
        place: u64,
        /// When the offer ends.
        until: BoardTime,
        /// How many offers it let go by before.
        missed: u32,
    },
}

/// How a claim ended, in its holder's word.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The work is done.
    #[default]
    Done,
    /// The work was given up.
    Dropped,
    /// Something stands in the way.
    Blocked,
    /// Other work made it needless.
    Superseded,
    /// It rested on something that is not so.
    Falsified,
}

impl Outcome {
    /// The outcome in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Dropped => "dropped",
            Self::Blocked => "blocked",
            Self::Superseded => "superseded",
            Self::Falsified => "falsified",
        }
    }
}

/// A request for scopes.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What.
    pub scopes: Vec<ScopeName>,
    /// Paths beside the scopes.
    pub globs: Vec<Pattern>,
    /// Why.
    pub why: String,
    /// For which task.
    pub task: Option<TaskId>,
    /// Whether others may hold the same beside it.
    pub mode: Mode,
    /// How risky the work is; `None`: the scopes' own.
    pub risk: Option<Risk>,
    /// Tests that are expected to matter.
    pub tests: Vec<String>,
    /// At most how long, in milliseconds.
    pub max: Option<u64>,
    /// What to do when something is held.
    pub otherwise: Otherwise,
}

/// What a request does when it cannot be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It is refused.
    Refuse,
    /// It joins the line.
    Wait,
}

/// One piece of what is claimed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Piece {
    /// A scope of the policy.
    Scope(ScopeName),
    /// Paths that are no scope's.
    Glob {
        /// Which.
        glob: Pattern,
    },
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(name) => name.fmt(f),
            Self::Glob { glob } => glob.fmt(f),
        }
    }
}

impl Piece {
    /// It as an argument of `molt-agent claim`.
    #[must_use]
    pub fn argument(&self) -> String {
        match self {
            Self::Scope(name) => name.to_string(),
            Self::Glob { glob } => format!("--path '{}'", glob.as_str().replace('\'', "'\\''")),
        }
    }
}

/// Who stands in the way of a request, as the refusal tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Obstacle {
    /// What was asked for.
    pub wanted: Piece,
    /// What is held or promised.
    pub held: Piece,
    /// The claim on it.
    pub claim: ClaimId,
    /// Its session.
    pub holder: SessionId,
    /// How they meet.
    pub conflict: Conflict,
}
