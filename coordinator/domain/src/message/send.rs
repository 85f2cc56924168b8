//! Sending: to an agent, or to whoever holds a scope.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::audience::holders;
use super::deliver::{Parcel, deliver};
use super::{Content, MAX_TEXT, Sender, Urgency};
use crate::board::{Draft, Invalid, Refusal, Reply};
use crate::id::SessionId;
use crate::lock;
use crate::name::AgentName;
use crate::scope::ScopeName;
use crate::session::Session;

/// To whom something is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// The session of that id.
    Session(SessionId),
    /// The agent of that name.
    Agent(AgentName),
    /// Whoever holds the scope, or what cannot be held beside it.
    Scope(ScopeName),
    /// An agent's name or a scope's, whichever is there.
    Either(String),
}

/// A text that names nobody whom something can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an agent's name, a session's id nor a scope's name")]
pub struct InvalidAddressee(String);

impl FromStr for Addressee {
    type Err = InvalidAddressee;

    fn from_str(text: &str) -> Result<Self, InvalidAddressee> {
        let invalid = || InvalidAddressee(text.chars().take(64).collect());
        if let Some(name) = text.strip_prefix("agent:") {
            return name.parse().map(Self::Agent).map_err(|_| invalid());
        }
        if let Some(name) = text.strip_prefix("scope:") {
            return name.parse().map(Self::Scope).map_err(|_| invalid());
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Session(id));
        }
        let names = text.parse::<AgentName>().is_ok() || text.parse::<ScopeName>().is_ok();
        if names { Ok(Self::Either(text.to_owned())) } else { Err(invalid()) }
    }
}

impl fmt::Display for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => write!(f, "{id}"),
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::Scope(name) => write!(f, "scope:{name}"),
            Self::Either(name) => f.write_str(name),
        }
    }
}

/// Sends a text into inboxes.
pub(crate) fn send(
    draft: &mut Draft<'_>,
    session: &Session,
    to: &Addressee,
    text: &str,
) -> Result<Reply, Box<Refusal>> {
    if text.trim().is_empty() {
        return Err(Invalid::field("text", "empty").into());
    }
    lock::limited("text", text, MAX_TEXT)?;
    let mut receivers = receivers(draft, session, to)?;
    receivers.remove(&session.id);
    if receivers.is_empty() {
        return Err(Invalid::field("to", format!("{to} is this session alone")).into());
    }
    let content = Content::Said { text: text.to_owned() };
    let parcel = Parcel { from: Some(Sender::of(session)), content, urgency: Urgency::Usual };
    match deliver(draft, &session.repo, &parcel, receivers) {
        Some((message, to)) => Ok(Reply::Sent { message, to }),
        None => Err(lock::unknown("session", &to.to_string(), &[])),
    }
}

fn receivers(
    draft: &Draft<'_>,
    session: &Session,
    to: &Addressee,
) -> Result<BTreeSet<SessionId>, Box<Refusal>> {
    match to {
        Addressee::Session(id) => {
            let known = draft.tables.sessions.get(id).filter(|it| it.repo == session.repo);
            let known = known.map(|session| BTreeSet::from([session.id]));
            known.ok_or_else(|| lock::unknown("session", &id.to_string(), &[]))
        }
        Addressee::Agent(name) => {
            named(draft, session, name).ok_or_else(|| unknown(draft, session, name.as_str()))
        }
        Addressee::Scope(name) => of_scope(draft, session, name),
        Addressee::Either(text) => either(draft, session, text),
    }
}

fn either(
    draft: &Draft<'_>,
    session: &Session,
    text: &str,
) -> Result<BTreeSet<SessionId>, Box<Refusal>> {
    let repo = draft.repo(&session.repo)?;
    let agent = text.parse().ok().and_then(|name| named(draft, session, &name));
    let scope = repo.policy.scopes.get(text);
    match (agent, scope) {
        (Some(_), Some(_)) => {
            let problem =
                format!("`{text}` is an agent and a scope: say agent:{text} or scope:{text}");
            Err(Invalid::field("to", problem).into())
        }
        (Some(agent), None) => Ok(agent),
        (None, Some(scope)) => of_scope(draft, session, &scope.name),
        (None, None) => Err(unknown(draft, session, text)),
    }
}

fn named(draft: &Draft<'_>, session: &Session, name: &AgentName) -> Option<BTreeSet<SessionId>> {
    let named: BTreeSet<SessionId> = draft.board().index().named(&session.repo, name).collect();
    (!named.is_empty()).then_some(named)
}

fn of_scope(
    draft: &Draft<'_>,
    session: &Session,
    name: &ScopeName,
) -> Result<BTreeSet<SessionId>, Box<Refusal>> {
    let repo = draft.repo(&session.repo)?;
    if repo.policy.scopes.get(name.as_str()).is_none() {
        let known: Vec<&str> = repo.policy.scopes.names().map(ScopeName::as_str).collect();
        return Err(lock::unknown("scope", name.as_str(), &known));
    }
    let holders = holders(draft, &session.repo, &repo.policy, name);
    if holders.is_empty() {
        return Err(lock::unknown("holder of scope", name.as_str(), &[]));
    }
    Ok(holders)
}

/// That nobody and nothing is called so, with the nearest name that somebody or something has.
fn unknown(draft: &Draft<'_>, session: &Session, name: &str) -> Box<Refusal> {
    let repo = draft.repo(&session.repo).ok();
    let scopes = repo.iter().flat_map(|repo| repo.policy.scopes.names()).map(ScopeName::as_str);
    let agents = draft.board().index().names(&session.repo).map(AgentName::as_str);
    // In an order that does not depend on the index.
    let known: BTreeSet<&str> = agents.chain(scopes).collect();
    let known: Vec<&str> = known.into_iter().collect();
    lock::unknown("agent or scope", name, &known)
}
