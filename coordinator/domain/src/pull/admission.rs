//! Whether a pull request enters the train, and with which head.
//!
//! A wish, by command, label or the forge's auto-merge, is of one head and takes the right to
//! write. What comes from a fork waits for a person's look at that head before anything else is
//! asked of it. Then the forge's rules have their say. Everything that stands between is told at
//! once, each with its stable code (merging.md, Reason codes). Not here: the train's own gates and
//! its order ([`crate::train`]).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::{self, Lack, Lacking, Said};
use super::review::{self, Review, Unreviewed};
use super::rules::{self, Found, Installation, Obstacle, Stack};
use super::{AppId, CommitId, Right, UserId};
use crate::policy::Method;
use crate::train::Origin;

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its head now.
    pub head: CommitId,
    /// The branch that it is to land on.
    pub base: String,
    /// Whose repository the head comes from.
    pub origin: Origin,
    /// Who opened it.
    pub opened_by: UserId,
    /// Where it is at the forge.
    pub stage: Stage,
    /// Whether it is part of a stack.
    pub stack: Stack,
}

/// Where a pull request is at the forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its author says that it is not ready.
    Draft,
    /// It waits to land.
    Open,
    /// It was closed.
    Closed,
    /// It landed.
    Merged,
}

/// Whether somebody wants it to land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Nobody said so.
    None,
    /// Somebody did and took it back.
    Withdrawn,
    /// Somebody does.
    Land(Asked),
}

/// That somebody wants a pull request to land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who.
    pub by: UserId,
    /// What they may do, read when it was acted on.
    pub right: Right,
    /// The head that it is about ([`super::bind`]).
    pub head: CommitId,
    /// In which way.
    pub how: How,
}

/// In which way a wish was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By a command in a comment.
    Command,
    /// By a session, which submitted it.
    Submitted,
    /// By a label.
    Label,
    /// By the forge's auto-merge.
    AutoMerge,
}

/// A person's word that a head may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The head.
    pub head: CommitId,
    /// What the person may do, read when it was acted on.
    pub right: Right,
}

/// All that is known of a pull request and of what rules it.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The pull request.
    pub pull: &'a Pull,
    /// The branch that the train lands on.
    pub branch: &'a str,
    /// How the train lands.
    pub method: Method,
    /// Whether somebody wants it to land.
    pub wish: &'a Wish,
    /// The persons who looked at heads of it.
    pub looked: &'a [Looked],
    /// The rules of the branch.
    pub rules: &'a [Found],
    /// Our installation.
    pub installation: &'a Installation,
    /// The paths that it changes, both sides of a rename.
    pub changed: &'a [String],
    /// What other programs say of it.
    pub said: &'a Said,
    /// Our own App, whose word is no reason for itself.
    pub ours: AppId,
    /// What people say of it.
    pub reviews: &'a [Review],
    /// What those people may do, read now.
    pub rights: &'a BTreeMap<UserId, Right>,
}

/// What becomes of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Nobody asked.
    NotAsked,
    /// It waits.
    Wait {
        /// For what first.
        first: Wait,
        /// And for what else.
        more: Vec<Wait>,
    },
    /// It enters the train, pinned to a head.
    Enter {
        /// The head.
        head: CommitId,
    },
    /// It does not enter as it was asked to.
    Refused(Refusal),
}

/// What a pull request waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// It comes from a fork, and nobody looked at this head.
    Fork {
        /// Which one.
        from: Origin,
    },
    /// Its author marked it as a draft.
    Draft,
    /// Something of the forge stands in the way.
    Obstacle(Obstacle),
    /// A required context is not green.
    Check(Lacking),
    /// Reviews are missing.
    Review(Unreviewed),
}

/// Why a pull request does not enter as it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The wish was taken back.
    Withdrawn,
    /// It landed already.
    Merged,
    /// It is closed.
    Closed,
    /// It is for another branch than the train's.
    OtherBase {
        /// For which.
        base: String,
        /// The train's.
        ours: String,
    },
    /// Who asked may not.
    NotAllowed {
        /// What they may do.
        right: Right,
    },
    /// Its head is another one now.
    HeadMoved {
        /// The head that was asked for.
        asked: CommitId,
        /// The head now.
        now: CommitId,
    },
    /// The forge alone can land it.
    Obstacle(Obstacle),
}

/// Whether a pull request enters the train.
#[must_use]
pub fn admission(facts: &Facts<'_>) -> Admission {
    let asked = match facts.wish {
        Wish::None => return Admission::NotAsked,
        Wish::Withdrawn => return Admission::Refused(Refusal::Withdrawn),
        Wish::Land(asked) => asked,
    };
    if let Some(refusal) = refusal(facts, asked) {
        return Admission::Refused(refusal);
    }
    let mut waits = waits(facts).into_iter();
    match waits.next() {
        Some(first) => Admission::Wait { first, more: waits.collect() },
        None => Admission::Enter { head: asked.head.clone() },
    }
}

fn refusal(facts: &Facts<'_>, asked: &Asked) -> Option<Refusal> {
    let pull = facts.pull;
    match pull.stage {
        Stage::Merged => return Some(Refusal::Merged),
        Stage::Closed => return Some(Refusal::Closed),
        Stage::Draft | Stage::Open => {}
    }
    // One that is on top of another says so, and not merely that it is for another branch.
    if let Some(obstacle) = pull.stack.obstacle() {
        return Some(Refusal::Obstacle(obstacle));
    }
    if pull.base != facts.branch {
        let (base, ours) = (pull.base.clone(), facts.branch.to_owned());
        return Some(Refusal::OtherBase { base, ours });
    }
    if asked.right < Right::Write {
        return Some(Refusal::NotAllowed { right: asked.right });
    }
    if asked.head != pull.head {
        return Some(Refusal::HeadMoved { asked: asked.head.clone(), now: pull.head.clone() });
    }
    None
}

/// Everything that a pull request waits for; of a fork nothing else is asked before a person
/// looked.
fn waits(facts: &Facts<'_>) -> Vec<Wait> {
    let pull = facts.pull;
    let is_trusted = |it: &Looked| it.head == pull.head && it.right >= Right::Maintain;
    if !pull.origin.is_own() && !facts.looked.iter().any(is_trusted) {
        return vec![Wait::Fork { from: pull.origin.clone() }];
    }
    let mut waits = Vec::new();
    if pull.stage == Stage::Draft {
        waits.push(Wait::Draft);
    }
    let changed = facts.changed.iter().map(String::as_str);
    let obstacles = rules::preflight(facts.rules, facts.method, facts.installation)
        .into_iter()
        .chain(rules::of_change(pull.stack, changed, facts.installation));
    waits.extend(obstacles.map(Wait::Obstacle));
    let wanted = rules::wanted(facts.rules);
    let lacking = check::lacking(&wanted.contexts, facts.ours, &pull.head, facts.said);
    waits.extend(lacking.into_iter().map(Wait::Check));
    let opinions = review::opinions(facts.reviews, facts.rights, pull.opened_by, &pull.head);
    waits.extend(opinions.lacking(wanted.approvals).map(Wait::Review));
    waits
}

impl Wait {
    /// The stable reason code.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Fork { .. } | Self::Draft | Self::Review(_) => "approval-missing",
            Self::Obstacle(obstacle) => obstacle.reason(),
            Self::Check(Lacking { lack: Lack::Red { .. }, .. }) => "gate-failed",
            Self::Check(_) => "building",
        }
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Fork { .. } => {
                "a maintainer looks at this head and approves it: nothing runs before"
            }
            Self::Draft => "its author marks it as ready for review",
            Self::Obstacle(obstacle) => obstacle.fix(),
            Self::Check(lacking) => match lacking.lack {
                Lack::Red { .. } => "mend what it found and push, or run it again",
                Lack::Foreign => "let the App that the rule names report it",
                Lack::Pending | Lack::Unsaid | Lack::Unread => "nothing: it is waited for",
            },
            Self::Review(Unreviewed::Against { .. }) => {
                "settle it with them, or dismiss the review"
            }
            Self::Review(Unreviewed::Few { .. }) => {
                "ask somebody who may write to review this head"
            }
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fork { from } => write!(f, "it comes from {from}"),
            Self::Draft => f.write_str("it is a draft"),
            Self::Obstacle(obstacle) => obstacle.fmt(f),
            Self::Check(lacking) => lacking.fmt(f),
            Self::Review(unreviewed) => unreviewed.fmt(f),
        }
    }
}

impl Refusal {
    /// The stable reason code.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Withdrawn => "dequeued",
            Self::Merged => "landed",
            Self::Closed | Self::OtherBase { .. } => "closed",
            Self::NotAllowed { .. } => "approval-missing",
            Self::HeadMoved { .. } => "head-moved",
            Self::Obstacle(obstacle) => obstacle.reason(),
        }
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Withdrawn | Self::Merged => "nothing: it was meant",
            Self::Closed => "open it again, then ask again",
            Self::OtherBase { .. } => "change its base to the train's branch, then ask again",
            Self::NotAllowed { .. } => "ask somebody who may write to ask for it",
            Self::HeadMoved { .. } => "look at the new head, then ask for that one",
            Self::Obstacle(obstacle) => obstacle.fix(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Withdrawn => f.write_str("the wish was taken back"),
            Self::Merged => f.write_str("it landed already"),
            Self::Closed => f.write_str("it is closed"),
            Self::OtherBase { base, ours } => write!(f, "it is for {base}, the train's is {ours}"),
            Self::NotAllowed { right } => {
                write!(f, "to land takes the right to write, who asked has {right}")
            }
            Self::HeadMoved { asked, now } => {
                write!(f, "asked for {}, its head is {}", asked.short(), now.short())
            }
            Self::Obstacle(obstacle) => obstacle.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
