//! Claims that nobody seems to work on, while somebody waits for them.
//!
//! Their holder is asked; any command of it, or a sign that work goes on, is an
//! answer. Not here: sessions that are lost, whose claims wait out the grace
//! ([`crate::session`]).

use serde::{Deserialize, Serialize};

use super::end::lapse;
use super::line::{behind, live};
use super::{Claim, State};
use crate::board::{Draft, Event, display_list, display_span};
use crate::fault::fault;
use crate::hold::Holder;
use crate::id::{BoardTime, SessionId};
use crate::session::SIGNS_FORMAT;
use crate::{lock, message, train};

/// The claim, its announcement, its task, and who is told of either.
const WEIGHT: usize = 6;

/// That the holder of a claim was asked whether it is still worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// When it was asked.
    pub asked: BoardTime,
    /// Until when an answer keeps the claim.
    pub until: BoardTime,
}

/// What is to be done about a held claim.
enum Step {
    Ask,
    /// The question is settled: why.
    Settle(&'static str),
    Lapse,
}

/// Asks the holders of idle claims, and ends the claims of those who do not answer.
pub(crate) fn expire(draft: &mut Draft<'_>) {
    if !draft.has_format(SIGNS_FORMAT) {
        // An older program may lead next, and would forget that it asked.
        return;
    }
    let claims = draft.tables.claims.iter().map(|(_, claim)| claim);
    let due: Vec<(Claim, Step)> = claims
        .filter_map(|claim| Some((claim, step(draft, claim)?)))
        .map(|(claim, step)| (claim.clone(), step))
        .collect();
    for (claim, step) in due {
        if draft.room() < WEIGHT {
            return;
        }
        match step {
            Step::Ask => ask(draft, claim),
            Step::Settle(reason) => {
                let reason = reason.to_owned();
                draft.record(Event::IdleSettled {
                    claim: claim.id,
                    session: claim.session,
                    reason,
                });
                draft.tables.claims.put(claim.id, Claim { idle: None, ..claim });
            }
            Step::Lapse => end(draft, &claim),
        }
    }
}

fn step(draft: &Draft<'_>, claim: &Claim) -> Option<Step> {
    let State::Held { since, .. } = claim.state else { return None };
    let now = draft.now.board;
    if live(draft, claim.session).is_none() {
        // The grace of a lost session, or its parking, is looked after elsewhere.
        return claim.idle.map(|_| Step::Settle("its session is not live"));
    }
    let last = draft.last_work(claim.session).max(since);
    let Some(idle) = claim.idle else {
        let is_due = now.since(last) >= draft.spans().idle;
        let asks = is_due && !works(draft, claim.session) && is_waited_for(draft, claim);
        let first = if fault!(IdleNeverAsked) { Step::Lapse } else { Step::Ask };
        return asks.then_some(first);
    };
    if idle.asked <= last || works(draft, claim.session) {
        Some(Step::Settle("its agent may be at work"))
    } else if !is_waited_for(draft, claim) {
        Some(Step::Settle("nobody waits for it any more"))
    } else {
        (idle.until <= now).then_some(Step::Lapse)
    }
}

/// Whether something goes on for a session right now: a run, a wait, a change in the train.
fn works(draft: &Draft<'_>, id: SessionId) -> bool {
    let is_attended = |claim| draft.board().is_attended(claim);
    lock::uses(draft, Holder::Session(id)) > 0
        || draft.claims_of(id).into_iter().any(is_attended)
        || train::works_for(draft, id)
}

/// Whether somebody who is there waits for a held claim, or a part of it.
fn is_waited_for(draft: &Draft<'_>, held: &Claim) -> bool {
    let mut line = waiters(draft, held).into_iter();
    line.any(|waiter| live(draft, waiter).is_some())
}

/// Who waits for a held claim, or a part of it.
fn waiters(draft: &Draft<'_>, held: &Claim) -> Vec<SessionId> {
    if draft.board().index().line(&held.repo).next().is_none() {
        return Vec::new();
    }
    let Ok(repo) = draft.repo(&held.repo) else { return Vec::new() };
    let line = behind(draft, &repo.policy, held, held.session);
    line.into_iter().map(|claim| claim.session).collect()
}

/// Tells those who wait for the claims of a session.
pub(crate) fn tell_waiters(draft: &mut Draft<'_>, session: SessionId, text: &str) {
    for id in draft.claims_of(session) {
        let Some(claim) = draft.tables.claims.shared(&id).filter(|claim| claim.is_held()) else {
            continue;
        };
        let waiters = waiters(draft, &claim);
        message::notify_all(draft, &claim.repo, waiters, &id, text);
    }
}

fn ask(draft: &mut Draft<'_>, claim: Claim) {
    let asked = draft.now.board;
    let (idle, answer) = (draft.spans().idle, draft.spans().answer);
    let until = asked.plus(answer);
    let text = format!(
        "on {} was idle for {} and somebody waits: run any command of yours within {} to keep it, \
         or `molt-agent release`",
        display_list(&claim.piece_list()),
        display_span(idle),
        display_span(answer),
    );
    message::notify(draft, claim.session, &claim.id, text);
    draft.record(Event::IdleAsked {
        claim: claim.id,
        session: claim.session,
        scopes: claim.scope_list(),
        until: until.0,
    });
    draft.tables.claims.put(claim.id, Claim { idle: Some(Idle { asked, until }), ..claim });
}

fn end(draft: &mut Draft<'_>, claim: &Claim) {
    let text = format!("on {} is over: it was idle", display_list(&claim.piece_list()));
    message::notify(draft, claim.session, &claim.id, text);
    lapse(draft, claim, "it was idle, somebody waits, and its agent did not answer");
}
