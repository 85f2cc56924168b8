//! A pull request that was opened for a change which a session submitted: it is that change's from
//! then on, and no second one is made of it. Not here: what is written in it ([`super::proposal`]),
//! and what becomes of it afterwards, which is as with any other ([`super::follow`]).

use super::follow::{Read, first, see};
use super::words::cut;
use super::{Closes, CommitId, Entered, ForgeTime, Known, PullKey, Shows, UserId};
use crate::board::{Draft, Event, Invalid, Refusal, Reply, Tables};
use crate::id::CarId;
use crate::lock;
use crate::train::{self, Car, Ejection, Origin, Passage, Proposer, PullAt, State};

/// The longest address and name of a branch that are kept, in bytes.
const MAX_URL: usize = 400;
const MAX_BRANCH: usize = 250;

/// The longest code and explanation of a hindrance, in bytes.
const MAX_CODE: usize = 100;
const MAX_WHAT: usize = 1000;

/// A pull request that was opened for a session's change, or found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The change.
    pub car: CarId,
    /// The branch that was made for it.
    pub branch: String,
    /// Its address, for people.
    pub url: String,
    /// Its head now, which somebody may have moved already.
    pub head: CommitId,
    /// When that was read, by the date of the forge's answer.
    pub at: ForgeTime,
    /// The account that opened it.
    pub opened_by: UserId,
}

/// Takes note of a pull request that was opened for a change. It is seen as any other in each case.
pub(crate) fn opened(
    draft: &mut Draft<'_>,
    key: &PullKey,
    opened: &Opened,
) -> Result<Reply, Box<Refusal>> {
    lock::limited("url", &opened.url, MAX_URL)?;
    lock::limited("branch", &opened.branch, MAX_BRANCH)?;
    let read = Read {
        head: &opened.head,
        at: opened.at,
        origin: &Origin::Own,
        opened_by: opened.opened_by,
    };
    if let Some((car, head)) = unshown(draft, key, opened.car) {
        link(draft, key, car, (opened, head))?;
    }
    see(draft, key, read)
}

/// The change, if a session proposed it and no pull request ever showed it, and its head.
fn unshown(draft: &Draft<'_>, key: &PullKey, id: CarId) -> Option<(Car, CommitId)> {
    let car = draft.tables.cars.get(&id).filter(|car| car.repo == key.repo)?;
    let taken = draft.tables.pulls.get(key).is_some_and(|known| known.shows.is_some());
    let is_sessions = matches!(car.proposer, Proposer::Session(_));
    let free = is_sessions && !taken && car.shown.is_none();
    let head = car.head.parse().ok()?;
    free.then(|| (car.clone(), head))
}

fn link(
    draft: &mut Draft<'_>,
    key: &PullKey,
    car: Car,
    (opened, head): (&Opened, CommitId),
) -> Result<(), Box<Refusal>> {
    let Opened { branch, url, at, opened_by, .. } = opened;
    let known = match draft.tables.pulls.get(key).cloned() {
        Some(known) => known,
        None => {
            let origin = &Origin::Own;
            first(draft, key, Read { head: &head, at: *at, origin, opened_by: *opened_by })?
        }
    };
    // Whatever was made of it before it was known whose it is.
    train::eject_pull(draft, key, &Ejection::Superseded);
    draft.record(Event::PullOpened {
        repo: key.repo.clone(),
        number: key.number,
        car: car.id,
        head: car.head.clone(),
    });
    let entered = Entered { head: head.clone(), comment: None, car: car.id };
    let shows = Shows { car: car.id, head, branch: branch.clone() };
    let known = Known { shows: Some(shows), entered: Some(entered), ..known };
    draft.tables.pulls.put(key.clone(), known);
    train::show(draft, car, PullAt { number: key.number, url: url.clone() });
    Ok(())
}

/// Puts a session's change aside for which no pull request can be opened.
pub(crate) fn hinder(
    draft: &mut Draft<'_>,
    id: CarId,
    (code, what): (&str, &str),
) -> Result<Reply, Box<Refusal>> {
    let unknown = || lock::unknown("car", &id.to_string(), &[]);
    let car = draft.tables.cars.get(&id).cloned().ok_or_else(unknown)?;
    if car.pull().is_some() {
        let problem = format!("{id} has a pull request");
        return Err(Invalid::field("car", problem).into());
    }
    train::hinder(draft, car, &cut(code, MAX_CODE), &cut(what, MAX_WHAT));
    Ok(Reply::Done)
}

/// Whether a pull request has served, so that we close it: its change landed in commits of our own,
/// which its forge never shows as merged; or we opened it, and its change was taken out by whoever
/// may, or its session proposed another one since. What a person pushed to, cancelled or asked for
/// again is that person's.
#[must_use]
pub fn closes(tables: &Tables, known: &Known) -> Closes {
    let car = known.entered.as_ref().and_then(|entered| tables.cars.get(&entered.car));
    let served =
        car.is_some_and(|car| landed_outside(car, known) || has_served(tables, car, known));
    if served { Closes::Yes } else { Closes::No }
}

fn landed_outside(car: &Car, known: &Known) -> bool {
    let outside = matches!(car.state, State::Landed { passage: Passage::Outside, .. });
    outside && known.head().as_str() == car.head
}

fn has_served(tables: &Tables, car: &Car, known: &Known) -> bool {
    let is_ours = known.shows.as_ref().is_some_and(|shows| shows.car == car.id);
    if !is_ours || known.submitted().is_none() || known.cancelled.is_some() {
        return false;
    }
    match &car.state {
        State::Ejected { ejection: Ejection::Superseded | Ejection::Dequeued, .. } => true,
        State::Ejected { .. } => tables.cars.values().any(|other| is_next(car, other)),
        _ => false,
    }
}

/// Whether the same session proposed another change after this one.
fn is_next(car: &Car, other: &Car) -> bool {
    other.repo == car.repo
        && other.proposer == car.proposer
        && other.origin == car.origin
        && other.id > car.id
}
