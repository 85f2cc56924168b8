//! All coordination state of a fleet as one value.
//!
//! [`Board::decide`] says what a command would change or why it is refused;
//! [`Board::apply`] is the only way in which state changes, live and at
//! recovery alike. Neither reads a clock or does I/O. Not here: the rules of
//! each noun, which live in that noun's room.

mod advice;
pub mod answer;
mod command;
mod draft;
mod event;
mod format;
mod index;
mod noted;
mod refusal;
mod reply;
mod rollback;
mod table;
mod why;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::command::{Caller, Command, Request};
pub use self::draft::Draft;
pub use self::event::{Actor, BaseMove, Event, Proof};
pub use self::format::{Format, Formats};
pub(crate) use self::index::Place;
pub(crate) use self::refusal::display_list;
pub use self::refusal::{Invalid, Kind, Refusal};
pub use self::reply::{Already, More, Reply};
pub use self::rollback::RolledBack;
pub use self::table::{Change, Table, Tables, Unreadable, View, Views};
pub(crate) use self::why::display_span;

use self::answer::{Answer, AnswerKey};
use self::index::Index;
use self::noted::Noted;
use crate::access;
use crate::audit::Anchor;
use crate::fault::fault;
use crate::id::{BoardTime, ClaimId, Fence, SessionId};
use crate::name::{HostName, RepoName};
use crate::policy::Spans;
use crate::session::{self, Seen, Session, Sign, Told};
use crate::task::Task;

/// Changes of one command at most; bigger cascades are done by reconcilers in steps.
pub const MAX_CHANGES: usize = 48;

/// What every commit moves on beside the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Board time of the last commit.
    pub time: BoardTime,
    /// Raised when records were lost, so that no older fence passes again.
    pub epoch: u64,
    /// The one counter that ids and fences are made from; it only grows.
    pub counter: u64,
    /// Where the audit chain stands.
    pub audit: Anchor,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { time: BoardTime(0), epoch: 0, counter: 1, audit: Anchor::genesis() }
    }
}

impl Ledger {
    /// The highest fence that may have been granted.
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence { epoch: self.epoch, n: self.counter }
    }

    /// The same with fences moved on to `fence`, or back.
    #[must_use]
    pub fn at(self, fence: Fence) -> Self {
        Self { epoch: fence.epoch, counter: fence.n, ..self }
    }
}

/// The moment of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By which everything is decided.
    pub board: BoardTime,
    /// Wall time in milliseconds since 1970, for display and the audit alone.
    pub wall: u64,
}

/// All coordination state of a fleet.
#[derive(Debug, Clone)]
pub struct Board {
    tables: Tables,
    ledger: Ledger,
    spans: Spans,
    index: Index,
    pulse: Pulse,
    noted: Noted,
    formats: Formats,
}

/// What is known only while a leader serves, and is not stored: who was heard of when.
#[derive(Debug, Default, Clone)]
struct Pulse {
    /// Since when this leader serves: nobody can have been heard of before.
    born: BoardTime,
    sessions: BTreeMap<SessionId, BoardTime>,
    /// When each session's last command was.
    used: BTreeMap<SessionId, BoardTime>,
    /// What daemons told of sessions.
    seen: BTreeMap<SessionId, Seen>,
    hosts: BTreeMap<HostName, BoardTime>,
    /// Claims whose waiter is connected right now.
    waiting: std::collections::BTreeSet<ClaimId>,
    /// The highest fence that a caller was granted, as far as callers told.
    granted: Option<Fence>,
}

/// What a command does: all of it or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The records that change.
    pub changes: Vec<Change>,
    /// What happened, for the audit and those who watch.
    pub events: Vec<Event>,
    /// Where fences and ids stand afterwards.
    pub fence: Fence,
    /// The answer.
    pub reply: Reply,
}

impl Board {
    /// An empty board.
    #[must_use]
    pub fn new(spans: Spans) -> Self {
        Self::recover(spans, Ledger::default(), std::iter::empty())
    }

    /// A board from what is stored. Everybody is taken to have been heard of just now.
    pub fn recover(
        spans: Spans,
        ledger: Ledger,
        records: impl IntoIterator<Item = Change>,
    ) -> Self {
        let pulse = Pulse { born: ledger.time, ..Pulse::default() };
        let noted = Noted::new(ledger.time);
        let (tables, index) = (Tables::default(), Index::default());
        let formats = Formats::default();
        let mut board = Self { tables, ledger, spans, index, pulse, noted, formats };
        for record in records {
            board.apply(record);
        }
        board
    }

    /// The committed records.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What every commit moves on.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The spans that the rules use.
    #[must_use]
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The tasks of a repository that somebody has, oldest first.
    pub(crate) fn taken_tasks(&self, repo: &RepoName) -> Vec<&Task> {
        let taken = self.index.all_taken().filter_map(|id| self.tables.tasks.get(&id));
        let mut taken: Vec<&Task> =
            taken.map(AsRef::as_ref).filter(|task| task.repo == *repo).collect();
        taken.sort_unstable_by_key(|task| task.id);
        taken
    }

    /// The open tasks of a repository, in the order in which they are taken.
    pub fn open_tasks(&self, repo: &RepoName) -> impl Iterator<Item = &Task> {
        self.index.open(repo).filter_map(|id| self.tables.tasks.get(&id)).map(AsRef::as_ref)
    }

    /// What `request` would do at `now`.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] when the rules say no; then nothing changes.
    pub fn decide(&self, request: &Request, now: Now) -> Result<Decision, Box<Refusal>> {
        access::check(self, request, now)?;
        let mut draft = Draft::new(self, now);
        let answer = match self.repeated(request)? {
            Repeated::No => None,
            Repeated::First(key) => Some(key),
            Repeated::Again(reply) => {
                return Ok(Decision {
                    changes: Vec::new(),
                    events: Vec::new(),
                    fence: self.ledger.fence(),
                    reply: *reply,
                });
            }
        };
        let reply = command::dispatch(&mut draft, request)?;
        format::check(&draft, &request.command)?;
        if let Some((key, number)) = answer
            && draft.has_effect()
            && draft.tables.sessions.get(&key.session).is_some()
        {
            let answer = Answer { number, digest: request.digest.clone(), reply: reply.clone() };
            draft.tables.answers.put(key, answer);
        }
        Ok(draft.into_decision(reply))
    }

    /// Whether a session's request was answered before.
    fn repeated(&self, request: &Request) -> Result<Repeated, Box<Refusal>> {
        let (Caller::Session(credentials), Some(number)) = (&request.caller, request.number) else {
            return Ok(Repeated::No);
        };
        let key = AnswerKey::of(credentials.session, number);
        let Some(kept) = self.tables.answers.get(&key) else {
            return Ok(Repeated::First((key, number)));
        };
        if kept.number < number {
            return Ok(Repeated::First((key, number)));
        }
        if fault!(RepeatedTwice) {
            return Ok(Repeated::First((key, number)));
        }
        if kept.number > number {
            return Err(Invalid::RequestExpired { number }.into());
        }
        if kept.digest != request.digest {
            return Err(Invalid::RequestReused { number }.into());
        }
        match (&request.command, self.tables.sessions.get(&credentials.session)) {
            // A resume ends the epoch that it was asked under: its secret alone is shown again.
            (Command::Resume { .. }, Some(session)) => session::prove(session, credentials)?,
            _ => session::check(&self.tables, credentials).map(drop)?,
        }
        Ok(Repeated::Again(Box::new(kept.reply.clone())))
    }

    /// Makes a change and returns the one that undoes it.
    pub fn apply(&mut self, change: Change) -> Change {
        let undo = self.tables.apply(change);
        self.index.follow(&undo, &self.tables);
        undo
    }

    /// Moves the ledger to where a commit has it, or back.
    pub fn set_ledger(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// Counts a renewal of a session. Says whether the session may go on.
    pub fn beat(&mut self, session: SessionId, now: BoardTime) -> bool {
        let known = self.tables.sessions.get(&session);
        let live = known.is_some_and(|session| session.state == session::State::Live);
        if live {
            self.pulse.sessions.insert(session, now);
        }
        live
    }

    /// Counts a sign of life of a host's daemon.
    pub fn beat_host(&mut self, host: &HostName, now: BoardTime) {
        self.pulse.hosts.insert(host.clone(), now);
    }

    /// Counts a command or a question, accepted or refused, of whom proves to be a living session.
    pub fn note_use(&mut self, caller: &Caller, now: BoardTime) {
        if let Caller::Session(shown) = caller
            && session::check(&self.tables, shown).is_ok()
        {
            self.pulse.used.insert(shown.session, now);
        }
    }

    /// Takes a host's word of what it sees of a session. Says whether it has a say: of another
    /// host's session it has none.
    pub fn note_signs(
        &mut self,
        host: &HostName,
        session: SessionId,
        told: Told,
        now: BoardTime,
    ) -> bool {
        let known = self.tables.sessions.get(&session);
        let own = known.is_some_and(|session| session.host == *host);
        if own {
            self.pulse.seen.entry(session).or_default().learn(told, now);
        }
        own
    }

    /// The signs of life of a session since it was lost; none of one that is not lost.
    #[must_use]
    pub fn signs_of(&self, session: &Session, now: BoardTime) -> Vec<Sign> {
        let session::State::Lost { since, .. } = session.state else { return Vec::new() };
        let draft = Draft::new(self, Now { board: now, wall: 0 });
        session::signs_of(&draft, session, since)
    }

    /// Whether a host is to tell what it sees of a session: it is lost, or it holds something and
    /// no command of it was heard for half of the time after which it is idle.
    #[must_use]
    pub fn wants_signs(&self, id: SessionId, now: BoardTime) -> bool {
        self.tables.sessions.get(&id).is_some_and(|session| match session.state {
            session::State::Lost { .. } => true,
            session::State::Live => {
                let used = self.pulse.used.get(&id).copied().unwrap_or(self.pulse.born);
                now.since(used.max(session.begun)) >= self.spans.idle / 2
                    && self.index.claims_of(id).next().is_some()
            }
            session::State::Parked { .. } => false,
        })
    }

    /// The claims that a session holds or waits for.
    pub fn claims_of(&self, session: SessionId) -> impl Iterator<Item = ClaimId> {
        self.index.claims_of(session)
    }

    /// Since when this leader serves: nobody can have been heard of before.
    #[must_use]
    pub fn born(&self) -> BoardTime {
        self.pulse.born
    }

    pub(crate) fn seen(&self, session: SessionId) -> Seen {
        self.pulse.seen.get(&session).copied().unwrap_or_default()
    }

    /// When a session was last seen at work.
    pub(crate) fn worked(&self, session: SessionId) -> BoardTime {
        let used = self.pulse.used.get(&session).copied();
        used.max(self.seen(session).worked()).unwrap_or(self.pulse.born).max(self.pulse.born)
    }

    /// Notes whether a waiter of a claim is connected.
    pub fn attend(&mut self, claim: ClaimId, presence: Presence) {
        match presence {
            Presence::Here => self.pulse.waiting.insert(claim),
            Presence::Gone => self.pulse.waiting.remove(&claim),
        };
    }

    /// When a session was last heard of.
    #[must_use]
    pub fn heard(&self, session: SessionId) -> BoardTime {
        self.pulse.sessions.get(&session).copied().unwrap_or(self.pulse.born).max(self.pulse.born)
    }

    /// When a host's daemon was last heard of.
    #[must_use]
    pub fn heard_host(&self, host: &HostName) -> BoardTime {
        self.pulse.hosts.get(host).copied().unwrap_or(self.pulse.born).max(self.pulse.born)
    }

    pub(crate) fn is_attended(&self, claim: ClaimId) -> bool {
        self.pulse.waiting.contains(&claim)
    }

    /// Forgets who was heard of when they are on the board no more.
    pub fn tidy(&mut self) {
        let Self { tables, pulse, .. } = self;
        pulse.sessions.retain(|id, _| tables.sessions.contains_key(id));
        pulse.used.retain(|id, _| tables.sessions.contains_key(id));
        pulse.seen.retain(|id, _| tables.sessions.contains_key(id));
        pulse.hosts.retain(|name, _| tables.hosts.contains_key(name));
        pulse.waiting.retain(|id| tables.claims.contains_key(id));
    }

    /// A digest of every record: equal boards have equal digests. The answers of sessions that
    /// are gone count for nothing, and nobody who recovers a board needs them.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for change in self.records() {
            if matches!(change, Change::Answer(key, _) if self.index.is_orphaned(key)) {
                continue;
            }
            hasher.update(change.key().as_bytes());
            hasher.update(&change.value().unwrap_or_default());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Every record as the change that would write it.
    pub fn records(&self) -> Vec<Change> {
        self.tables.records()
    }
}

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Connected.
    Here,
    /// Not connected.
    Gone,
}

enum Repeated {
    No,
    First((AnswerKey, u64)),
    Again(Box<Reply>),
}
