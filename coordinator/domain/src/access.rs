//! Who may do what: what a caller proved, the rights of its role, and where it may use them.
//!
//! A [`Peer`] is what the edge found out about the other end of a call. The
//! board checks it before any other rule, so a right that is missing refuses
//! whatever else is so. Not here: certificates, headers and rates (the
//! server's `auth`), and what proves one session, which is its secret
//! ([`crate::session`]).

mod right;
mod role;
mod token;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::right::Right;
pub use self::role::{Role, UnknownRole};
pub use self::token::{
    Details, ENDED_TOKENS, LIVE_TOKENS, MAX_LIFE, State, Token, TokenHash, authenticate, left,
};
pub(crate) use self::token::{issue, revoke};

use crate::board::{Board, Caller, Command, Now, Refusal, Request};
use crate::fault::fault;
use crate::id::TokenId;
use crate::name::{ActorName, RepoName};

/// The other end of a call, as far as it is known.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Peer {
    /// This machine: the coordinator's own rooms, or somebody on loopback who showed nothing.
    /// It has the rights of whoever it says it is.
    #[default]
    Local,
    /// Somebody who proved a name, by a certificate or a token.
    Known(Identity),
}

/// A proven name with its role, and where it may act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The actor's name, which the audit keeps.
    pub name: ActorName,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub repos: Repos,
    /// The token that proved it; `None` for a certificate.
    pub token: Option<TokenId>,
}

/// The repositories that an identity is good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repos {
    /// Every one, and what concerns the fleet as a whole.
    All,
    /// These alone.
    Only(BTreeSet<RepoName>),
}

impl Repos {
    /// Whether `repo` is among them.
    #[must_use]
    pub fn has(&self, repo: &RepoName) -> bool {
        match self {
            Self::All => true,
            Self::Only(repos) => repos.contains(repo),
        }
    }
}

impl Identity {
    /// That the role has `right`, for what is called `verb`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`], which names the verb, the role and the roles that have the right.
    pub fn may(&self, right: Right, verb: &str) -> Result<(), Box<Refusal>> {
        if self.role.has(right) || fault!(RoleIgnored) {
            return Ok(());
        }
        Err(Refusal::Forbidden { what: self.doing(verb), needs: right.needs() }.into())
    }

    /// That it may act in `repo`; with `None` on the fleet as a whole.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`] when its token is limited to others.
    pub fn may_in(&self, repo: Option<&RepoName>, verb: &str) -> Result<(), Box<Refusal>> {
        let Repos::Only(own) = &self.repos else { return Ok(()) };
        if repo.is_some_and(|repo| own.contains(repo)) {
            return Ok(());
        }
        let needs = match repo {
            Some(repo) => format!("a token for the repository {repo}"),
            None => "a token that is not limited to repositories".to_owned(),
        };
        Err(Refusal::Forbidden { what: self.doing(verb), needs }.into())
    }

    fn doing(&self, verb: &str) -> String {
        format!("`{verb}` as {} {}", self.role, self.name)
    }
}

/// That the peer of a request may make it; every decision asks this first.
///
/// # Errors
///
/// [`Refusal::Unauthenticated`] when its token ended since it was shown, else
/// [`Refusal::Forbidden`].
pub fn check(board: &Board, request: &Request, now: Now) -> Result<(), Box<Refusal>> {
    let Peer::Known(identity) = &request.peer else { return Ok(()) };
    if let Some(id) = identity.token {
        token::check(board, id, now.board)?;
    }
    let verb = request.command.word();
    identity.may(Right::of(&request.command, &request.caller), verb)?;
    is_who_it_says(board, identity, &request.caller, verb)?;
    match place(board, request) {
        Place::Repo(repo) => identity.may_in(Some(&repo), verb),
        Place::Fleet => identity.may_in(None, verb),
        // The room of that noun says what is not there.
        Place::Nowhere => Ok(()),
    }
}

/// That a host speaks for itself and for sessions that live on it.
///
/// An operator needs no such check: it is called as its certificate or token says.
fn is_who_it_says(
    board: &Board,
    identity: &Identity,
    caller: &Caller,
    verb: &str,
) -> Result<(), Box<Refusal>> {
    let host = match caller {
        Caller::Host(host) => host,
        Caller::Session(shown) if identity.role.is_host() => {
            match board.tables().sessions.get(&shown.session) {
                Some(session) => &session.host,
                None => return Ok(()),
            }
        }
        _ => return Ok(()),
    };
    if host.as_str() == identity.name.as_str() {
        return Ok(());
    }
    let needs = format!("the certificate or token of host {host}");
    Err(Refusal::Forbidden { what: identity.doing(verb), needs }.into())
}

/// Where a request acts.
enum Place {
    Repo(RepoName),
    /// On what all repositories share.
    Fleet,
    /// On something that is not there.
    Nowhere,
}

fn place(board: &Board, request: &Request) -> Place {
    let tables = board.tables();
    let session = |id| tables.sessions.get(&id).map(|session| &session.repo);
    let repo = match (&request.command, &request.caller) {
        (Command::Join { repo, .. } | Command::PlanScopes { repo, .. }, _) => Some(repo),
        // A late report may be of somebody who is gone.
        (Command::Report { .. }, Caller::Session(shown)) => {
            let had = board.index().had_by(shown.session).find_map(|id| tables.tasks.get(&id));
            session(shown.session).or(had.map(|task| &task.repo))
        }
        (_, Caller::Session(shown)) => session(shown.session),
        (Command::RevokeClaim { claim, .. }, _) => tables.claims.get(claim).map(|it| &it.repo),
        (Command::RevokeSession { session: id, .. } | Command::RootDead { session: id }, _) => {
            session(*id)
        }
        (
            Command::Dequeue { car }
            | Command::Retry { car }
            | Command::Approve { car, .. }
            | Command::Override { car, .. },
            _,
        ) => tables.cars.get(car).map(|car| &car.repo),
        (Command::ReopenTask { task, .. }, _) => tables.tasks.get(task).map(|task| &task.repo),
        (Command::EndJob { job, .. }, _) => tables.jobs.get(job).map(|job| &job.repo),
        _ => return Place::Fleet,
    };
    repo.map_or(Place::Nowhere, |repo| Place::Repo(repo.clone()))
}

#[cfg(test)]
mod tests;
