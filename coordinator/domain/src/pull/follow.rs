//! A pull request is followed: its head moves, it enters the train and leaves it, and is
//! forgotten. Not here: what its comments ask for ([`mod@super::hear`]), and the train's own rules
//! ([`crate::train`]).

use super::words::cut;
use super::{CommitId, Entered, ForgeTime, Known, PullKey, Sighting, Told, UserId};
use crate::board::{Draft, Event, Refusal, Reply};
use crate::fault::fault;
use crate::lock;
use crate::train::{self, Ejection, Entering, Origin};

/// Pull requests of one repository that are known at once.
pub const MAX_PULLS: usize = 5_000;

/// The longest title and text of a car, in bytes: what people wrote is cut there.
const MAX_TITLE: usize = 200;
const MAX_BODY: usize = 16 * 1024;

/// A pull request as it enters the train.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The head that was admitted.
    pub head: CommitId,
    /// Its title, of any length.
    pub title: String,
    /// Its text, of any length.
    pub body: String,
    /// Who opened it, as they call themselves.
    pub login: String,
    /// The comment that asks for it; `None` for a label and the forge's auto-merge.
    pub comment: Option<u64>,
}

/// Why a pull request leaves the train.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It was closed at the forge.
    Closed,
    /// The label or the auto-merge that asked for it is gone.
    Withdrawn,
    /// The forge's rules stand in the way now.
    Hindered {
        /// The stable reason code.
        code: String,
        /// What does.
        what: String,
    },
}

/// A pull request as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read<'a> {
    pub(crate) head: &'a CommitId,
    /// When, by the date of the forge's answer.
    pub(crate) at: ForgeTime,
    pub(crate) origin: &'a Origin,
    pub(crate) opened_by: UserId,
}

/// Takes a pull request as it was read. What was said of the head before does not count for
/// another one, and neither does its car.
pub(crate) fn see(
    draft: &mut Draft<'_>,
    key: &PullKey,
    read: Read<'_>,
) -> Result<Reply, Box<Refusal>> {
    let known = match draft.tables.pulls.get(key).cloned() {
        Some(known) if known.head() == read.head => return Ok(Reply::Done),
        // Nobody changed anything: the branch goes on to the base, or back.
        Some(known) if known.is_moved_to(read.head.as_str()) && !fault!(OwnMoveIsNewHead) => {
            return Ok(Reply::Done);
        }
        Some(mut known) => {
            known.see(read.head, read.at);
            known
        }
        None => first(draft, key, read)?,
    };
    note(draft, key, known, read.head);
    Ok(Reply::Done)
}

/// Takes the forge's word that a branch that we moved is not to be brought back: it is as if
/// somebody had pushed what it has now.
pub(crate) fn keep_head(
    draft: &mut Draft<'_>,
    key: &PullKey,
    head: &CommitId,
    at: ForgeTime,
) -> Result<Reply, Box<Refusal>> {
    let mut known = known(draft, key)?;
    if known.is_moved_to(head.as_str()) {
        known.see(head, at);
        note(draft, key, known, head);
    }
    Ok(Reply::Done)
}

/// Takes note of a pull request with a head that is a new one.
fn note(draft: &mut Draft<'_>, key: &PullKey, known: Known, head: &CommitId) {
    draft.record(Event::PullSeen {
        repo: key.repo.clone(),
        number: key.number,
        head: head.to_string(),
    });
    let last = known.entered.as_ref().map(|entered| entered.car);
    draft.tables.pulls.put(key.clone(), known);
    if !fault!(HeadMovedKeepsCar) {
        train::head_moved(draft, key, last, head.as_str());
    }
}

pub(super) fn first(
    draft: &Draft<'_>,
    key: &PullKey,
    read: Read<'_>,
) -> Result<Known, Box<Refusal>> {
    draft.repo(&key.repo)?;
    read.origin.check()?;
    let known = draft.tables.pulls.iter().filter(|(other, _)| other.repo == key.repo).count();
    if known >= MAX_PULLS {
        let reason = format!("{known} pull requests of {} are known, the limit", key.repo);
        return Err(Refusal::Closed { reason }.into());
    }
    let sighting = Sighting { head: read.head.clone(), at: read.at };
    Ok(Known::new(key, sighting, read.origin.clone(), read.opened_by))
}

/// Puts an admitted head into the train. The same wish enters once, however it ends there.
pub(crate) fn enter(
    draft: &mut Draft<'_>,
    key: &PullKey,
    entry: &Entry,
) -> Result<Reply, Box<Refusal>> {
    let mut known = known(draft, key)?;
    if entry.head != *known.head() {
        let (given, current) = (entry.head.to_string(), known.head().to_string());
        return Err(Refusal::Stale { what: format!("the head of {key}"), given, current }.into());
    }
    if let Some(car) = train::admit(draft, key, entry.head.as_str()) {
        // What asked for it meanwhile is done by that.
        let comment = known.entered.as_ref().and_then(|it| it.comment).max(entry.comment);
        known.entered = Some(Entered { head: entry.head.clone(), comment, car });
        draft.tables.pulls.put(key.clone(), known);
        return Ok(Reply::Submitted { car, ahead: train::ahead_of(draft, car) });
    }
    if let Some(entered) = known.entered.as_ref().filter(|it| it.covers(entry)) {
        let (car, ahead) = (entered.car, train::ahead_of(draft, entered.car));
        return Ok(Reply::Submitted { car, ahead });
    }
    if known.cancelled.as_ref() == Some(&entry.head) && !fault!(CancelledEnters) {
        let reason = format!("{key} was cancelled at this head");
        return Err(Refusal::Closed { reason }.into());
    }
    let entering = Entering {
        key,
        head: entry.head.as_str(),
        title: &cut(&entry.title, MAX_TITLE),
        body: &cut(&entry.body, MAX_BODY),
        login: &entry.login,
        origin: &known.origin,
        approval: known.look().map(|look| look.approval(draft.now.board)),
    };
    let (car, ahead) = train::enter(draft, entering)?;
    known.entered = Some(Entered { head: entry.head.clone(), comment: entry.comment, car });
    draft.tables.pulls.put(key.clone(), known);
    Ok(Reply::Submitted { car, ahead })
}

impl Entered {
    /// Whether what is asked for made this car already. A later comment is another wish.
    fn covers(&self, entry: &Entry) -> bool {
        self.head == entry.head && self.comment >= entry.comment
    }
}

/// Takes a pull request out of the train for a reason of the forge. What was withdrawn or
/// hindered may enter again with the same head; a session's change that is hindered stays.
pub(crate) fn leave(
    draft: &mut Draft<'_>,
    key: &PullKey,
    why: &Left,
) -> Result<Reply, Box<Refusal>> {
    let mut known = known(draft, key)?;
    let ejection = why.ejection();
    let left = match &ejection {
        Ejection::Hindered { code, what } => train::hinder_pull(draft, key, (code, what)),
        _ => train::eject_pull(draft, key, &ejection),
    };
    let may_return = match why {
        Left::Closed => false,
        Left::Withdrawn => true,
        Left::Hindered { .. } => left,
    };
    // Whose landing is decided has not left.
    let entered = known.entered.as_ref().and_then(|it| draft.tables.cars.get(&it.car));
    let stays = entered.is_some_and(|car| car.state.is_open());
    let returns = may_return && !stays && known.entered.take().is_some();
    if returns {
        draft.tables.pulls.put(key.clone(), known);
    }
    if left || returns {
        let (repo, number, reason) = (key.repo.clone(), key.number, ejection.to_string());
        draft.record(Event::PullLeft { repo, number, reason });
    }
    Ok(Reply::Done)
}

impl Left {
    fn ejection(&self) -> Ejection {
        match self {
            Self::Closed => Ejection::Closed,
            Self::Withdrawn => Ejection::Dequeued,
            Self::Hindered { code, what } => {
                Ejection::Hindered { code: cut(code, 100), what: cut(what, 1000) }
            }
        }
    }
}

/// Takes what was said of it at the forge.
pub(crate) fn tell(
    draft: &mut Draft<'_>,
    key: &PullKey,
    told: &Told,
) -> Result<Reply, Box<Refusal>> {
    let known = known(draft, key)?;
    lock::limited("digest", &told.digest, 200)?;
    if known.told != *told {
        draft.tables.pulls.put(key.clone(), Known { told: told.clone(), ..known });
    }
    Ok(Reply::Done)
}

/// Forgets a pull request of which nothing is left to say.
pub(crate) fn forget(draft: &mut Draft<'_>, key: &PullKey) -> Result<Reply, Box<Refusal>> {
    if draft.tables.pulls.get(key).is_none() {
        return Ok(Reply::Done);
    }
    if let Some(car) = train::cars_of_pull(draft, key).first() {
        let reason = format!("{} of {key} is {}", car.id, car.state.reason());
        return Err(Refusal::Closed { reason }.into());
    }
    draft.record(Event::PullForgotten { repo: key.repo.clone(), number: key.number });
    draft.tables.pulls.delete(key);
    Ok(Reply::Done)
}

fn known(draft: &Draft<'_>, key: &PullKey) -> Result<Known, Box<Refusal>> {
    let unknown = || lock::unknown("pull request", &key.to_string(), &[]);
    draft.tables.pulls.get(key).cloned().ok_or_else(unknown)
}
