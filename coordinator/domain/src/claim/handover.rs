//! Handing a claim over: its holder offers it to one agent, and holds it until that one accepts.
//!
//! A handover is no release: nobody in the line gets in between. It counts as a
//! grant past those who wait, so that a claim cannot go from hand to hand for
//! ever. Not here: what is offered to waiters, which is the line's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ask::{claims_of, holder, refusal};
use super::meet::{clash, obstacle};
use super::{Claim, MAX_CLAIMS, Mode, Named, Obstacle, State, change, line};
use crate::board::{Already, Draft, Event, Invalid, Refusal, Reply, display_list};
use crate::fault::fault;
use crate::id::{BoardTime, ClaimId, SessionId};
use crate::name::AgentName;
use crate::scope::ScopeName;
use crate::session::{self, Session};
use crate::{lock, task, wait};

/// That the holder of a claim offers it to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// To whom.
    pub to: SessionId,
    /// A line for that one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When the offer ends.
    pub until: BoardTime,
}

/// Which of the claims that are offered to somebody is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// The only one.
    Only,
    /// This one.
    Claim(ClaimId),
    /// The one with this scope.
    Scope(ScopeName),
}

impl Claim {
    /// The offer to hand it over, while it stands.
    #[must_use]
    pub fn offer(&self, now: BoardTime) -> Option<&Handover> {
        self.handover.as_ref().filter(|offer| self.is_held() && now < offer.until)
    }
}

/// Offers a claim, whole, to another agent of the repository.
pub(crate) fn offer(
    draft: &mut Draft<'_>,
    session: &Session,
    named: &Named,
    (to, note): (&AgentName, &str),
) -> Result<Reply, Box<Refusal>> {
    lock::limited("note", note, 2000)?;
    let claim = change::one(draft, session, named)?;
    let receiver = receiver(draft, session, to)?;
    if let Some(Obstacle { held, claim, .. }) = left_behind(draft, &claim)? {
        let problem =
            format!("it overlaps {held}, which stays yours as {claim}: release that first");
        return Err(Invalid::field("claim", problem).into());
    }
    passed(draft, session, &claim, receiver.id)?;
    let until = draft.now.board.plus(draft.spans().offer);
    let until = claim.end().map_or(until, |end| end.min(until));
    draft.record(Event::HandoverOffered {
        claim: claim.id,
        session: session.id,
        to: receiver.id,
        name: receiver.name,
        scopes: claim.scope_list(),
        globs: claim.globs.clone(),
        until: until.0,
        note: note.to_owned(),
    });
    let handover = Some(Handover { to: receiver.id, note: note.to_owned(), until });
    Ok(kept(draft, Claim { handover, ..Claim::clone(&claim) }))
}

/// Takes the offer of a claim back.
pub(crate) fn withdraw(
    draft: &mut Draft<'_>,
    session: &Session,
    named: &Named,
) -> Result<Reply, Box<Refusal>> {
    let claim = change::one(draft, session, named)?;
    Ok(match &claim.handover {
        Some(offer) => {
            let claim = without(draft, &claim, offer.to, "its holder took it back");
            Reply::Granted { claim: Box::new(claim), already: Already::Yes }
        }
        None => Reply::Granted { claim: Box::new(Claim::clone(&claim)), already: Already::Yes },
    })
}

/// Takes a claim that is offered to the session. Whoever had it has nothing of it from then on:
/// its fence is a new one.
pub(crate) fn accept(
    draft: &mut Draft<'_>,
    session: &Session,
    which: &Accepted,
) -> Result<Reply, Box<Refusal>> {
    let claim = match offered(draft, session, which)? {
        Offered::To(claim) => claim,
        Offered::Before(claim) => {
            return Ok(Reply::Granted { claim: Box::new(claim), already: Already::Yes });
        }
    };
    if claims_of(draft, session.id).len() >= MAX_CLAIMS {
        let problem = format!("{MAX_CLAIMS} claims already: release one first");
        return Err(Invalid::field("claim", problem).into());
    }
    if let Some(obstacle) = left_behind(draft, &claim)? {
        return Err(refused(draft, session, &claim, obstacle)?);
    }
    let passed = passed(draft, session, &claim, session.id)?;
    if !fault!(TaskStaysBehind) {
        task::hand_over(draft, claim.id, session)?;
    }
    let state = match claim.state {
        State::Held { fence, since, until } => {
            let fence = if fault!(HandoverKeepsFence) { fence } else { draft.fence() };
            // What a scope allows at most is counted from the first grant.
            State::Held { fence, since, until }
        }
        other => other,
    };
    let serves = claim.task.filter(|id| task::may_serve(draft, session, *id).is_ok());
    let from = claim.session;
    let claim = Claim { session: session.id, task: serves, handover: None, state, ..claim };
    if let State::Held { fence, .. } = claim.state {
        draft.record(Event::HandedOver {
            claim: claim.id,
            session: from,
            to: session.id,
            name: session.name.clone(),
            scopes: claim.scope_list(),
            globs: claim.globs.clone(),
            fence,
            task: claim.task,
        });
    }
    draft.tables.claims.put(claim.id, claim.clone());
    line::count(draft, passed);
    line::leave_fulfilled(draft, session.id);
    wait::refuse_stuck(draft, holder(session.id))?;
    Ok(Reply::Granted { claim: Box::new(claim), already: Already::No })
}

/// Ends the offers whose time is over, or whose receiver is gone.
pub(super) fn expire(draft: &mut Draft<'_>) {
    let ids: Vec<ClaimId> = draft.board().index().handed_over().collect();
    for id in ids {
        let Some(claim) = draft.tables.claims.shared(&id) else { continue };
        let Some(offer) = &claim.handover else { continue };
        let reason = if draft.tables.sessions.get(&offer.to).is_none() {
            "its receiver is gone"
        } else if claim.offer(draft.now.board).is_none() {
            "its time is over"
        } else {
            continue;
        };
        if draft.room() < 1 {
            return;
        }
        without(draft, &claim, offer.to, reason);
    }
}

fn without(draft: &mut Draft<'_>, claim: &Claim, to: SessionId, reason: &str) -> Claim {
    let (id, session, reason) = (claim.id, claim.session, reason.to_owned());
    draft.record(Event::HandoverEnded { claim: id, session, to, reason });
    let claim = Claim { handover: None, ..claim.clone() };
    draft.tables.claims.put(id, claim.clone());
    claim
}

fn kept(draft: &mut Draft<'_>, claim: Claim) -> Reply {
    draft.tables.claims.put(claim.id, claim.clone());
    Reply::Granted { claim: Box::new(claim), already: Already::Yes }
}

/// The living session of that name, other than the giver's own.
fn receiver(draft: &Draft<'_>, session: &Session, to: &AgentName) -> Result<Session, Box<Refusal>> {
    if *to == session.name {
        return Err(Invalid::field("to", format!("{to} is you: name another agent")).into());
    }
    let index = draft.board().index();
    let mut named = index.named(&session.repo, to).filter_map(|id| draft.tables.sessions.get(&id));
    let Some(receiver) = named.next() else {
        let mut known: Vec<&str> = index.names(&session.repo).map(AgentName::as_str).collect();
        known.sort_unstable();
        return Err(lock::unknown("agent", to.as_str(), &known));
    };
    let word = match receiver.state {
        session::State::Live => return Ok(receiver.clone()),
        session::State::Parked { .. } => "parked",
        session::State::Lost { .. } => "lost",
    };
    let (what, given, current) = (to.to_string(), "live".to_owned(), word.to_owned());
    Err(Refusal::Stale { what, given, current }.into())
}

/// A claim that is to be accepted.
enum Offered {
    /// It is offered to the session.
    To(Claim),
    /// The session has it already.
    Before(Claim),
}

fn offered(
    draft: &Draft<'_>,
    session: &Session,
    which: &Accepted,
) -> Result<Offered, Box<Refusal>> {
    let offers: Vec<Arc<Claim>> = offers_to(draft, session.id);
    let mine = claims_of(draft, session.id);
    let is_it = |claim: &&Arc<Claim>| match which {
        Accepted::Only => true,
        Accepted::Claim(id) => claim.id == *id,
        Accepted::Scope(name) => claim.scopes().any(|scope| scope == name),
    };
    if fault!(AcceptedUnasked)
        && let Accepted::Claim(id) = which
        && let Some(claim) = draft.tables.claims.get(id).filter(|claim| claim.is_held())
    {
        return Ok(Offered::To(claim.clone()));
    }
    let found: Vec<&Arc<Claim>> = offers.iter().filter(is_it).collect();
    match &found[..] {
        [claim] => return Ok(Offered::To(Claim::clone(claim))),
        [] => {}
        several => {
            let named = several.iter().map(|it| format!("{} ({})", it.id, list(it)));
            let named: Vec<String> = named.take(6).collect();
            let problem = format!("several are offered to you, name one: {}", named.join(", "));
            return Err(Invalid::field("claim", problem).into());
        }
    }
    let asked = match which {
        Accepted::Only => {
            let (kind, name) = ("claim offered to".to_owned(), session.name.to_string());
            return Err(Refusal::NotFound { kind, name, nearest: None }.into());
        }
        Accepted::Claim(id) => id.to_string(),
        Accepted::Scope(name) => name.to_string(),
    };
    if let Some(claim) = mine.iter().filter(|claim| claim.is_held()).find(is_it) {
        return Ok(Offered::Before(Claim::clone(claim)));
    }
    let known: Vec<String> = offers.iter().flat_map(|claim| words(claim, which)).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(lock::unknown("offer of", &asked, &known))
}

/// What a claim may be called by whoever accepts it in such words.
fn words(claim: &Claim, which: &Accepted) -> Vec<String> {
    match which {
        Accepted::Only | Accepted::Claim(_) => vec![claim.id.to_string()],
        Accepted::Scope(_) => claim.scopes().map(ToString::to_string).collect(),
    }
}

fn list(claim: &Claim) -> String {
    display_list(&claim.piece_list())
}

/// The claims that are offered to a session.
fn offers_to(draft: &Draft<'_>, session: SessionId) -> Vec<Arc<Claim>> {
    let now = draft.now.board;
    let known = draft.board().index().handed_to(session);
    let claims = known.filter_map(|id| draft.tables.claims.shared(&id));
    claims.filter(|claim| claim.offer(now).is_some_and(|offer| offer.to == session)).collect()
}

/// The waiters whom a handover passes; refused where one of them may not be passed any more.
fn passed(
    draft: &Draft<'_>,
    session: &Session,
    claim: &Claim,
    receiver: SessionId,
) -> Result<Vec<Arc<Claim>>, Box<Refusal>> {
    let repo = draft.repo(&claim.repo)?;
    let passed = line::behind(draft, &repo.policy, claim, receiver);
    let waiter = line::unpassed(draft, &passed);
    let Some(obstacle) = waiter.and_then(|waiter| obstacle(&repo.policy, claim, waiter)) else {
        return Ok(passed);
    };
    Err(refused(draft, session, claim, obstacle)?)
}

fn refused(
    draft: &Draft<'_>,
    session: &Session,
    claim: &Claim,
    obstacle: Obstacle,
) -> Result<Box<Refusal>, Box<Refusal>> {
    let repo = draft.repo(&claim.repo)?;
    let asked = (&claim.piece_list()[..], Mode::Exclusive);
    Ok(refusal(draft, session, &repo.policy, asked, obstacle))
}

/// What the giver would keep of what overlaps: one session may have both, two may not.
fn left_behind(draft: &Draft<'_>, claim: &Claim) -> Result<Option<Obstacle>, Box<Refusal>> {
    let policy = &draft.repo(&claim.repo)?.policy;
    let kept = claims_of(draft, claim.session);
    let mut kept = kept.iter().filter(|other| other.id != claim.id && other.closes());
    Ok(kept.find_map(|other| {
        let (wanted, held, conflict) = clash(policy, claim, other)?;
        Some(Obstacle { wanted, held, claim: other.id, holder: other.session, conflict })
    }))
}
