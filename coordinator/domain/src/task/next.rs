//! The work that comes next: the first ready task whose scopes are free.
//!
//! Tasks that touch the same scopes have the same turn and the same hindrances,
//! so only the first of each such list is looked at. Not here: whose work a plan
//! makes it ([`crate::plan`]).

use std::collections::{BTreeMap, btree_set};

use super::{State, Task, needs, taken, taken_by, undone};
use crate::board::{Board, Draft, Event, Place, Refusal, Reply};
use crate::claim;
use crate::plan::{Guide, Turn};
use crate::scope::ScopeName;
use crate::session::Session;

/// Reasons why nothing is ready that one refusal tells.
const REASONS: usize = 5;

/// Takes the first task that is ready, together with its scopes, in one decision.
pub(crate) fn next(draft: &mut Draft<'_>, session: &Session) -> Result<Reply, Box<Refusal>> {
    if let Some(task) = taken_by(draft, session.id) {
        return Ok(taken(draft, &task));
    }
    let repo = draft.repo(&session.repo)?;
    let guide = Guide::of(draft, session, repo);
    let board = draft.board();
    let (mut reasons, mut closed) = (Vec::new(), Closed::default());
    let mut turns = Turns::of(board, session, guide.as_ref());
    while let Some((task, those_like_it)) = turns.first() {
        let hindrance = match closed.hindrance(draft, session, &task.scopes) {
            // Those like it would be passed over in silence too.
            Some(_) if reasons.len() == REASONS => continue,
            Some(reason) => reason,
            None => match take(draft, session, Task::clone(task)) {
                Ok(reply) => {
                    if let Some(guide) = guide {
                        guide.taken(draft, session, task);
                    }
                    return Ok(reply);
                }
                Err(refusal) => first_line(&refusal),
            },
        };
        if reasons.len() < REASONS {
            reasons.push(format!("{} {hindrance}", task.id));
        }
        turns.then(those_like_it);
    }
    let undone = board.open_tasks(&session.repo).filter_map(|task| {
        let needed = undone(board.tables(), task)?;
        Some(format!("{} {}", task.id, needs(needed)))
    });
    reasons.extend(undone.take(REASONS - reasons.len()));
    Err(Refusal::NothingReady { reasons }.into())
}

/// The ready tasks in the order in which a session is to take them.
struct Turns<'a> {
    board: &'a Board,
    /// The first of each list of scopes, and those like it.
    firsts: BTreeMap<(Turn, Place), btree_set::Iter<'a, Place>>,
}

/// Tasks with the scopes of one that came before them.
struct Like<'a>(Turn, btree_set::Iter<'a, Place>);

impl<'a> Turns<'a> {
    fn of(board: &'a Board, session: &Session, guide: Option<&Guide>) -> Self {
        let mut turns = Self { board, firsts: BTreeMap::new() };
        for (scopes, places) in board.index().ready(&session.repo) {
            // Without a plan it is everybody's turn: the order is that of priority and age.
            let turn = guide.map_or(Turn::Nobodys, |guide| guide.turn(scopes));
            turns.then(Like(turn, places.iter()));
        }
        turns
    }

    /// The first task, and those like it.
    fn first(&mut self) -> Option<(&'a Task, Like<'a>)> {
        let ((turn, (_, id)), rest) = self.firsts.pop_first()?;
        let task = self.board.tables().tasks.get(&id)?;
        Some((task, Like(turn, rest)))
    }

    /// Goes on with the next of these when it is its turn.
    fn then(&mut self, Like(turn, mut rest): Like<'a>) {
        if let Some(place) = rest.next() {
            self.firsts.insert((turn, *place), rest);
        }
    }
}

/// What was found to be in the way of scopes, so that each list of them is looked at once.
#[derive(Default)]
struct Closed(BTreeMap<Vec<ScopeName>, Option<String>>);

impl Closed {
    /// Why a task with these scopes cannot be taken by a session now.
    fn hindrance(
        &mut self,
        draft: &Draft<'_>,
        session: &Session,
        scopes: &[ScopeName],
    ) -> Option<String> {
        if let Some(known) = self.0.get(scopes) {
            return known.clone();
        }
        let refusal = claim::obstacle(draft, session, scopes);
        let reason = refusal.map(|refusal| match *refusal {
            Refusal::ScopeHeld { obstacle, holder, .. } => {
                format!("waits for {} of {holder}", obstacle.held)
            }
            other => first_line(&other),
        });
        self.0.insert(scopes.to_vec(), reason.clone());
        reason
    }
}

fn first_line(refusal: &Refusal) -> String {
    refusal.to_string().lines().next().unwrap_or_default().to_owned()
}

fn take(draft: &mut Draft<'_>, session: &Session, task: Task) -> Result<Reply, Box<Refusal>> {
    let claim = if task.scopes.is_empty() {
        None
    } else {
        let wanted = claim::Wanted {
            scopes: task.scopes.clone(),
            globs: Vec::new(),
            why: task.title.clone(),
            task: Some(task.id),
            mode: claim::Mode::Exclusive,
            risk: None,
            tests: Vec::new(),
            max: None,
            otherwise: claim::Otherwise::Refuse,
        };
        match claim::claim(draft, session, &wanted)? {
            Reply::Granted { claim, .. } => Some(claim),
            other => unreachable!("a request that may not wait is granted or refused: {other:?}"),
        }
    };
    let (id, now) = (task.id, draft.now.board);
    let claim_id = claim.as_ref().map(|claim| claim.id);
    draft.record(Event::TaskTaken {
        task: id,
        session: session.id,
        name: session.name.clone(),
        claim: claim_id,
    });
    let state = State::Taken { session: session.id, claim: claim_id, since: now };
    let task = Task { state, ..task };
    draft.tables.tasks.put(id, task.clone());
    Ok(Reply::TaskTaken { task: Box::new(task), claim })
}
