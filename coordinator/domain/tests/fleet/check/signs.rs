//! What must be known before claims lapse: that nobody is there any more.
//!
//! What hosts told is remembered here beside the board, which is held to it.

use std::collections::BTreeMap;
use std::time::Duration;

use molt_domain::board::{Board, Command, Event, Tables};
use molt_domain::claim::Idle;
use molt_domain::hold::Holder;
use molt_domain::id::{BoardTime, SessionId, millis};
use molt_domain::name::HostName;
use molt_domain::session::{self, Session, Sign, Told};

use super::{Checked, Step, ensure};

/// What hosts told the leader of sessions.
#[derive(Debug, Default)]
pub struct Memory {
    /// Since when it leads.
    born: BoardTime,
    told: BTreeMap<SessionId, Seen>,
}

/// When each sign of a session was there last.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    root: Option<BoardTime>,
    log: Option<BoardTime>,
    files: Option<BoardTime>,
}

impl Memory {
    /// Begins anew: a leader has heard of nobody before.
    pub fn takeover(&mut self, born: BoardTime) {
        *self = Self { born, told: BTreeMap::new() };
    }

    /// Takes what a host told, if it is of its own session; whether the board took it too.
    pub fn hear(
        &mut self,
        tables: &Tables,
        (host, session, told): (&HostName, SessionId, Told),
        now: BoardTime,
        taken: bool,
    ) -> Checked {
        let own = tables.sessions.get(&session).is_some_and(|it| it.host == *host);
        ensure(own == taken, "18 a host speaks for its own sessions alone", || {
            format!("{host} of {session}: {taken}")
        })?;
        if own {
            let at = |ago: Duration| BoardTime(now.0.saturating_sub(millis(ago)));
            let seen = self.told.entry(session).or_default();
            seen.root = seen.root.max(told.root.then_some(now));
            seen.log = seen.log.max(told.log.map(at));
            seen.files = seen.files.max(told.files.map(at));
        }
        Ok(())
    }

    /// Whether a session may not come back any more. Whoever was lost under another leader has
    /// the time to reach this one.
    pub fn is_over(&self, board: &Board, session: &Session, now: BoardTime) -> bool {
        let session::State::Lost { since, .. } = session.state else { return session.is_over(now) };
        session.is_over(now) && self.hearing(board, since, now).is_none()
    }

    /// Until when nobody judges whom another leader lost at `since`.
    fn hearing(&self, board: &Board, since: BoardTime, now: BoardTime) -> Option<BoardTime> {
        let until = self.born.plus(board.spans().session_ttl);
        let is_early = since <= self.born && now < until;
        (is_early && board.formats().stored.written >= 2).then_some(until)
    }

    /// What tells of life after `since`.
    fn shown(
        &self,
        board: &Board,
        before: &Tables,
        (session, since): (&Session, BoardTime),
        now: BoardTime,
    ) -> Vec<Sign> {
        let spans = board.spans();
        let heard = now.since(board.heard_host(&session.host)) < spans.session_ttl;
        let seen = self.told.get(&session.id).copied().unwrap_or_default();
        let after = |at: Option<BoardTime>, within| {
            at.is_some_and(|at| at > since && now.since(at) < within)
        };
        let is_there = |sign: &Sign| match sign {
            Sign::Root => heard && after(seen.root, spans.session_ttl),
            Sign::Run => heard && uses(before, session.id),
            Sign::Log => after(seen.log, spans.fresh),
            Sign::Files => after(seen.files, spans.fresh),
        };
        Sign::ALL.into_iter().filter(is_there).collect()
    }
}

/// Whether a session has a slot. Locks are lost with it, and builds are left aside.
fn uses(tables: &Tables, session: SessionId) -> bool {
    let mut used = tables.slots.values().flat_map(|slots| slots.used.values());
    used.any(|hold| hold.holder == Holder::Session(session))
}

/// A lost session that shows a sign of life keeps its claims, for a day; and nothing else gives it
/// more time.
pub fn life_is_looked_for(
    memory: &Memory,
    board: &Board,
    step: &Step<'_>,
    before: &Tables,
) -> Checked {
    const KEPT: &str = "18 signs of life keep the claims";
    const ALONE: &str = "18 nothing else gives a lost session more time";
    if step.request.command != Command::Tick || board.formats().stored.written < 2 {
        return Ok(());
    }
    let now = step.act.now.board;
    let lost = |id: &SessionId| {
        let session = before.sessions.get(id)?;
        let session::State::Lost { since, .. } = session.state else { return None };
        Some((session.as_ref(), since))
    };
    for event in step.events {
        match event {
            Event::Left { session, .. } => {
                let Some((old, since)) = lost(session) else { continue };
                let shown = memory.shown(board, before, (old, since), now);
                let lasts = now.since(since) < board.spans().extension;
                ensure(shown.is_empty() || !lasts, KEPT, || format!("{session} shows {shown:?}"))?;
            }
            Event::GraceExtended { session, signs, grace, .. } => {
                let Some((old, since)) = lost(session) else { continue };
                let shown = memory.shown(board, before, (old, since), now);
                let is_shown = |sign: &Sign| *sign == Sign::Run || shown.contains(sign);
                let heard_out = memory.hearing(board, since, now) == Some(BoardTime(*grace));
                let may = if signs.is_empty() { heard_out } else { signs.iter().all(is_shown) };
                ensure(may, ALONE, || format!("{session}: {signs:?} of {shown:?}"))?;
                let end = since.plus(board.spans().extension);
                ensure(now.0 < *grace && (*grace <= end.0 || heard_out), ALONE, || {
                    format!("{session} was lost at {since:?} and has until {grace}")
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A claim of a living session ends at no hand but its own, its maximum's, or after a question;
/// and nobody is asked whose host saw that work goes on.
pub fn idle_is_asked(
    memory: &Memory,
    board: &Board,
    step: &Step<'_>,
    (before, after): (&Tables, &Tables),
) -> Checked {
    const NAME: &str = "18 the holder of an idle claim is asked first";
    const WORKS: &str = "18 nobody at work is asked";
    if step.request.command != Command::Tick {
        return Ok(());
    }
    let now = step.act.now.board;
    for event in step.events {
        match event {
            Event::IdleAsked { claim, session, .. } => {
                let seen = memory.told.get(session).copied().unwrap_or_default();
                let worked = seen.log.max(seen.files);
                let idle = worked.is_none_or(|at| now.since(at) >= board.spans().idle);
                ensure(idle, WORKS, || format!("{claim} of {session} at work at {worked:?}"))?;
            }
            Event::Lapsed { claim, session, reason, .. } => {
                let old = before.claims.get(claim);
                let Some(old) = old.filter(|_| after.sessions.contains_key(session)) else {
                    continue;
                };
                let is_over = old.end().is_some_and(|end| end <= now);
                let asked = |idle: Idle| idle.asked < idle.until && idle.until <= now;
                let was_asked = old.idle.is_some_and(asked);
                ensure(is_over || was_asked, NAME, || {
                    format!("{claim}: {reason}, {:?}", old.idle)
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}
