//! Why a token is good, or not any more.

use super::{Why, first_line};
use crate::access::{Repos, Right, State, Token};
use crate::name::RepoName;

impl Why<'_> {
    pub(super) fn token(&self, token: &Token) -> Vec<String> {
        let mut lines = vec![match (&token.state, token.expires) {
            (State::Revoked { at, by, reason }, _) => format!(
                "{} of {} was revoked by {by}, {}: {}",
                token.id,
                token.name,
                self.ago(*at),
                first_line(reason)
            ),
            (State::Issued, Some(end)) if end <= self.now => {
                format!("{} of {} expired {}", token.id, token.name, self.ago(end))
            }
            (State::Issued, Some(end)) => {
                format!("{} of {} is good, ends {}", token.id, token.name, self.ahead(end))
            }
            (State::Issued, None) => {
                format!("{} of {} is good until it is revoked", token.id, token.name)
            }
        }];
        let rights = Right::ALL.into_iter().filter(|right| token.role.has(*right));
        let rights: Vec<String> = rights.map(|right| format!("{right:?}").to_lowercase()).collect();
        lines.push(format!("rule     role {}: {}", token.role, rights.join(" ")));
        lines.push(match &token.repos {
            Repos::All => "where    every repository".to_owned(),
            Repos::Only(repos) => {
                let repos: Vec<&str> = repos.iter().map(RepoName::as_str).collect();
                format!("where    {}", first_line(&repos.join(" ")))
            }
        });
        lines.push(format!("issued   by {}, {}", token.by, self.ago(token.issued)));
        lines
    }
}
