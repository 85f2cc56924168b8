//! The one order of a train: who enters, who leaves, who is first.

use std::collections::BTreeSet;

use super::approval::withhold;
use super::pulls::check_last;
use super::{Announced, Car, Ejection, KEPT, Need, Origin, Proposer, State, gates};
use crate::board::{Caller, Draft, Event, Invalid, Refusal, Reply};
use crate::claim::Claim;
use crate::fault::fault;
use crate::gate::Digest;
use crate::id::{CarId, ClaimId, JobId, SessionId};
use crate::lock;
use crate::name::RepoName;
use crate::session::{self, Session};

/// What is proposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proposal<'a> {
    pub(crate) head: &'a str,
    pub(crate) title: &'a str,
    pub(crate) body: &'a str,
    pub(crate) origin: &'a Origin,
}

/// Puts a change in the train, with the claims that its proposer holds now.
pub(crate) fn submit(
    draft: &mut Draft<'_>,
    session: &Session,
    proposal: Proposal<'_>,
) -> Result<Reply, Box<Refusal>> {
    let proposer = Proposer::Session(session.id);
    let hex = |text: &str| text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex(proposal.head) {
        return Err(Invalid::field("head", format!("`{}` is no commit id", proposal.head)).into());
    }
    lock::limited("title", proposal.title, 200)?;
    lock::limited("body", proposal.body, 16 * 1024)?;
    proposal.origin.check()?;
    check_open(draft, &session.repo)?;
    refuse_landed(draft, &session.repo, proposal.head)?;
    let mine = open_cars(draft, &session.repo).into_iter().filter(|car| car.proposer == proposer);
    // Who speaks for several forks has a change of each in the train.
    for car in mine.filter(|car| car.origin == *proposal.origin).collect::<Vec<Car>>() {
        if car.head == proposal.head {
            return Ok(Reply::Submitted { car: car.id, ahead: ahead(draft, &car) });
        }
        if !matches!(car.state, State::Landing { .. }) {
            eject(draft, car, Ejection::Superseded);
        }
    }
    let claims: Vec<Claim> = draft
        .claims_of(session.id)
        .into_iter()
        .filter_map(|id| draft.tables.claims.get(&id).cloned())
        .filter(Claim::is_held)
        .collect();
    let told = claims.iter().all(|claim| draft.tables.announcements.get(&claim.id).is_some());
    let car = Car {
        id: CarId::from_counter(draft.number()),
        repo: session.repo.clone(),
        proposer,
        shown: None,
        agent: session.name.clone(),
        head: proposal.head.to_owned(),
        title: proposal.title.to_owned(),
        body: proposal.body.to_owned(),
        claims: claims.iter().map(|claim| claim.id).collect(),
        globs: claims.iter().flat_map(|claim| claim.globs.iter().cloned()).collect(),
        parts: claims.into_iter().flat_map(|claim| claim.parts).collect(),
        announced: if told { Announced::All } else { Announced::NotAll },
        submitted: draft.now.board,
        proposed: draft.now.wall,
        origin: proposal.origin.clone(),
        approval: None,
        overrides: Vec::new(),
        declined: false,
        state: State::Queued,
    };
    let reply = Reply::Submitted { car: car.id, ahead: ahead(draft, &car) };
    put_in(draft, car);
    Ok(reply)
}

/// Puts a new car in; a fork's waits for a person.
pub(super) fn put_in(draft: &mut Draft<'_>, car: Car) {
    draft.record(Event::Submitted {
        car: car.id,
        repo: car.repo.clone(),
        proposer: car.proposer,
        name: car.agent.clone(),
        head: car.head.clone(),
        title: car.title.clone(),
        scopes: car.parts.iter().map(|part| part.scope.clone()).collect(),
        globs: car.globs.clone(),
        origin: car.origin.clone(),
    });
    if car.origin.is_own() || fault!(UnapprovedRuns) {
        draft.tables.cars.put(car.id, car);
    } else {
        withhold(draft, car, Need::Fork);
    }
}

/// That the train takes changes: not while the base's policy does not read.
pub(super) fn check_open(draft: &Draft<'_>, repo: &RepoName) -> Result<(), Box<Refusal>> {
    match &draft.repo(repo)?.unreadable {
        Some(reason) => {
            Err(Refusal::Closed { reason: format!("the base's policy: {reason}") }.into())
        }
        None => Ok(()),
    }
}

/// Refuses a head that landed: per change and head there is at most one landing.
pub(super) fn refuse_landed(
    draft: &Draft<'_>,
    repo: &RepoName,
    head: &str,
) -> Result<(), Box<Refusal>> {
    let mut cars = draft.tables.cars.iter().map(|(_, car)| car);
    let landed = |car: &&Car| {
        car.repo == *repo && car.head == head && matches!(car.state, State::Landed { .. })
    };
    match cars.find(landed) {
        Some(car) => {
            let reason = format!("{head} landed already as {}", car.id);
            Err(Refusal::Closed { reason }.into())
        }
        None => Ok(()),
    }
}

/// Takes out the other cars with a head that landed: it has nothing left to change.
pub(super) fn eject_same_head(draft: &mut Draft<'_>, landed: &Car) {
    let mut same = open_cars(draft, &landed.repo);
    same.retain(|car| car.head == landed.head && car.id != landed.id);
    for car in same {
        if draft.room() < 2 {
            return;
        }
        eject(draft, car, Ejection::Superseded);
    }
}

/// Whether the train works on a change of a session, or will when its turn comes.
pub(crate) fn works_for(draft: &Draft<'_>, session: SessionId) -> bool {
    let proposer = Proposer::Session(session);
    draft.tables.cars.iter().any(|(_, car)| car.proposer == proposer && car.state.has_a_turn())
}

/// The cars of a repository that are on their way, in the train's one order.
pub(crate) fn open_cars(draft: &Draft<'_>, repo: &RepoName) -> Vec<Car> {
    open_cars_that(draft, repo, |_| true)
}

/// Those of them of which something holds.
pub(crate) fn open_cars_that(
    draft: &Draft<'_>,
    repo: &RepoName,
    holds: impl Fn(&Car) -> bool,
) -> Vec<Car> {
    let cars = draft.tables.cars.iter().map(|(_, car)| car);
    cars.filter(|car| car.repo == *repo && car.state.is_open() && holds(car)).cloned().collect()
}

/// How many are ahead of a car, as far as it is known.
pub(crate) fn ahead_of(draft: &Draft<'_>, id: CarId) -> u32 {
    draft.tables.cars.get(&id).map_or(0, |car| ahead(draft, car))
}

pub(super) fn ahead(draft: &Draft<'_>, car: &Car) -> u32 {
    draft.tables.cars.iter().filter(|(_, other)| other.is_ahead_of(car)).count() as u32
}

/// The car that is first in its train, which is the one that is worked on: the one that
/// lands, else the oldest that waits for no person.
pub fn first<'a>(cars: impl Iterator<Item = &'a Car>, repo: &RepoName) -> Option<&'a Car> {
    let lands = |car: &Car| matches!(car.state, State::Landing { .. });
    cars.filter(|car| car.repo == *repo && car.state.has_a_turn())
        .filter(|car| !(fault!(TwoLandings) && lands(car)))
        .min_by_key(|car| (!lands(car), car.id))
}

pub(super) fn car(draft: &Draft<'_>, id: CarId) -> Result<Car, Box<Refusal>> {
    draft.tables.cars.get(&id).cloned().ok_or_else(|| lock::unknown("car", &id.to_string(), &[]))
}

/// Takes a car out for a reason.
pub(super) fn eject(draft: &mut Draft<'_>, car: Car, ejection: Ejection) {
    draft.record(Event::Ejected {
        car: car.id,
        name: car.agent.clone(),
        head: car.head.clone(),
        ejection: ejection.clone(),
    });
    let state = State::Ejected { ejection, at: draft.now.board };
    draft.tables.cars.put(car.id, Car { state, ..car });
    forget_old(draft);
    gates::cancel_needless(draft);
}

/// Ended cars beyond the last [`KEPT`] are in the audit alone.
pub(super) fn forget_old(draft: &mut Draft<'_>) {
    // Of what a pull request became last it is still told there.
    let pulls = draft.tables.pulls.iter().filter_map(|(_, known)| known.entered.as_ref());
    let told: BTreeSet<CarId> = pulls.map(|entered| entered.car).collect();
    let is_over = |id: &CarId, car: &Car| !car.state.is_open() && !told.contains(id);
    let cars = draft.tables.cars.iter();
    let ended: Vec<CarId> = cars.filter(|(id, car)| is_over(id, car)).map(|(id, _)| *id).collect();
    let excess = ended.len().saturating_sub(KEPT).min(4);
    for id in ended.into_iter().take(excess) {
        draft.tables.cars.delete(&id);
    }
}

/// Whether the caller may decide over a car: its proposer or an operator.
fn may(draft: &Draft<'_>, caller: &Caller, car: &Car) -> Result<(), Box<Refusal>> {
    let own = match caller {
        Caller::Operator(_) => true,
        Caller::Session(credentials) => {
            let session = session::check(draft.board().tables(), credentials)?;
            car.proposer == Proposer::Session(session.id)
        }
        Caller::Host(_) | Caller::Coordinator | Caller::Nobody => false,
    };
    if own {
        return Ok(());
    }
    let needs = format!("its proposer {} or an operator", car.agent);
    Err(Refusal::Forbidden { what: car.id.to_string(), needs }.into())
}

/// Takes a car out because its proposer or an operator wants it so.
pub(crate) fn dequeue(
    draft: &mut Draft<'_>,
    caller: &Caller,
    id: CarId,
) -> Result<Reply, Box<Refusal>> {
    let car = car(draft, id)?;
    may(draft, caller, &car)?;
    match car.state {
        State::Landing { .. } => {
            let reason = "its landing is decided".to_owned();
            Err(Refusal::Closed { reason }.into())
        }
        ref state if state.is_open() => {
            eject(draft, car, Ejection::Dequeued);
            Ok(Reply::Done)
        }
        _ => Ok(Reply::Done),
    }
}

/// Puts a car back whose run was interrupted, which says nothing about the change.
pub(crate) fn retry(
    draft: &mut Draft<'_>,
    caller: &Caller,
    id: CarId,
) -> Result<Reply, Box<Refusal>> {
    let car = car(draft, id)?;
    may(draft, caller, &car)?;
    let job = may_retry(draft, &car)?;
    put_back(draft, car, job);
    Ok(Reply::Submitted { car: id, ahead: ahead_of(draft, id) })
}

/// The run that took a car out and says nothing about the change.
pub(crate) fn may_retry(draft: &Draft<'_>, car: &Car) -> Result<JobId, Box<Refusal>> {
    let State::Ejected { ejection: Ejection::GateFailed { class, job, .. }, .. } = &car.state
    else {
        return Err(Invalid::field("car", format!("{} was not ejected by a run", car.id)).into());
    };
    if !class.is_about_the_host() {
        let problem = format!("its run {class}: only an interrupted run is tried again");
        return Err(Invalid::field("car", problem).into());
    }
    check_last(draft, car)?;
    refuse_landed(draft, &car.repo, &car.head)?;
    Ok(*job)
}

/// Puts a car back without what `interrupted` found.
pub(crate) fn put_back(draft: &mut Draft<'_>, car: Car, interrupted: JobId) {
    let results = draft.tables.results.iter();
    let stale: Vec<Digest> = results
        .filter(|(_, results)| results.job == interrupted)
        .map(|(digest, _)| digest.clone())
        .collect();
    for digest in stale {
        draft.tables.results.delete(&digest);
    }
    draft.record(Event::Retried { car: car.id, name: car.agent.clone(), head: car.head.clone() });
    draft.tables.cars.put(car.id, Car { state: State::Queued, ..car });
}

/// Takes the word of the merge that a car does not fit the base.
pub(crate) fn conflict(
    draft: &mut Draft<'_>,
    id: CarId,
    base: &str,
    paths: &[String],
) -> Result<Reply, Box<Refusal>> {
    let car = car(draft, id)?;
    let current = draft.repo(&car.repo)?.base.clone();
    if current != base || car.state != State::Queued {
        return Err(stale(&car, base, &current));
    }
    eject(draft, car, Ejection::ConflictBase { paths: paths.iter().take(20).cloned().collect() });
    Ok(Reply::Done)
}

/// Takes out a car that cannot be merged or published at all.
pub(crate) fn unmergeable(
    draft: &mut Draft<'_>,
    id: CarId,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    let car = car(draft, id)?;
    if car.state == State::Queued {
        eject(draft, car, Ejection::Unmergeable { detail: reason.to_owned() });
    }
    Ok(Reply::Done)
}

pub(super) fn stale(car: &Car, given: &str, current: &str) -> Box<Refusal> {
    let what = format!("the base of {}", car.id);
    Refusal::Stale { what, given: given.to_owned(), current: current.to_owned() }.into()
}

/// Takes out the cars that rest on a claim that was taken away, those that could be tried
/// again among them.
pub(crate) fn eject_of_claim(draft: &mut Draft<'_>, claim: ClaimId, reason: &str) {
    let cars: Vec<Car> = draft
        .tables
        .cars
        .iter()
        .map(|(_, car)| car)
        .filter(|car| car.claims.contains(&claim) && may_leave(car))
        .take(draft.room() / 2)
        .cloned()
        .collect();
    for car in cars {
        eject(draft, car, Ejection::ApprovalMissing { reason: reason.to_owned() });
    }
}

/// Whether a car is on its way or can come back, and its landing is not decided.
pub(super) fn may_leave(car: &Car) -> bool {
    match &car.state {
        State::Queued | State::Withheld { .. } | State::Building { .. } | State::Ready { .. } => {
            true
        }
        State::Landing { .. } | State::Landed { .. } => false,
        State::Ejected { ejection, .. } => matches!(ejection, Ejection::GateFailed { .. }),
    }
}

/// Voids every candidate that was made for another base or policy than there is now.
pub(crate) fn void_candidates(draft: &mut Draft<'_>, name: &RepoName) {
    if fault!(StaleCandidateLands) {
        return;
    }
    for car in open_cars(draft, name) {
        if matches!(car.state, State::Building { .. } | State::Ready { .. }) {
            draft.tables.cars.put(car.id, Car { state: State::Queued, ..car });
        }
    }
    gates::cancel_needless(draft);
}
