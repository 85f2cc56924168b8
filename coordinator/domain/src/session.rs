//! Agents at work: who they are, whether they live.
//!
//! A session is renewed by its host's daemon; renewals are kept beside the
//! board, not stored: after a restart every session has its full ttl again.
//! Not here: what a session holds ([`crate::claim`], [`crate::lock`]).

mod signs;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::board::{Caller, Draft, Event, Invalid, Refusal, Reply, Tables};
use crate::fault::fault;
use crate::hold::Holder;
use crate::id::{BoardTime, SessionId};
use crate::name::{AgentName, HostName, RepoName};
use crate::report::{self, Subject};
use crate::{build, claim, lock, slot, task};

use self::signs::Verdict;
pub(crate) use self::signs::{FORMAT as SIGNS_FORMAT, Seen, found as signs_of, listed, reason};
pub use self::signs::{Sign, Told};

/// The longest time to park for.
pub const MAX_PARK: Duration = Duration::from_secs(24 * 60 * 60);

/// One agent at work in one worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The repository it works on.
    pub repo: RepoName,
    /// What it calls itself, made unique among the living.
    pub name: AgentName,
    /// The host whose daemon renews it.
    pub host: HostName,
    /// Whose life is the session's life.
    pub root: Root,
    /// The worktree, for people.
    pub worktree: String,
    /// Digest of the secret that only the session file has.
    pub secret: String,
    /// Raised by every resume; calls of an older one are refused.
    pub epoch: u64,
    /// Whether it lives.
    pub state: State,
    /// When it joined.
    pub joined: BoardTime,
    /// When its epoch began, which counts as a sign of life.
    #[serde(default)]
    pub begun: BoardTime,
}

/// Whose life is the session's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Root {
    /// A process of the host, told apart from a later one of the same number by its start.
    Process {
        /// Process number.
        pid: u32,
        /// When it started, in the host's own unit.
        start: u64,
    },
    /// No process was found: the session lives by being used.
    Use,
}

/// Whether a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// It is renewed.
    Live,
    /// It left for a while and keeps its claims.
    Parked {
        /// Until when.
        until: BoardTime,
    },
    /// It was not renewed, or its root died.
    Lost {
        /// Since when.
        since: BoardTime,
        /// When its claims lapse.
        grace: BoardTime,
        /// What was seen.
        cause: Loss,
    },
}

/// How a session was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// No renewal for the whole ttl: the root may still run.
    Silence,
    /// Its host's daemon saw the root dead.
    RootDead,
}

/// What a caller shows to act as a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The session.
    pub session: SessionId,
    /// Digest of its secret.
    pub secret: String,
    /// The epoch of its last join or resume.
    pub epoch: u64,
}

/// What joins: the fields of the command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joining<'a> {
    pub(crate) repo: &'a RepoName,
    pub(crate) name: &'a AgentName,
    pub(crate) host: &'a HostName,
    pub(crate) root: &'a Root,
    pub(crate) worktree: &'a str,
    pub(crate) secret: &'a str,
}

/// That credentials show a session's secret, whatever their epoch.
pub(crate) fn prove(session: &Session, credentials: &Credentials) -> Result<(), Box<Refusal>> {
    if session.secret == credentials.secret {
        return Ok(());
    }
    let needs = "the secret of its own session file".to_owned();
    Err(Refusal::Forbidden { what: session.id.to_string(), needs }.into())
}

/// The living session that credentials prove.
pub(crate) fn check(tables: &Tables, credentials: &Credentials) -> Result<Session, Box<Refusal>> {
    let id = credentials.session;
    let Some(session) = tables.sessions.get(&id) else {
        return Err(Refusal::session_lost(id, "it ended: run `molt-agent join`"));
    };
    prove(session, credentials)?;
    if session.epoch != credentials.epoch && !fault!(StaleEpochPasses) {
        let reason = format!("it was resumed elsewhere as epoch {}", session.epoch);
        return Err(Refusal::session_lost(id, reason));
    }
    match session.state {
        State::Live => Ok(Session::clone(session)),
        State::Parked { .. } => {
            Err(Refusal::session_lost(id, "it is parked: run `molt-agent resume`"))
        }
        State::Lost { .. } => {
            Err(Refusal::session_lost(id, "it fell silent: run `molt-agent resume` at once"))
        }
    }
}

/// Begins a session under a name that no living session of the repository has.
pub(crate) fn join(draft: &mut Draft<'_>, joining: Joining<'_>) -> Result<Reply, Box<Refusal>> {
    draft.repo(joining.repo)?;
    lock::limited("worktree", joining.worktree, 4096)?;
    if let Some(reply) = joined_before(draft, &joining) {
        return Ok(reply);
    }
    let name = free_name(draft, joining.repo, joining.name)?;
    let id = SessionId::from_counter(draft.number());
    let session = Session {
        id,
        repo: joining.repo.clone(),
        name: name.clone(),
        host: joining.host.clone(),
        root: joining.root.clone(),
        worktree: joining.worktree.to_owned(),
        secret: joining.secret.to_owned(),
        epoch: 1,
        state: State::Live,
        joined: draft.now.board,
        begun: draft.now.board,
    };
    draft.record(Event::Joined {
        session: id,
        repo: session.repo.clone(),
        host: session.host.clone(),
        name: name.clone(),
    });
    draft.tables.sessions.put(id, session);
    Ok(Reply::Session { id, name, epoch: 1 })
}

/// Who joined with the same secret a moment ago asks again because the answer was lost.
fn joined_before(draft: &Draft<'_>, joining: &Joining<'_>) -> Option<Reply> {
    let proven = draft.board().index().proven_by(joining.secret);
    let mut sessions = proven.filter_map(|id| draft.tables.sessions.get(&id));
    let same = sessions.find(|it| it.repo == *joining.repo && it.host == *joining.host)?;
    (same.epoch == 1 && same.state == State::Live && same.root == *joining.root)
        .then(|| Reply::Session { id: same.id, name: same.name.clone(), epoch: same.epoch })
}

fn free_name(
    draft: &Draft<'_>,
    repo: &RepoName,
    wanted: &AgentName,
) -> Result<AgentName, Box<Refusal>> {
    let index = draft.board().index();
    let mut name = wanted.clone();
    let mut n = 1;
    while index.is_taken(repo, &name) {
        n += 1;
        name = format!("{wanted}#{n}")
            .parse()
            .map_err(|error| Invalid::field("name", format!("{error}")))?;
    }
    Ok(name)
}

/// Brings a session back under a new epoch: whoever used the old one is refused from now on.
pub(crate) fn resume(
    draft: &mut Draft<'_>,
    caller: &Caller,
    root: &Root,
) -> Result<Reply, Box<Refusal>> {
    let Caller::Session(credentials) = caller else {
        return Err(Invalid::field("session", "resume needs the session file").into());
    };
    let id = credentials.session;
    let Some(session) = draft.tables.sessions.get(&id).cloned() else {
        return Err(Refusal::session_lost(id, "its grace is over: run `molt-agent join`"));
    };
    prove(&session, credentials)?;
    if session.is_over(draft.now.board) && !fault!(ResumedTooLate) {
        let Some(until) = heard_out(draft, &session) else {
            return Err(Refusal::session_lost(id, "its grace is over: run `molt-agent join`"));
        };
        signs::record(draft, &session, Vec::new(), until);
    }
    let epoch = session.epoch + 1;
    let name = session.name.clone();
    draft.record(Event::Resumed { session: id, epoch });
    let begun = draft.now.board;
    let session = Session { epoch, state: State::Live, root: root.clone(), begun, ..session };
    draft.tables.sessions.put(id, session);
    Ok(Reply::Session { id, name, epoch })
}

/// Until when a session may come back although its grace is over: perhaps it could reach nobody
/// while the lead changed hands.
fn heard_out(draft: &Draft<'_>, session: &Session) -> Option<BoardTime> {
    match session.state {
        State::Lost { since, .. } => signs::hearing(draft, since),
        State::Live | State::Parked { .. } => None,
    }
}

/// Ends a session, or parks it.
pub(crate) fn leave(
    draft: &mut Draft<'_>,
    caller: &Caller,
    park: Option<u64>,
) -> Result<Reply, Box<Refusal>> {
    let Caller::Session(credentials) = caller else {
        return Err(Invalid::field("session", "leave needs the session file").into());
    };
    if draft.tables.sessions.get(&credentials.session).is_none() {
        // It left before, and the answer was lost: the wish is fulfilled.
        return Ok(Reply::Done);
    }
    let session = check(draft.board().tables(), credentials)?;
    let Some(span) = park else {
        let name = session.name.clone();
        dissolve(draft, &session, "its agent left");
        draft.record(Event::Left { session: session.id, name });
        return Ok(Reply::Done);
    };
    let span = Duration::from_millis(span);
    if span > MAX_PARK {
        return Err(Invalid::field("park", format!("{}s, the limit is 24h", span.as_secs())).into());
    }
    // Nobody looks after its runs while it is away.
    lock::lose(draft, session.id);
    leave_lines(draft, session.id);
    let until = draft.now.board.plus(span);
    draft.record(Event::Parked { session: session.id, until: until.0 });
    draft.tables.sessions.put(session.id, Session { state: State::Parked { until }, ..session });
    Ok(Reply::Done)
}

/// Takes a host's word that a session's root is dead.
pub(crate) fn root_dead(
    draft: &mut Draft<'_>,
    caller: &Caller,
    id: SessionId,
) -> Result<Reply, Box<Refusal>> {
    let Some(session) = draft.tables.sessions.get(&id).cloned() else {
        return Ok(Reply::Done);
    };
    if !matches!(caller, Caller::Host(host) if *host == session.host) {
        let needs = format!("the daemon of host {}", session.host);
        return Err(Refusal::Forbidden { what: format!("the end of {id}"), needs }.into());
    }
    if session.state == State::Live {
        lose(draft, session, Loss::RootDead);
    }
    Ok(Reply::Done)
}

/// Ends a session, as an operator.
pub(crate) fn revoke(
    draft: &mut Draft<'_>,
    caller: &Caller,
    id: SessionId,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    claim::operator(caller, reason)?;
    let Some(session) = draft.tables.sessions.get(&id).cloned() else {
        let (kind, name) = ("session".to_owned(), id.to_string());
        return Err(Refusal::NotFound { kind, name, nearest: None }.into());
    };
    let name = session.name.clone();
    dissolve(draft, &session, &format!("revoked: {reason}"));
    draft.record(Event::Left { session: id, name });
    Ok(Reply::Done)
}

fn lose(draft: &mut Draft<'_>, session: Session, cause: Loss) {
    let grace = draft.now.board.plus(draft.spans().grace);
    draft.record(Event::Lost {
        session: session.id,
        name: session.name.clone(),
        cause,
        grace: grace.0,
    });
    // Where the root died, its host stops what it started and says so itself.
    if cause == Loss::Silence {
        lock::lose(draft, session.id);
    }
    leave_lines(draft, session.id);
    let state = State::Lost { since: draft.now.board, grace, cause };
    draft.tables.sessions.put(session.id, Session { state, ..session });
}

fn leave_lines(draft: &mut Draft<'_>, session: SessionId) {
    let holder = Holder::Session(session);
    lock::leave_lines(draft, holder);
    slot::leave_lines(draft, holder);
    build::leave_lines(draft, holder);
}

/// Removes a session with what it holds; its tasks go back.
///
/// Slots and builds stay until their host says that the runs are gone, locks at most for the
/// delay; its answers are swept later.
fn dissolve(draft: &mut Draft<'_>, session: &Session, reason: &str) {
    lock::lose(draft, session.id);
    leave_lines(draft, session.id);
    task::give_back(draft, session.id, reason);
    claim::lapse_all(draft, session.id, reason);
    if draft.tables.inboxes.get(&session.id).is_some() {
        draft.tables.inboxes.delete(&session.id);
    }
    report::forget(draft, Subject::Session(session.id));
    draft.tables.sessions.delete(&session.id);
}

/// Loses the silent, and dissolves those whose parking is over, or whose grace is and who show no
/// sign of life.
pub(crate) fn expire(draft: &mut Draft<'_>) {
    let now = draft.now.board;
    let is_due = |session: &Session| match session.state {
        State::Live => now.since(draft.last_sign(session.id)) >= draft.spans().session_ttl,
        State::Parked { .. } | State::Lost { .. } => session.is_over(now),
    };
    let sessions = draft.tables.sessions.iter().map(|(_, session)| session);
    let due: Vec<Session> = sessions.filter(|session| is_due(session)).cloned().collect();
    for session in due {
        if draft.room() < weight(draft, session.id) {
            return;
        }
        let reason = match session.state {
            State::Live => {
                lose(draft, session, Loss::Silence);
                continue;
            }
            State::Parked { .. } => "its parking is over".to_owned(),
            State::Lost { since, .. } => match signs::weigh(draft, &session, since) {
                Verdict::Extend { signs, until } => {
                    signs::extend(draft, session, signs, until);
                    continue;
                }
                Verdict::Over(reason) => reason,
            },
        };
        dissolve(draft, &session, &reason);
        draft.record(Event::Left { session: session.id, name: session.name });
    }
}

/// How many records the end of a session, or more time for it, writes at most.
fn weight(draft: &Draft<'_>, id: SessionId) -> usize {
    let claims = draft.claims_of(id).len();
    // Claims with their announcements; the session, its inbox and report, its task and who is told
    // of that; and the line that is served.
    2 * claims + lock::uses(draft, Holder::Session(id)) + 5 + claim::SERVED
}

impl Session {
    /// Whether it was lost or parked, and its time to come back is over. A leader that has just
    /// begun gives a little more.
    #[must_use]
    pub fn is_over(&self, now: BoardTime) -> bool {
        match self.state {
            State::Live => false,
            State::Parked { until } => until <= now,
            State::Lost { grace, .. } => grace <= now,
        }
    }
}
