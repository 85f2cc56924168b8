//! Overrides: a person's word that named failures do not keep a head from landing.
//!
//! An override is of what one run found red, of one gate and one head. What turns red later is not
//! covered, nor is a run that ended in another way than by judging. Once it landed, the failures
//! are the base's: they are accepted for a while, so that they keep nobody else from landing, and
//! then no more. A gate that is read by its exit code calls every failure the same, so a word for
//! one run of it is for no other. Not here: approvals of heads ([`super::approval`]).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::order::{car, refuse_landed};
use super::pulls::check_last;
use super::{Car, Ejection, State};
use crate::board::{Actor, Caller, Draft, Event, Invalid, Refusal, Reply};
use crate::claim;
use crate::fault::fault;
use crate::gate::{Class, Finding, Gate, Reader, Results};
use crate::id::{BoardTime, CarId, JobId};
use crate::name::GateName;
use crate::policy::Repo;

/// Overrides of one head at most; more than that and it is no exception.
pub const MAX_OVERRIDES: usize = 8;

/// Accepted failures of a repository at most; the oldest are given up.
const MAX_ACCEPTED: usize = 200;

/// How long failures that landed are accepted (merging.md: an override expires).
pub const ACCEPTED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// A person's word for what a gate's run found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The gate.
    pub gate: GateName,
    /// The red items; none where the run names none, and then that run alone is meant.
    pub items: BTreeSet<String>,
    /// The run.
    pub job: JobId,
    /// Who, as the audit names them.
    pub by: String,
    /// When.
    pub at: BoardTime,
    /// Why.
    pub reason: String,
}

/// A failure of the base that somebody answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The gate.
    pub gate: GateName,
    /// The red item.
    pub item: String,
    /// Until when.
    pub until: BoardTime,
}

/// What a person overrides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overriding<'a> {
    pub(crate) car: CarId,
    /// The head that was looked at.
    pub(crate) head: &'a str,
    pub(crate) gate: &'a GateName,
    pub(crate) reason: &'a str,
}

/// One line, whatever the reason is.
impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason: Vec<&str> = self.reason.split_whitespace().collect();
        write!(f, "{} by {}: {}", self.gate, self.by, reason.join(" "))
    }
}

/// Takes an operator's word for the failures that a car was ejected for; it goes on.
pub(crate) fn override_gate(
    draft: &mut Draft<'_>,
    caller: &Caller,
    actor: &Actor,
    Overriding { car: id, head, gate, reason }: Overriding<'_>,
) -> Result<Reply, Box<Refusal>> {
    if !fault!(AnybodyApproves) {
        claim::operator(caller, reason)?;
    }
    let found = car(draft, id)?;
    if found.head != head {
        let what = format!("the head of {id} of {}", found.agent);
        let (given, current) = (head.to_owned(), found.head);
        return Err(Refusal::Stale { what, given, current }.into());
    }
    let given = may_override(draft, &found, gate, (actor.to_string(), reason))?;
    put_override(draft, found, given);
    Ok(Reply::Done)
}

/// Puts a car back whose failures somebody answers for.
pub(crate) fn put_override(draft: &mut Draft<'_>, car: Car, given: Override) {
    draft.record(Event::Overridden {
        car: car.id,
        name: car.agent.clone(),
        head: car.head.clone(),
        gate: given.gate.clone(),
        job: given.job,
        items: given.items.iter().cloned().collect(),
        by: given.by.clone(),
        reason: given.reason.clone(),
    });
    let mut overrides = car.overrides.clone();
    overrides.push(given);
    draft.tables.cars.put(car.id, Car { overrides, state: State::Queued, ..car });
}

/// The override of what a car was ejected for, if this gate ejected it by judging it and its head
/// may still land.
pub(crate) fn may_override(
    draft: &Draft<'_>,
    car: &Car,
    gate: &GateName,
    (by, reason): (String, &str),
) -> Result<Override, Box<Refusal>> {
    refuse_landed(draft, &car.repo, &car.head)?;
    check_last(draft, car)?;
    let job = failed_run(car, gate)?;
    if car.overrides.len() >= MAX_OVERRIDES {
        let problem = format!("{} has {MAX_OVERRIDES} overrides already", car.id);
        return Err(Invalid::field("gate", problem).into());
    }
    let mut results = draft.tables.results.iter().map(|(_, results)| results);
    let Some(Results { finding, .. }) = results.find(|results| results.job == job) else {
        let problem = format!("the results of {job} are gone: ask for it to land again first");
        return Err(Invalid::field("gate", problem).into());
    };
    let repo = draft.repo(&car.repo)?;
    let Some(rules) = repo.policy.gates.get(gate) else {
        let problem = format!("the policy has no gate {gate} any more: submit it again");
        return Err(Invalid::field("gate", problem).into());
    };
    if let Some(problem) = unanswerable(rules, finding) {
        return Err(Invalid::field("gate", problem).into());
    }
    let items = if names_items(rules, finding) { finding.red.clone() } else { BTreeSet::new() };
    let (at, reason) = (draft.now.board, reason.to_owned());
    Ok(Override { gate: gate.clone(), items, job, by, at, reason })
}

/// The run of this gate that ejected a car by judging it.
fn failed_run(car: &Car, gate: &GateName) -> Result<JobId, Invalid> {
    match &car.state {
        State::Ejected { ejection: Ejection::GateFailed { gate: red, class, job, .. }, .. }
            if red == gate =>
        {
            let problem = || format!("its run {class}: it judged nothing that may be overridden");
            let judged = *class == Class::Failed;
            judged.then_some(*job).ok_or_else(|| Invalid::field("gate", problem()))
        }
        state => {
            let problem = format!("{} is {}: {gate} did not eject it", car.id, state.reason());
            Err(Invalid::field("gate", problem))
        }
    }
}

/// Why nobody can answer for what a run found, if nobody can: not all of it is known.
fn unanswerable(gate: &Gate, finding: &Finding) -> Option<String> {
    let Finding { class, green, red, red_count, .. } = finding;
    let results = green.saturating_add(*red_count);
    if *class != Class::Failed {
        Some(format!("its run {class}: it judged nothing that may be overridden"))
    } else if red.len() != *red_count as usize {
        Some(format!("{red_count} items are red, more than are named"))
    } else if results < gate.minimum {
        Some(format!("its run has {results} results of at least {}", gate.minimum))
    } else {
        None
    }
}

/// Whether a red item of a run is the same failure as one of that name in another run.
fn names_items(gate: &Gate, finding: &Finding) -> bool {
    gate.result != Reader::Exit && !finding.red.is_empty()
}

/// The red items of a failed run that keep a car from landing: without those that somebody
/// answers for. `None` if there are no others, or the run as a whole is answered for.
pub(super) fn unanswered(
    car: &Car,
    repo: &Repo,
    now: BoardTime,
    (gate, found): (&Gate, &Results),
    red: Vec<String>,
) -> Option<Vec<String>> {
    if unanswerable(gate, &found.finding).is_some() {
        return Some(red);
    }
    let overrides = || car.overrides.iter().filter(|it| it.gate == found.gate);
    if !names_items(gate, &found.finding) {
        let whole = overrides().any(|it| it.items.is_empty() && it.job == found.job);
        return (!whole).then_some(red);
    }
    let is_accepted = |item: &String| {
        let mut accepted = repo.accepted.iter();
        accepted.any(|it| it.until > now && it.gate == found.gate && it.item == *item)
    };
    let covers = |it: &Override, item: &str| it.items.contains(item) || fault!(OverrideCoversAll);
    let answered = |item: &String| overrides().any(|it| covers(it, item)) || is_accepted(item);
    let left: Vec<String> = red.into_iter().filter(|item| !answered(item)).collect();
    (!left.is_empty()).then_some(left)
}

/// The failures of the base once a car has landed, those that nobody answers for any more left out.
pub(super) fn accepted_after(repo: &Repo, car: &Car, now: BoardTime) -> Vec<Accepted> {
    let until = now.plus(ACCEPTED_FOR);
    let named = car.overrides.iter().flat_map(|it| it.items.iter().map(|item| (&it.gate, item)));
    let named: BTreeSet<(&GateName, &String)> = named.collect();
    let again = |old: &Accepted| named.contains(&(&old.gate, &old.item));
    let old = repo.accepted.iter().filter(|it| it.until > now && !again(it)).cloned();
    let new = named.iter().map(|&(gate, item)| Accepted {
        gate: gate.clone(),
        item: item.clone(),
        until,
    });
    let mut all: Vec<Accepted> = old.chain(new).collect();
    all.drain(..all.len().saturating_sub(MAX_ACCEPTED));
    all
}
