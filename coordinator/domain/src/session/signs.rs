//! Signs of life: what is looked for before the claims of a lost session lapse.
//!
//! The board knows what a session's runs hold; its host's daemon tells of
//! processes, logs and files with its beats. What it told is kept beside the
//! board, as renewals are. Not here: claims of living sessions that nobody
//! seems to work on ([`crate::claim`]).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Session, State};
use crate::board::{Draft, Event, display_span};
use crate::claim;
use crate::fault::fault;
use crate::hold::Holder;
use crate::id::{BoardTime, millis};
use crate::lock;

/// The first format of the records that knows of them.
pub(crate) const FORMAT: u32 = 2;

/// Something that tells that a lost session's work may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// Its machine is reachable, and its root process lives there.
    Root,
    /// It has a lock, slot or build, and the machine of it is reachable.
    Run,
    /// A log of its runs grew.
    Log,
    /// Files in its scopes changed.
    Files,
}

impl Sign {
    /// Every sign, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Root, Self::Run, Self::Log, Self::Files];
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "a living process",
            Self::Run => "a run or lock",
            Self::Log => "a growing log",
            Self::Files => "changed files",
        })
    }
}

/// Signs in one line.
pub(crate) fn listed(signs: &[Sign]) -> String {
    signs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a lost session is given more time for these signs.
pub(crate) fn reason(signs: &[Sign]) -> String {
    match signs.is_empty() {
        true => "the lead changed hands".to_owned(),
        false => format!("there is {}", listed(signs)),
    }
}

/// What a host's daemon tells of a session.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Its root process lives.
    pub root: bool,
    /// How long ago a log of its runs grew.
    pub log: Option<Duration>,
    /// How long ago a file in its scopes changed.
    pub files: Option<Duration>,
}

/// When a host's daemon last saw each sign of a session.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    root: Option<BoardTime>,
    log: Option<BoardTime>,
    files: Option<BoardTime>,
}

impl Seen {
    /// Takes in what was told at `now`.
    pub(crate) fn learn(&mut self, told: Told, now: BoardTime) {
        let at = |ago: Duration| BoardTime(now.0.saturating_sub(millis(ago)));
        self.root = told.root.then_some(now).or(self.root);
        self.log = self.log.max(told.log.map(at));
        self.files = self.files.max(told.files.map(at));
    }

    /// When work was last seen. A root that lives tells of none: an agent may only be open.
    pub(crate) fn worked(&self) -> Option<BoardTime> {
        self.log.max(self.files)
    }
}

/// What becomes of a lost session whose grace is over.
pub(super) enum Verdict {
    /// It is given more time: there are these signs, or there was no time yet to see any.
    Extend { signs: Vec<Sign>, until: BoardTime },
    /// Its claims lapse.
    Over(String),
}

/// Looks for signs of life of a session that was lost at `since`, when its grace is over.
pub(super) fn weigh(draft: &Draft<'_>, session: &Session, since: BoardTime) -> Verdict {
    let (now, spans) = (draft.now.board, draft.spans());
    if !draft.has_format(FORMAT) {
        // An older program may lead next, and would not wait.
        return Verdict::Over("its session was lost and the grace is over".to_owned());
    }
    if let Some(until) = hearing(draft, since) {
        return Verdict::Extend { signs: Vec::new(), until };
    }
    let last = since.plus(spans.extension);
    if last <= now {
        let ago = display_span(spans.extension);
        return Verdict::Over(format!("its session was lost {ago} ago"));
    }
    let signs = found(draft, session, since);
    if signs.is_empty() || fault!(SignsIgnored) {
        let looked = listed(&Sign::ALL);
        let reason =
            format!("its session was lost, the grace is over, and none was seen: {looked}");
        return Verdict::Over(reason);
    }
    Verdict::Extend { signs, until: now.plus(spans.grace).min(last) }
}

/// Until when it is too early to judge who was lost at `since`: another leader heard of it last,
/// and neither it nor its host has had the time to reach this one.
pub(super) fn hearing(draft: &Draft<'_>, since: BoardTime) -> Option<BoardTime> {
    let born = draft.board().born();
    let until = born.plus(draft.spans().session_ttl);
    (draft.has_format(FORMAT) && since <= born && draft.now.board < until).then_some(until)
}

/// The signs of life after `since`: what was before the loss does not tell of life after it.
pub(crate) fn found(draft: &Draft<'_>, session: &Session, since: BoardTime) -> Vec<Sign> {
    let (now, spans) = (draft.now.board, draft.spans());
    let ttl = spans.session_ttl;
    let seen = draft.board().seen(session.id);
    let reachable = now.since(draft.board().heard_host(&session.host)) < ttl;
    let fresh = |at: Option<BoardTime>, within: Duration| {
        at.is_some_and(|at| (since < at || fault!(StaleSigns)) && now.since(at) < within)
    };
    let is_there = |sign: &Sign| match sign {
        Sign::Root => reachable && fresh(seen.root, ttl),
        // What a machine that is gone has is freed by nobody's word, and tells of nobody.
        Sign::Run => reachable && lock::uses(draft, Holder::Session(session.id)) > 0,
        Sign::Log => fresh(seen.log, spans.fresh),
        Sign::Files => fresh(seen.files, spans.fresh),
    };
    Sign::ALL.into_iter().filter(is_there).collect()
}

/// Lets the claims of a lost session wait until `until`, and tells those who wait for them, the
/// first time.
pub(super) fn extend(draft: &mut Draft<'_>, session: Session, signs: Vec<Sign>, until: BoardTime) {
    let State::Lost { since, grace, cause } = session.state else { return };
    if grace <= since.plus(draft.spans().grace) {
        let text = format!(
            "waits on: {} was lost, but {}; its claims lapse when no sign of life is left",
            session.name,
            reason(&signs)
        );
        claim::tell_waiters(draft, session.id, &text);
    }
    let session = Session { state: State::Lost { since, grace: until, cause }, ..session };
    record(draft, &session, signs, until);
    draft.tables.sessions.put(session.id, session);
}

/// Says that a session has time until `until`, for these signs.
pub(super) fn record(draft: &mut Draft<'_>, of: &Session, signs: Vec<Sign>, until: BoardTime) {
    let (session, name) = (of.id, of.name.clone());
    draft.record(Event::GraceExtended { session, name, signs, grace: until.0 });
}
