//! Approvals: what a person must have looked at before it goes on.
//!
//! A change of protected paths is looked at before its gates run, and a fork's
//! change before anything of it runs at all. An approval is of one head, which
//! a car is pinned to: a new head is a new car without it. Who waits for a
//! person keeps its place in the train and holds nobody up.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::gates::takes_claims;
use super::order::{car, open_cars};
use super::{Car, Ejection, State, hindrance};
use crate::board::{Actor, Caller, Draft, Event, Invalid, Refusal, Reply};
use crate::claim;
use crate::fault::fault;
use crate::id::{BoardTime, CarId};
use crate::lock;
use crate::policy::{POLICY_FILE, Repo};

/// Where a change's head comes from.
///
/// Whoever proposes says so. An agent or operator pushed the head to the
/// repository, and so may write there; a forge's bot says of which fork it
/// speaks. To say less than is so takes the same right as to push.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The repository itself.
    #[default]
    Own,
    /// A repository of others, by its name or address.
    Fork(String),
}

impl Origin {
    /// Whether the head was pushed by somebody who may write to the repository.
    #[must_use]
    pub fn is_own(&self) -> bool {
        *self == Self::Own
    }

    /// That a fork's name can be shown.
    pub(crate) fn check(&self) -> Result<(), Box<Refusal>> {
        let Self::Fork(from) = self else { return Ok(()) };
        lock::limited("fork", from, 200)?;
        if from.trim().is_empty() || from.chars().any(char::is_control) {
            return Err(Invalid::field("fork", "no name or address of a repository").into());
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("the repository itself"),
            Self::Fork(from) => write!(f, "the fork {from}"),
        }
    }
}

/// Why a change takes a person's approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "takes", rename_all = "snake_case")]
pub enum Need {
    /// It comes from a fork: nothing of it runs before.
    Fork,
    /// It changes what the policy protects.
    Protected {
        /// Some of the paths.
        paths: Vec<String>,
        /// How many there are.
        count: u32,
        /// Digest of the policy that protects them.
        policy: String,
    },
    /// It is a pull request, which holds no claims where the policy asks for them.
    Unclaimed {
        /// Some of the paths that it changes.
        paths: Vec<String>,
        /// How many there are.
        count: u32,
    },
    /// It is a session's, and the forge asks for more before it lands.
    Forge {
        /// The stable reason code.
        code: String,
        /// What it asks for.
        what: String,
    },
}

impl Need {
    /// The stable reason code.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Protected { paths, .. } if paths.iter().any(|path| path == POLICY_FILE) => {
                "policy-change"
            }
            Self::Fork | Self::Protected { .. } | Self::Unclaimed { .. } => "approval-missing",
            Self::Forge { code, .. } => hindrance(code),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Fork | Self::Protected { .. } => {
                "ask an operator to look at this head and approve it"
            }
            Self::Unclaimed { .. } => "ask a maintainer to look at this head and approve it",
            Self::Forge { .. } => "mend that at the forge: it goes on by itself",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fork => f.write_str("it comes from a fork"),
            Self::Protected { paths, count, .. } => {
                write!(f, "it changes {}, which the policy protects", some_of(paths, *count))
            }
            Self::Unclaimed { paths, count } => {
                write!(f, "it changes {}, and a pull request has no claims", some_of(paths, *count))
            }
            Self::Forge { what, .. } => f.write_str(what),
        }
    }
}

/// Paths by name, and how many there are beside them.
fn some_of(paths: &[String], count: u32) -> String {
    let named = paths.join(" ");
    match (count as usize).saturating_sub(paths.len()) {
        0 => named,
        more if paths.is_empty() => format!("{more} paths that are not UTF-8"),
        more => format!("{named} and {more} more"),
    }
}

/// A person's word that a head may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who, as the audit names them.
    pub by: String,
    /// When.
    pub at: BoardTime,
    /// Why.
    pub reason: String,
}

/// What a person approves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Approving<'a> {
    pub(crate) car: CarId,
    /// The head that was looked at.
    pub(crate) head: &'a str,
    pub(crate) reason: &'a str,
}

/// Takes a person's word for a head. It may come before the train has asked for it.
pub(crate) fn approve(
    draft: &mut Draft<'_>,
    caller: &Caller,
    actor: &Actor,
    Approving { car: id, head, reason }: Approving<'_>,
) -> Result<Reply, Box<Refusal>> {
    if !fault!(AnybodyApproves) {
        a_person(caller, id)?;
        claim::operator(caller, reason)?;
    }
    let car = car(draft, id)?;
    let newer = newer(draft, &car);
    if car.head != head || newer.is_some() {
        let current = newer.unwrap_or_else(|| car.head.clone());
        let what = format!("the head of {} of {}", car.id, car.agent);
        return Err(Refusal::Stale { what, given: head.to_owned(), current }.into());
    }
    if car.state.is_open() && car.approval.is_some() {
        return Ok(Reply::Done);
    }
    if !car.state.is_open() || matches!(car.state, State::Landing { .. }) {
        let reason = format!("{id} is {}: nothing is left to approve", car.state.reason());
        return Err(Refusal::Closed { reason }.into());
    }
    let (by, at, reason) = (actor.to_string(), draft.now.board, reason.to_owned());
    let_on(draft, car, Approval { by, at, reason });
    Ok(Reply::Done)
}

/// Lets a car go on that is on its way and whose landing is not decided.
pub(super) fn let_on(draft: &mut Draft<'_>, car: Car, approval: Approval) {
    draft.record(Event::Approved {
        car: car.id,
        name: car.agent.clone(),
        head: car.head.clone(),
        reason: approval.reason.clone(),
    });
    let state = match car.state.clone() {
        // A person's word is none of the forge's.
        state @ State::Withheld { need: Need::Forge { .. } } => state,
        State::Withheld { .. } => State::Queued,
        state => state,
    };
    draft.tables.cars.put(car.id, Car { approval: Some(approval), state, ..car });
}

fn a_person(caller: &Caller, id: CarId) -> Result<(), Box<Refusal>> {
    if matches!(caller, Caller::Operator(_)) {
        return Ok(());
    }
    let needs = "a person: an operator".to_owned();
    Err(Refusal::Forbidden { what: format!("the approval of {id}"), needs }.into())
}

/// The head that took the place of a superseded one, as far as it is known.
fn newer(draft: &Draft<'_>, car: &Car) -> Option<String> {
    if !matches!(car.state, State::Ejected { ejection: Ejection::Superseded, .. }) {
        return None;
    }
    let cars = draft.tables.cars.iter().map(|(_, other)| other);
    let later = cars.filter(|other| {
        other.repo == car.repo
            && other.proposer == car.proposer
            && other.origin == car.origin
            && other.id > car.id
            && other.head != car.head
    });
    later.max_by_key(|other| other.id).map(|other| other.head.clone())
}

/// Puts a car aside until a person approved its head.
pub(super) fn withhold(draft: &mut Draft<'_>, car: Car, need: Need) {
    draft.record(Event::Withheld {
        car: car.id,
        name: car.agent.clone(),
        head: car.head.clone(),
        need: need.clone(),
    });
    draft.tables.cars.put(car.id, Car { state: State::Withheld { need }, ..car });
}

/// Lets the train look again at what another policy withheld; some of it may need nobody now.
pub(super) fn look_again(draft: &mut Draft<'_>, repo: &Repo) {
    let outdated = |car: &Car| match &car.state {
        State::Withheld { need: Need::Protected { policy, .. } } => *policy != repo.policy.digest,
        State::Withheld { need: Need::Unclaimed { .. } } => !takes_claims(repo),
        _ => false,
    };
    let mut cars = open_cars(draft, &repo.name);
    cars.retain(outdated);
    for car in cars.into_iter().take(draft.room() / 2) {
        draft.tables.cars.put(car.id, Car { state: State::Queued, ..car });
    }
}
