//! Locks of fleet reach: one holder, a line, and a delay after a silent loss.
//!
//! Not here: slots and builds, which use the same holds; and stopping the
//! processes of a holder, which its own host does.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::board::{Caller, Draft, Event, Invalid, Refusal, Reply};
use crate::claim::Otherwise;
use crate::fault::fault;
use crate::hold::{End, Hold, Holder, Waiter};
use crate::id::{BoardTime, HoldId, SessionId};
use crate::name::{LockName, RepoName};
use crate::session::Session;
use crate::{build, slot, wait};

/// Locks, slots and builds that one holder uses or waits for at most.
pub const MAX_USES: usize = 12;

/// A lock of one repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LockKey {
    /// The repository.
    pub repo: RepoName,
    /// The lock.
    pub name: LockName,
}

impl From<LockKey> for String {
    fn from(key: LockKey) -> String {
        format!("{},{}", key.repo, key.name)
    }
}

impl TryFrom<String> for LockKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (repo, name) =
            text.split_once(',').ok_or_else(|| format!("`{text}` is no lock key"))?;
        Ok(Self {
            repo: repo.parse().map_err(|error| format!("{error}"))?,
            name: name.parse().map_err(|error| format!("{error}"))?,
        })
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// A lock that somebody holds, waits for, or held a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Held, or closed after a loss.
    pub state: State,
    /// Who waits, first come first.
    pub line: Vec<Waiter>,
}

/// Whether a lock can be granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// One holder.
    Held(Hold),
    /// The holder fell silent; its processes stop by themselves before this is over.
    Delayed {
        /// Until when.
        until: BoardTime,
        /// Who fell silent: its host's word that the processes are gone opens the lock at once.
        #[serde(default)]
        last: Option<Hold>,
    },
}

/// Takes a lock, or a place in its line.
pub(crate) fn acquire(
    draft: &mut Draft<'_>,
    session: &Session,
    name: &LockName,
    what: &str,
    otherwise: Otherwise,
) -> Result<Reply, Box<Refusal>> {
    let key = LockKey { repo: session.repo.clone(), name: name.clone() };
    let holder = Holder::Session(session.id);
    let lock = draft.tables.locks.get(&key).cloned();
    limited("what", what, 500)?;
    if let Some(reply) = lock.as_ref().and_then(|lock| known(lock, holder, what)) {
        return Ok(reply);
    }
    may_use_more(draft, holder)?;
    let waiter = Waiter {
        id: HoldId::from_counter(draft.number()),
        holder,
        host: session.host.clone(),
        since: draft.now.board,
        what: what.to_owned(),
    };
    let Some(mut lock) = lock else {
        let hold = waiter.granted(draft.fence(), draft.now.board);
        return Ok(grant(draft, key, hold, Vec::new()));
    };
    let ahead = lock.line.len() as u32;
    if otherwise == Otherwise::Refuse {
        let hold = match lock.state {
            State::Held(hold) => Some(hold),
            State::Delayed { .. } => None,
        };
        let holder = hold.as_ref().and_then(|hold| draft.name_of(hold.holder));
        return Err(Refusal::LockHeld { lock: name.clone(), hold, holder, ahead }.into());
    }
    let held = match &lock.state {
        State::Held(hold) => Some(hold.holder),
        State::Delayed { .. } => None,
    };
    refuse_circle(draft, held, &lock.line, holder, &key.to_string())?;
    draft.record(Event::Waits { hold: waiter.id, holder, line: key.to_string(), ahead });
    let reply = Reply::Waiting { hold: waiter.id, ahead };
    lock.line.push(waiter);
    draft.tables.locks.put(key, lock);
    Ok(reply)
}

/// Refuses a place in a line behind one holder where it would close a circle.
pub(crate) fn refuse_circle(
    draft: &Draft<'_>,
    held: Option<Holder>,
    line: &[Waiter],
    holder: Holder,
    on: &str,
) -> Result<(), Box<Refusal>> {
    if held == Some(holder) {
        // Another run of the same session has it: a run inside that run would wait for ever.
        return Err(wait::own(on));
    }
    let before = held.into_iter().chain(line.iter().map(|waiter| waiter.holder));
    wait::refuse_cycle(draft, vec![wait::Wait::for_all(holder, on, before)])
}

/// How many locks, slots and builds a holder uses or waits for.
pub(crate) fn uses(draft: &Draft<'_>, holder: Holder) -> usize {
    let waits = |line: &[Waiter]| line.iter().filter(|waiter| waiter.holder == holder).count();
    let locks = draft.tables.locks.iter().map(|(_, lock)| {
        let held = matches!(&lock.state, State::Held(hold) if hold.holder == holder);
        usize::from(held) + waits(&lock.line)
    });
    let slots = draft.tables.slots.iter().map(|(_, slots)| {
        slots.used.values().filter(|hold| hold.holder == holder).count() + waits(&slots.line)
    });
    let builds = draft.tables.builds.iter().map(|(_, build)| match build {
        build::Build::Building { hold, line } => usize::from(hold.holder == holder) + waits(line),
        build::Build::Built { .. } | build::Build::Failed { .. } => 0,
    });
    locks.chain(slots).chain(builds).sum()
}

/// Refuses one more use than [`MAX_USES`].
pub(crate) fn may_use_more(draft: &Draft<'_>, holder: Holder) -> Result<(), Box<Refusal>> {
    if uses(draft, holder) < MAX_USES {
        return Ok(());
    }
    let problem = format!("{MAX_USES} locks, slots and builds already: end a run first");
    Err(Invalid::field("holds", problem).into())
}

/// What the caller has already: asking again for the same run is success.
fn known(lock: &Lock, holder: Holder, what: &str) -> Option<Reply> {
    if let State::Held(hold) = &lock.state
        && hold.holder == holder
        && hold.what == what
    {
        return Some(Reply::Held { hold: Box::new(hold.clone()), slot: None });
    }
    let mine = |waiter: &Waiter| waiter.holder == holder && waiter.what == what;
    let ahead = lock.line.iter().position(mine)?;
    Some(Reply::Waiting { hold: lock.line[ahead].id, ahead: ahead as u32 })
}

fn grant(draft: &mut Draft<'_>, key: LockKey, hold: Hold, line: Vec<Waiter>) -> Reply {
    draft.record(Event::LockGranted {
        repo: key.repo.clone(),
        lock: key.name.clone(),
        hold: hold.id,
        holder: hold.holder,
        fence: hold.fence,
    });
    draft.tables.locks.put(key, Lock { state: State::Held(hold.clone()), line });
    Reply::Held { hold: Box::new(hold), slot: None }
}

/// Serves the line of a lock that nobody holds.
fn serve(draft: &mut Draft<'_>, key: LockKey, mut line: Vec<Waiter>) {
    if line.is_empty() {
        draft.tables.locks.delete(&key);
        return;
    }
    let first = line.remove(0);
    let hold = first.granted(draft.fence(), draft.now.board);
    grant(draft, key, hold, line);
}

/// Ends a hold, or leaves the line: of a lock, a slot, or a build that is given up.
pub(crate) fn release_hold(
    draft: &mut Draft<'_>,
    caller: &Caller,
    id: HoldId,
    end: End,
) -> Result<Reply, Box<Refusal>> {
    let Some(place) = find(draft, id) else {
        // Released before, by the wrapper or by its host: the wish is fulfilled.
        return Ok(Reply::Done);
    };
    let (holder, host) = match &place {
        Place::Lock(_, holder, host)
        | Place::Slot(_, holder, host)
        | Place::Build(_, holder, host) => (*holder, host.clone()),
    };
    let own = match caller {
        Caller::Session(credentials) => {
            let session = crate::session::check(draft.board().tables(), credentials)?;
            holder == Holder::Session(session.id)
        }
        Caller::Host(name) => *name == host,
        Caller::Operator(_) | Caller::Coordinator => true,
        Caller::Nobody => false,
    };
    if !own {
        return Err(
            Refusal::Lost { what: id.to_string(), reason: "it is not yours".to_owned() }.into()
        );
    }
    match place {
        Place::Lock(key, ..) => end_lock(draft, &key, id, end),
        Place::Slot(key, ..) => slot::end(draft, &key, id, end),
        Place::Build(key, ..) => build::give_up(draft, &key, id),
    }
    Ok(Reply::Done)
}

enum Place {
    Lock(LockKey, Holder, crate::name::HostName),
    Slot(slot::SlotKey, Holder, crate::name::HostName),
    Build(build::BuildKey, Holder, crate::name::HostName),
}

fn find(draft: &Draft<'_>, id: HoldId) -> Option<Place> {
    for (key, lock) in draft.tables.locks.iter() {
        if let State::Held(hold) | State::Delayed { last: Some(hold), .. } = &lock.state
            && hold.id == id
        {
            return Some(Place::Lock(key.clone(), hold.holder, hold.host.clone()));
        }
        if let Some(waiter) = lock.line.iter().find(|waiter| waiter.id == id) {
            return Some(Place::Lock(key.clone(), waiter.holder, waiter.host.clone()));
        }
    }
    for (key, slots) in draft.tables.slots.iter() {
        if let Some((holder, host)) = slots.whose(id) {
            return Some(Place::Slot(key.clone(), holder, host));
        }
    }
    for (key, build) in draft.tables.builds.iter() {
        if let Some((holder, host)) = build.whose(id) {
            return Some(Place::Build(key.clone(), holder, host));
        }
    }
    None
}

/// Ends a hold of a lock, or a place in its line.
pub(crate) fn end_lock(draft: &mut Draft<'_>, key: &LockKey, id: HoldId, end: End) {
    let Some(mut lock) = draft.tables.locks.get(key).cloned() else {
        return;
    };
    if let Some(at) = lock.line.iter().position(|waiter| waiter.id == id) {
        let waiter = lock.line.remove(at);
        let line = key.to_string();
        draft.record(Event::WaitEnded { hold: id, holder: waiter.holder, line });
        draft.tables.locks.put(key.clone(), lock);
        return;
    }
    let hold = match lock.state {
        State::Held(hold) if hold.id == id => hold,
        // Its host says now what was not known when it fell silent.
        State::Delayed { last: Some(hold), .. } if hold.id == id && end == End::Gone => hold,
        State::Held(_) | State::Delayed { .. } => return,
    };
    let (repo, name) = (key.repo.clone(), key.name.clone());
    draft.record(Event::LockFreed { repo, lock: name, hold: id, end });
    if end == End::Gone || fault!(DelaySkipped) {
        serve(draft, key.clone(), lock.line);
        return;
    }
    let until = certainly_gone(draft, hold.holder);
    let closed = Lock { state: State::Delayed { until, last: Some(hold) }, line: lock.line };
    draft.tables.locks.put(key.clone(), closed);
}

/// When the processes of a holder have certainly ended, if nobody sees them end.
///
/// They stop by themselves when their session was not renewed for its ttl; one that is
/// dissolved while it is renewed may run until then.
fn certainly_gone(draft: &Draft<'_>, holder: Holder) -> BoardTime {
    let now = draft.now.board;
    let lease = match holder {
        Holder::Session(id) => draft.last_sign(id).plus(draft.spans().session_ttl),
        Holder::Job(_) => now,
    };
    lease.max(now).plus(draft.spans().delay)
}

/// Opens locks whose delay is over.
pub(crate) fn open_delayed(draft: &mut Draft<'_>) {
    let due: Vec<LockKey> = draft
        .tables
        .locks
        .iter()
        .filter(|(_, lock)| {
            matches!(lock.state, State::Delayed { until, .. } if until <= draft.now.board)
        })
        .map(|(key, _)| key.clone())
        .take(draft.room())
        .collect();
    for key in due {
        let line = draft.tables.locks.get(&key).map(|lock| lock.line.clone()).unwrap_or_default();
        let (repo, lock) = (key.repo.clone(), key.name.clone());
        draft.record(Event::LockOpened { repo, lock });
        serve(draft, key, line);
    }
}

/// Closes the locks of a session that is gone until its processes certainly are.
pub(crate) fn lose(draft: &mut Draft<'_>, session: SessionId) {
    let holder = Holder::Session(session);
    let held: Vec<(LockKey, HoldId)> = draft
        .tables
        .locks
        .iter()
        .filter_map(|(key, lock)| match &lock.state {
            State::Held(hold) if hold.holder == holder => Some((key.clone(), hold.id)),
            _ => None,
        })
        .collect();
    for (key, id) in held {
        end_lock(draft, &key, id, End::Silent);
    }
}

/// Takes a holder out of every lock's line.
pub(crate) fn leave_lines(draft: &mut Draft<'_>, holder: Holder) {
    let waits: Vec<(LockKey, HoldId)> = draft
        .tables
        .locks
        .iter()
        .flat_map(|(key, lock)| lock.line.iter().map(move |waiter| (key, waiter)))
        .filter(|(_, waiter)| waiter.holder == holder)
        .map(|(key, waiter)| (key.clone(), waiter.id))
        .collect();
    for (key, id) in waits {
        end_lock(draft, &key, id, End::Gone);
    }
}

/// That a lock's or pool's name is not one of the policy's.
pub(crate) fn unknown(kind: &str, name: &str, known: &[&str]) -> Box<Refusal> {
    let nearest = crate::scope::nearest(name, known.iter().copied()).map(str::to_owned);
    Refusal::NotFound { kind: kind.to_owned(), name: name.to_owned(), nearest }.into()
}

/// That a field is too long for a record.
pub(crate) fn limited(field: &str, text: &str, limit: usize) -> Result<(), Box<Refusal>> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(Invalid::field(field, format!("{} bytes, the limit is {limit}", text.len())).into())
}
