//! A comment is heard: what it asks for is done, all of it or nothing, and once.
//!
//! Comments are heard in the order of their numbers, and the desk remembers the last one in the
//! same decision that does what it says. Not here: what a comment says ([`super::command`]), and
//! how it was read.

use super::admission::{Asked, How};
use super::command::{self, Author, Command, Comment, Edits, Handle, Reason, Subject};
use super::desk::desk;
use super::words::{Answer, cut};
use super::{AskedIn, CommitId, Desk, ForgeTime, Known, Look, PullKey, Right, UserId, bind};
use crate::board::{Draft, Event, Refusal, Reply};
use crate::fault::fault;
use crate::id::{BoardTime, JobId};
use crate::name::GateName;
use crate::train::{self, Approval, Car, Ejection, Override, State};

/// The longest login that is kept, in bytes.
const MAX_LOGIN: usize = 100;

/// A comment that was read. Its text is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its number at the forge; later ones have greater numbers.
    pub id: u64,
    /// When it was written.
    pub written: ForgeTime,
    /// Who wrote it.
    pub by: UserId,
    /// What they call themselves.
    pub login: String,
    /// What they may do, read just now.
    pub right: Right,
    /// Whose account it is.
    pub author: Author,
    /// Whether it is as it was written.
    pub edits: Edits,
    /// Its text.
    pub text: String,
    /// The name that commands begin with.
    pub handle: Handle,
}

/// A command of a comment that may be done, with the head that it is about.
enum Order {
    Land(CommitId),
    Cancel,
    Look(CommitId, Reason),
    Retry(Box<Car>, JobId),
    Override(Box<Car>, Override),
    Why,
}

/// Takes a comment, unless it was taken before.
pub(crate) fn hear(
    draft: &mut Draft<'_>,
    key: &PullKey,
    heard: &Heard,
) -> Result<Reply, Box<Refusal>> {
    let desk = desk(draft, &key.repo)?;
    if heard.id <= desk.comment && !fault!(CommentHeardTwice) {
        return Ok(Reply::Done);
    }
    let (comment, since) = (heard.id.max(desk.comment), heard.written.max(desk.since));
    draft.tables.desks.put(key.repo.clone(), Desk { comment, since, ..desk });
    let Some(mut known) = draft.tables.pulls.get(key).cloned() else { return Ok(Reply::Done) };
    match orders(draft, &known, heard) {
        Ok(orders) if orders.is_empty() => return Ok(Reply::Done),
        Ok(orders) => {
            for order in orders {
                carry_out(draft, &mut known, heard, order);
            }
        }
        Err(problem) => answer(draft, &mut known, heard, Answer::undone(&heard.login, &problem)),
    }
    draft.tables.pulls.put(key.clone(), known);
    Ok(Reply::Done)
}

/// What is to be done, if all of it can be.
fn orders(draft: &Draft<'_>, known: &Known, heard: &Heard) -> Result<Vec<Order>, String> {
    let comment = Comment { by: heard.author, edits: heard.edits, text: &heard.text };
    let commands = command::hear(&heard.handle, &comment).map_err(|misread| misread.to_string())?;
    commands.into_iter().map(|command| order(draft, known, heard, command)).collect()
}

fn order(
    draft: &Draft<'_>,
    known: &Known,
    heard: &Heard,
    command: Command,
) -> Result<Order, String> {
    if !command.is_allowed(heard.by, heard.right, known.opened_by) {
        let (word, needs, right) = (command.word(), command.needs(), heard.right);
        return Err(format!("`{word}` takes the right to {needs}, who wrote it has {right}"));
    }
    let bound = |head: Option<CommitId>| {
        bind(head.as_ref(), heard.written, &known.seen).map_err(|unbound| unbound.to_string())
    };
    Ok(match command {
        Command::Land { head } => Order::Land(bound(head)?),
        Command::Cancel => Order::Cancel,
        Command::Retry { gate, head } => {
            bound(head)?;
            let (car, job) = interrupted(draft, known, &gate)?;
            Order::Retry(Box::new(car), job)
        }
        Command::Approve { subject: Subject::Head, head, reason } => {
            Order::Look(bound(head)?, reason)
        }
        Command::Approve { subject: Subject::Gate(gate), head, reason } => {
            bound(head)?;
            let car = last_car(draft, known)?;
            let by = (person(&heard.login, heard.by), reason.as_str());
            let given = train::may_override(draft, car, &gate, by);
            Order::Override(Box::new(car.clone()), given.map_err(|refusal| refusal.to_string())?)
        }
        Command::Priority(_) => {
            return Err("the train has one order, and no priorities yet".to_owned());
        }
        Command::Why => Order::Why,
    })
}

/// Somebody at the forge, as the audit names them.
fn person(login: &str, id: UserId) -> String {
    format!("@{} (github {})", cut(login, MAX_LOGIN), id.0)
}

/// What the pull request was last in the train. What was cancelled is asked for again first.
fn last_car<'a>(draft: &'a Draft<'_>, known: &Known) -> Result<&'a Car, String> {
    if known.cancelled.as_ref() == Some(known.head()) {
        return Err("it was cancelled at this head: ask for it to land first".to_owned());
    }
    let entered = known.entered.as_ref().and_then(|entered| draft.tables.cars.get(&entered.car));
    entered.ok_or_else(|| "it was not in the train".to_owned())
}

/// The last car of a pull request, if a run of this gate that says nothing about the change took
/// it out.
fn interrupted(draft: &Draft<'_>, known: &Known, gate: &GateName) -> Result<(Car, JobId), String> {
    let car = last_car(draft, known)?;
    let by_gate = matches!(&car.state, State::Ejected { ejection, .. }
        if matches!(ejection, Ejection::GateFailed { gate: failed, .. } if failed == gate));
    if !by_gate {
        return Err(format!("{} was not ejected by gate {gate}: {}", car.id, state(car)));
    }
    let job = train::may_retry(draft, car).map_err(|refusal| refusal.to_string())?;
    Ok((car.clone(), job))
}

fn carry_out(draft: &mut Draft<'_>, known: &mut Known, heard: &Heard, order: Order) {
    match order {
        Order::Land(head) => land(draft, known, heard, head),
        Order::Cancel => cancel(draft, known, heard),
        Order::Look(head, reason) => look(draft, known, heard, head, &reason),
        // The same gate may be named twice in one comment.
        Order::Retry(car, job) if draft.tables.cars.get(&car.id) == Some(&*car) => {
            train::put_back(draft, *car, job);
        }
        Order::Override(car, given) if draft.tables.cars.get(&car.id) == Some(&*car) => {
            train::put_override(draft, *car, given);
        }
        Order::Retry(..) | Order::Override(..) => {}
        Order::Why => {
            known.told.digest.clear();
            let so = Answer::new(&heard.login, &so(draft, known));
            answer(draft, known, heard, so);
        }
    }
}

fn land(draft: &mut Draft<'_>, known: &mut Known, heard: &Heard, head: CommitId) {
    draft.record(Event::PullAsked {
        repo: known.repo.clone(),
        number: known.number,
        head: head.to_string(),
        by: heard.by,
        comment: heard.id,
    });
    let asked = Asked { by: heard.by, right: heard.right, head, how: How::Command };
    known.asked = Some(AskedIn { comment: heard.id, asked });
    known.cancelled = None;
}

fn cancel(draft: &mut Draft<'_>, known: &mut Known, heard: &Heard) {
    draft.record(Event::PullCancelled {
        repo: known.repo.clone(),
        number: known.number,
        head: known.head().to_string(),
        by: heard.by,
        comment: heard.id,
    });
    known.asked = None;
    known.cancelled = Some(known.head().clone());
    train::eject_pull(draft, &known.key(), &Ejection::Dequeued);
}

fn look(draft: &mut Draft<'_>, known: &mut Known, heard: &Heard, head: CommitId, reason: &Reason) {
    let look = Look {
        head,
        by: heard.by,
        login: cut(&heard.login, MAX_LOGIN),
        right: heard.right,
        reason: reason.as_str().to_owned(),
        comment: heard.id,
    };
    draft.record(Event::PullLooked {
        repo: known.repo.clone(),
        number: known.number,
        look: look.clone(),
    });
    train::let_pull_on(draft, &known.key(), look.head.as_str(), &look.approval(draft.now.board));
    known.add_look(look);
}

impl Look {
    /// The look as the approval of a car with the same head.
    pub(super) fn approval(&self, at: BoardTime) -> Approval {
        Approval { by: person(&self.login, self.by), at, reason: self.reason.clone() }
    }
}

fn answer(draft: &mut Draft<'_>, known: &mut Known, heard: &Heard, answer: Answer) {
    draft.record(Event::CommentAnswered {
        repo: known.repo.clone(),
        number: known.number,
        comment: heard.id,
        login: answer.login.clone(),
        problem: answer.problem.clone(),
    });
    known.add_answer(answer);
}

/// Where a pull request is, in one line.
fn so(draft: &Draft<'_>, known: &Known) -> String {
    let car = known.entered.as_ref().and_then(|entered| draft.tables.cars.get(&entered.car));
    match (car, &known.asked, &known.cancelled) {
        (Some(car), _, _) => format!("{} is {}", car.id, state(car)),
        (None, Some(AskedIn { asked, .. }), _) => {
            format!("it was asked for at {} and is not in the train", asked.head.short())
        }
        (None, None, Some(head)) => format!("it was cancelled at {}", head.short()),
        (None, None, None) => "nobody asked for it by a comment".to_owned(),
    }
}

/// Where a car is and why.
fn state(car: &Car) -> String {
    match &car.state {
        State::Ejected { ejection, .. } => ejection.to_string(),
        State::Withheld { need } => format!("{}: {need}", need.reason()),
        state => state.reason().to_owned(),
    }
}
