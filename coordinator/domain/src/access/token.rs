//! Bearer tokens: who they speak for, until when, and that they are no more.
//!
//! The board keeps a digest: whoever reads the store or the audit cannot use a
//! token. A token ends by its time or by an operator's word; ended ones are
//! kept for a while, so that a refusal can say why.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Identity, Repos, Role};
use crate::board::{Actor, Board, Caller, Draft, Event, Invalid, Refusal, Reply};
use crate::id::{BoardTime, TokenId};
use crate::name::{ActorName, RepoName};
use crate::{claim, fault};

/// Tokens that are good at once, at most.
pub const LIVE_TOKENS: usize = 500;

/// Ended tokens that are kept, the newest.
pub const ENDED_TOKENS: usize = 100;

/// The longest life of a token that has an end.
pub const MAX_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// Repositories that a token is limited to, at most.
const MAX_REPOS: usize = 32;

/// blake3 of a token. Two are compared in constant time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenHash(blake3::Hash);

/// A text that is no digest of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no blake3 digest: expected 64 of 0-9 a-f")]
pub struct InvalidHash;

impl TokenHash {
    /// The digest of a token as it is shown.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(blake3::hash(token.as_bytes()))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl FromStr for TokenHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !text.bytes().all(hex) {
            return Err(InvalidHash);
        }
        blake3::Hash::from_hex(text).map(Self).map_err(|_| InvalidHash)
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for TokenHash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id, which is no secret.
    pub id: TokenId,
    /// Its digest.
    pub hash: TokenHash,
    /// Who its bearer is.
    pub name: ActorName,
    /// What its bearer may do.
    pub role: Role,
    /// Where.
    pub repos: Repos,
    /// When it was issued.
    pub issued: BoardTime,
    /// When it ends by itself.
    pub expires: Option<BoardTime>,
    /// Who issued it, for people.
    pub by: String,
    /// Whether it is good.
    pub state: State,
}

/// Whether a token is good, its time left aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// Nobody took it back.
    Issued,
    /// An operator took it back.
    Revoked {
        /// When.
        at: BoardTime,
        /// Who, for people.
        by: String,
        /// Why.
        reason: String,
    },
}

/// What a new token is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Its digest; the token itself stays with whoever made it.
    pub hash: TokenHash,
    /// Who its bearer will be.
    pub name: ActorName,
    /// What its bearer may do.
    pub role: Role,
    /// The repositories that it is limited to; none: it is not limited.
    pub repos: BTreeSet<RepoName>,
    /// How long it is good, in milliseconds; `None`: until it is revoked.
    pub life: Option<u64>,
}

impl Token {
    /// Whether its bearer may use it at `now`.
    #[must_use]
    pub fn is_live(&self, now: BoardTime) -> bool {
        self.ended(now).is_none()
    }

    /// When it ended, if it has by `now`.
    fn ended(&self, now: BoardTime) -> Option<BoardTime> {
        match self.state {
            State::Revoked { at, .. } => Some(at),
            State::Issued => self.expires.filter(|end| *end <= now),
        }
    }

    /// Why its bearer may use it no more.
    fn refusal(&self, now: BoardTime) -> Option<Box<Refusal>> {
        let problem = match &self.state {
            State::Revoked { by, reason, .. } => {
                format!("token {} of {} was revoked by {by}: {reason}", self.id, self.name)
            }
            State::Issued => {
                let ago = now.since(self.expires.filter(|end| *end <= now)?).as_secs();
                format!("token {} of {} expired {ago} s ago", self.id, self.name)
            }
        };
        let needs = "a token that is good".to_owned();
        Some(Refusal::Unauthenticated { problem, needs }.into())
    }

    /// What it proves.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            name: self.name.clone(),
            role: self.role,
            repos: self.repos.clone(),
            token: Some(self.id),
        }
    }
}

/// Who bears the token of this digest.
///
/// # Errors
///
/// [`Refusal::Unauthenticated`]: there is none, or it ended.
pub fn authenticate(
    board: &Board,
    hash: TokenHash,
    now: BoardTime,
) -> Result<Identity, Box<Refusal>> {
    let token = board.index().token(&hash).and_then(|id| board.tables().tokens.get(&id));
    // The index names a candidate; the digests themselves are compared in constant time.
    let Some(token) = token.filter(|token| token.hash == hash) else {
        let problem = "the token is not known here".to_owned();
        let needs = "a token that an operator issued".to_owned();
        return Err(Refusal::Unauthenticated { problem, needs }.into());
    };
    token.refusal(now).map_or_else(|| Ok(token.identity()), Err)
}

/// That a token that proved somebody a moment ago still does.
pub(super) fn check(board: &Board, id: TokenId, now: BoardTime) -> Result<(), Box<Refusal>> {
    if fault::fault!(RevokedTokenPasses) {
        return Ok(());
    }
    let Some(token) = board.tables().tokens.get(&id) else {
        let problem = format!("token {id} is not known any more");
        let needs = "a token that is good".to_owned();
        return Err(Refusal::Unauthenticated { problem, needs }.into());
    };
    token.refusal(now).map_or(Ok(()), Err)
}

/// How long a token that proved somebody is good from `now` on; `None`: until it is revoked.
///
/// # Errors
///
/// [`Refusal::Unauthenticated`]: it is good no more.
pub fn left(board: &Board, id: TokenId, now: BoardTime) -> Result<Option<Duration>, Box<Refusal>> {
    check(board, id, now)?;
    let expires = board.tables().tokens.get(&id).and_then(|token| token.expires);
    Ok(expires.map(|end| end.since(now)))
}

/// Lets a bearer in, as an operator.
pub(crate) fn issue(
    draft: &mut Draft<'_>,
    caller: &Caller,
    actor: &Actor,
    new: &Details,
) -> Result<Reply, Box<Refusal>> {
    claim::operator(caller, "a token is issued")?;
    let now = draft.now.board;
    let same = draft.tables.tokens.iter().find(|(_, token)| token.hash == new.hash);
    if let Some((id, token)) = same {
        // Asked again because the answer was lost.
        if token.name == new.name && token.role == new.role && token.is_live(now) {
            return Ok(Reply::TokenIssued { token: *id });
        }
        return Err(Invalid::field("hash", format!("{id} has it: make another token")).into());
    }
    let repos = repos(draft, new)?;
    let expires = new.life.map(|life| expiry(now, life)).transpose()?;
    let live = draft.tables.tokens.iter().filter(|(_, token)| token.is_live(now)).count();
    if live >= LIVE_TOKENS {
        let problem = format!("{live} tokens are good, the limit is {LIVE_TOKENS}: revoke some");
        return Err(Invalid::field("token", problem).into());
    }
    let id = TokenId::from_counter(draft.number());
    draft.record(Event::TokenIssued {
        token: id,
        name: new.name.clone(),
        role: new.role,
        repos: repos.clone(),
        expires: expires.map(|at| at.0),
    });
    let token = Token {
        id,
        hash: new.hash,
        name: new.name.clone(),
        role: new.role,
        repos,
        issued: now,
        expires,
        by: actor.to_string(),
        state: State::Issued,
    };
    draft.tables.tokens.put(id, token);
    forget(draft);
    Ok(Reply::TokenIssued { token: id })
}

fn expiry(now: BoardTime, life: u64) -> Result<BoardTime, Box<Refusal>> {
    let span = Duration::from_millis(life);
    if span.is_zero() || span > MAX_LIFE {
        let problem =
            format!("{} s: a token lives longer than 0 s and at most 10 years", span.as_secs());
        return Err(Invalid::field("expires", problem).into());
    }
    Ok(now.plus(span))
}

/// Where a new token is good: in repositories that are coordinated here.
fn repos(draft: &Draft<'_>, new: &Details) -> Result<Repos, Box<Refusal>> {
    if new.repos.is_empty() {
        return Ok(Repos::All);
    }
    if new.role.is_host() {
        let problem = format!("a {} serves every repository: leave it out", new.role);
        return Err(Invalid::field("repo", problem).into());
    }
    if new.repos.len() > MAX_REPOS {
        let problem = format!("{} repositories, the limit is {MAX_REPOS}", new.repos.len());
        return Err(Invalid::field("repo", problem).into());
    }
    for repo in &new.repos {
        draft.repo(repo)?;
    }
    Ok(Repos::Only(new.repos.clone()))
}

/// Takes a token back, as an operator.
pub(crate) fn revoke(
    draft: &mut Draft<'_>,
    caller: &Caller,
    actor: &Actor,
    id: TokenId,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    claim::operator(caller, reason)?;
    let Some(token) = draft.tables.tokens.get(&id).cloned() else {
        let (kind, name) = ("token".to_owned(), id.to_string());
        return Err(Refusal::NotFound { kind, name, nearest: None }.into());
    };
    if matches!(token.state, State::Revoked { .. }) {
        return Ok(Reply::Done);
    }
    let reason = reason.to_owned();
    let name = token.name.clone();
    draft.record(Event::TokenRevoked { token: id, name, reason: reason.clone() });
    let state = State::Revoked { at: draft.now.board, by: actor.to_string(), reason };
    draft.tables.tokens.put(id, Token { state, ..token });
    forget(draft);
    Ok(Reply::Done)
}

/// Forgets ended tokens beyond those that are kept, oldest end first.
fn forget(draft: &mut Draft<'_>) {
    let now = draft.now.board;
    let ended = draft.tables.tokens.iter().filter_map(|(id, it)| Some((it.ended(now)?, *id)));
    let mut ended: Vec<(BoardTime, TokenId)> = ended.collect();
    ended.sort_unstable();
    let excess = ended.len().saturating_sub(ENDED_TOKENS).min(draft.room());
    for (_, id) in ended.into_iter().take(excess) {
        draft.tables.tokens.delete(&id);
    }
}
