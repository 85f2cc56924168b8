//! Tokens: who is let in by one, and who is not any more.

use molt_domain::access::Details;
use molt_domain::board::{Command, Invalid};

use super::field;
use crate::v1;

impl TryFrom<v1::IssueToken> for Command {
    type Error = Invalid;

    fn try_from(issue: v1::IssueToken) -> Result<Self, Invalid> {
        field::counted("repos", &issue.repos, 64)?;
        Ok(Self::IssueToken(Details {
            hash: field::parse("hash", &issue.hash)?,
            name: field::parse("name", &issue.name)?,
            role: field::parse("role", &issue.role)?,
            repos: field::all("repos", &issue.repos)?.into_iter().collect(),
            life: Some(issue.life_ms).filter(|&life| life != 0),
        }))
    }
}

impl TryFrom<v1::RevokeToken> for Command {
    type Error = Invalid;

    fn try_from(revoke: v1::RevokeToken) -> Result<Self, Invalid> {
        let token = field::parse("id", &revoke.id)?;
        Ok(Self::RevokeToken { token, reason: revoke.reason })
    }
}
