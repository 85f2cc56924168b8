//! Cars of pull requests: nobody's session stands behind them, so what a session's claims and
//! an operator's word do for others, a person's look at the head does here. A session's car that a
//! pull request shows is one of them too, but for its claims: what is in its way at the forge puts it
//! aside, not out. Not here: the pull request itself ([`crate::pull`]).

use super::approval::{let_on, withhold};
use super::gates::cancel_needless;
use super::order::{ahead, check_open, eject, may_leave, open_cars_that, put_in, refuse_landed};
use super::{Announced, Approval, Car, Ejection, Need, Origin, Proposer, PullAt, State};
use crate::board::{Draft, Event, Refusal};
use crate::fault::fault;
use crate::id::CarId;
use crate::name::AgentName;
use crate::pull::PullKey;

/// A pull request that enters.
#[derive(Debug)]
pub(crate) struct Entering<'a> {
    pub(crate) key: &'a PullKey,
    pub(crate) head: &'a str,
    pub(crate) title: &'a str,
    pub(crate) body: &'a str,
    /// Who opened it.
    pub(crate) login: &'a str,
    pub(crate) origin: &'a Origin,
    /// The word of who looked at this head.
    pub(crate) approval: Option<Approval>,
}

/// The cars of a pull request that are on their way; beside one whose landing is decided there
/// may be one of a newer head.
pub(crate) fn cars_of_pull(draft: &Draft<'_>, key: &PullKey) -> Vec<Car> {
    let number = |car: &Car| match car.proposer {
        Proposer::Session(_) if fault!(ShownIsNoCar) => None,
        _ => car.pull(),
    };
    open_cars_that(draft, &key.repo, |car| number(car) == Some(key.number))
}

/// Puts a pull request's head into the train; one that is in it already keeps its place.
pub(crate) fn enter(
    draft: &mut Draft<'_>,
    entering: Entering<'_>,
) -> Result<(CarId, u32), Box<Refusal>> {
    let Entering { key, head, title, body, login, origin, approval } = entering;
    check_open(draft, &key.repo)?;
    if let Some(car) = cars_of_pull(draft, key).into_iter().find(|car| car.head == head) {
        return Ok((car.id, ahead(draft, &car)));
    }
    refuse_landed(draft, &key.repo, head)?;
    eject_pull(draft, key, &Ejection::Superseded);
    let car = Car {
        id: CarId::from_counter(draft.number()),
        repo: key.repo.clone(),
        proposer: Proposer::Pull(key.number),
        shown: None,
        agent: AgentName::of_login(login),
        head: head.to_owned(),
        title: title.to_owned(),
        body: body.to_owned(),
        claims: Vec::new(),
        parts: Vec::new(),
        globs: Vec::new(),
        announced: Announced::NotAll,
        submitted: draft.now.board,
        proposed: draft.now.wall,
        origin: origin.clone(),
        approval: None,
        overrides: Vec::new(),
        declined: false,
        state: State::Queued,
    };
    let (id, ahead) = (car.id, ahead(draft, &car));
    put_in(draft, car);
    if let Some(approval) = approval {
        let_pull_on(draft, key, head, &approval);
    }
    Ok((id, ahead))
}

/// Takes the cars of a pull request out; what is decided to land stays. Says whether there was one.
pub(crate) fn eject_pull(draft: &mut Draft<'_>, key: &PullKey, ejection: &Ejection) -> bool {
    let mut cars = cars_of_pull(draft, key);
    cars.retain(|car| !matches!(car.state, State::Landing { .. }));
    let found = !cars.is_empty();
    for car in cars {
        eject(draft, car, ejection.clone());
    }
    found
}

/// Takes note of the pull request that shows a session's car, which goes on if it was put aside
/// meanwhile.
pub(crate) fn show(draft: &mut Draft<'_>, car: Car, at: PullAt) {
    let car = Car { shown: Some(at), ..car };
    draft.tables.cars.put(car.id, car.clone());
    if is_hindered(&car) {
        go_on(draft, car);
    }
}

/// Puts a car aside until the forge has what it asks for; one that waits for a person already
/// stays where it is.
pub(crate) fn hinder(draft: &mut Draft<'_>, car: Car, code: &str, what: &str) {
    let need = Need::Forge { code: code.to_owned(), what: what.to_owned() };
    let yields = match &car.state {
        State::Queued | State::Building { .. } | State::Ready { .. } => true,
        State::Withheld { need: before @ Need::Forge { .. } } => *before != need,
        State::Withheld { .. }
        | State::Landing { .. }
        | State::Landed { .. }
        | State::Ejected { .. } => false,
    };
    if yields {
        withhold(draft, car, need);
        cancel_needless(draft);
    }
}

/// Puts the car of a pull request out that the forge hinders, or aside if a session proposed it.
/// Says whether one is out.
pub(crate) fn hinder_pull(
    draft: &mut Draft<'_>,
    key: &PullKey,
    (code, what): (&str, &str),
) -> bool {
    let is_sessions = |car: &Car| matches!(car.proposer, Proposer::Session(_));
    let (own, others): (Vec<Car>, Vec<Car>) =
        cars_of_pull(draft, key).into_iter().partition(is_sessions);
    own.into_iter().for_each(|car| hinder(draft, car, code, what));
    let others: Vec<Car> =
        others.into_iter().filter(|car| !matches!(car.state, State::Landing { .. })).collect();
    let found = !others.is_empty();
    for car in others {
        let (code, what) = (code.to_owned(), what.to_owned());
        eject(draft, car, Ejection::Hindered { code, what });
    }
    found
}

/// Lets the car with this head go on, if the forge hindered it; it.
pub(crate) fn admit(draft: &mut Draft<'_>, key: &PullKey, head: &str) -> Option<CarId> {
    let mut cars = cars_of_pull(draft, key).into_iter();
    let car = cars.find(|car| car.head == head && is_hindered(car))?;
    let id = car.id;
    go_on(draft, car);
    Some(id)
}

fn is_hindered(car: &Car) -> bool {
    matches!(car.state, State::Withheld { need: Need::Forge { .. } })
}

fn go_on(draft: &mut Draft<'_>, car: Car) {
    let (name, head) = (car.agent.clone(), car.head.clone());
    draft.record(Event::Admitted { car: car.id, name, head });
    draft.tables.cars.put(car.id, Car { state: State::Queued, ..car });
}

/// Takes the cars of a pull request out whose head is another one now, with the `last` that
/// ended if that could be tried again: what was said of its head would count once more.
pub(crate) fn head_moved(draft: &mut Draft<'_>, key: &PullKey, last: Option<CarId>, now: &str) {
    let ejection = Ejection::HeadMoved { now: now.to_owned() };
    let ended = last.and_then(|id| draft.tables.cars.get(&id)).filter(|car| !car.state.is_open());
    let ended = ended.filter(|car| may_leave(car)).cloned();
    eject_pull(draft, key, &ejection);
    if let Some(car) = ended {
        eject(draft, car, ejection);
    }
}

/// Lets the cars of a pull request go on that have the head that a person looked at.
pub(crate) fn let_pull_on(draft: &mut Draft<'_>, key: &PullKey, head: &str, approval: &Approval) {
    for car in cars_of_pull(draft, key) {
        let waits = car.approval.is_none() && !matches!(car.state, State::Landing { .. });
        if car.head == head && waits {
            let_on(draft, car, approval.clone());
        }
    }
}

/// Why a car of a pull request does not go on whose landing did not happen: what was said while
/// it was decided holds now.
pub(super) fn overtaken(draft: &Draft<'_>, car: &Car) -> Option<Ejection> {
    let number = car.pull()?;
    let known = draft.tables.pulls.get(&PullKey::of(&car.repo, number))?;
    let now = known.head();
    if now.as_str() != car.head {
        return Some(Ejection::HeadMoved { now: now.to_string() });
    }
    (known.cancelled.as_ref() == Some(now)).then_some(Ejection::Dequeued)
}

/// That a car of a pull request may come back: only the last one may, with the head now.
pub(super) fn check_last(draft: &Draft<'_>, car: &Car) -> Result<(), Box<Refusal>> {
    let Some(number) = car.pull() else { return Ok(()) };
    let key = PullKey::of(&car.repo, number);
    let known = draft.tables.pulls.get(&key);
    let is_last = known.is_some_and(|known| {
        let last = known.entered.as_ref().is_some_and(|entered| entered.car == car.id);
        last && known.head().as_str() == car.head
    });
    if is_last {
        return Ok(());
    }
    let reason = format!("{} is not what {key} is in the train with", car.id);
    Err(Refusal::Closed { reason }.into())
}
