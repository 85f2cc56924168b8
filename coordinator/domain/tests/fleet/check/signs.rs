//! What must be known before claims lapse: that nobody is there any more.

use molt_domain::board::{Board, Command, Event, Tables};
use molt_domain::hold::Holder;
use molt_domain::session;

use super::{Checked, Step, ensure};

/// A lost session that has a slot of a machine which is heard of keeps its claims, for a day.
pub fn life_is_looked_for(board: &Board, step: &Step<'_>, before: &Tables) -> Checked {
    const NAME: &str = "18 signs of life keep the claims";
    if step.request.command != Command::Tick || board.formats().stored.written < 2 {
        return Ok(());
    }
    let now = step.act.now.board;
    for event in step.events {
        let Event::Left { session, .. } = event else { continue };
        let Some(old) = before.sessions.get(session) else { continue };
        let session::State::Lost { since, .. } = old.state else { continue };
        let mut used = before.slots.values().flat_map(|slots| slots.used.values());
        let runs = used.any(|hold| hold.holder == Holder::Session(*session));
        let heard = now.since(board.heard_host(&old.host)) < board.spans().session_ttl;
        let lasts = now.since(since) < board.spans().extension;
        ensure(!(runs && heard && lasts), NAME, || {
            format!("{session} had a slot of {}", old.host)
        })?;
    }
    Ok(())
}

/// A claim of a living session ends at no hand but its own, its maximum's, or after a question.
pub fn idle_is_asked(step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
    const NAME: &str = "18 the holder of an idle claim is asked first";
    if step.request.command != Command::Tick {
        return Ok(());
    }
    let now = step.act.now.board;
    for event in step.events {
        let Event::Lapsed { claim, session, reason, .. } = event else { continue };
        let Some(old) = before.claims.get(claim).filter(|_| after.sessions.contains_key(session))
        else {
            continue;
        };
        let is_over = old.end().is_some_and(|end| end <= now);
        let was_asked = old.idle.is_some_and(|idle| idle.asked < idle.until && idle.until <= now);
        ensure(is_over || was_asked, NAME, || format!("{claim}: {reason}, {:?}", old.idle))?;
    }
    Ok(())
}
