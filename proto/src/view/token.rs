//! Tokens, for those who look after them.

use molt_domain::access::{Repos, State, Token};
use molt_domain::board::Board;
use molt_domain::id::BoardTime;

use super::{MAX_ROWS, texts};
use crate::v1;

/// A token, without what is secret of it.
#[must_use]
pub fn token(token: &Token, now: BoardTime) -> v1::TokenView {
    let (state, reason) = match &token.state {
        State::Revoked { by, reason, .. } => ("revoked", format!("by {by}: {reason}")),
        State::Issued if !token.is_live(now) => ("expired", String::new()),
        State::Issued => ("live", String::new()),
    };
    v1::TokenView {
        id: token.id.to_string(),
        name: token.name.to_string(),
        role: token.role.to_string(),
        repos: match &token.repos {
            Repos::All => Vec::new(),
            Repos::Only(repos) => texts(repos),
        },
        state: state.to_owned(),
        issued_ms: token.issued.0,
        expires_ms: token.expires.map_or(0, |end| end.0),
        by: token.by.clone(),
        reason,
    }
}

/// Those that are good first, each group oldest first.
pub(super) fn tokens(board: &Board, now: BoardTime) -> v1::Tokens {
    let all = board.tables().tokens.values();
    let (live, ended): (Vec<_>, Vec<_>) = all.partition(|token| token.is_live(now));
    let rows = live.into_iter().chain(ended).take(MAX_ROWS);
    v1::Tokens { tokens: rows.map(|it| token(it, now)).collect() }
}
