//! Sessions: who joins, and what proves a caller.

use molt_domain::board::{Command, Invalid};
use molt_domain::session::{Credentials, Root};

use super::field;
use crate::v1;

pub(super) fn credentials(message: v1::Credentials) -> Result<Credentials, Invalid> {
    let v1::Credentials { session, secret, epoch } = message;
    Ok(Credentials { session: field::parse("caller.session", &session)?, secret, epoch })
}

fn root(message: Option<v1::Root>) -> Result<Root, Invalid> {
    match message {
        None => Err(Invalid::field("root", field::MISSING)),
        Some(v1::Root { pid: 0, .. }) => Ok(Root::Use),
        Some(v1::Root { pid, start }) => Ok(Root::Process { pid, start }),
    }
}

impl TryFrom<v1::Join> for Command {
    type Error = Invalid;

    fn try_from(join: v1::Join) -> Result<Self, Invalid> {
        field::digest("secret", &join.secret)?;
        Ok(Self::Join {
            repo: field::parse("repo", &join.repo)?,
            name: field::parse("name", &join.name)?,
            host: field::parse("host", &join.host)?,
            root: root(join.root)?,
            worktree: join.worktree,
            secret: join.secret,
        })
    }
}

impl TryFrom<v1::Resume> for Command {
    type Error = Invalid;

    fn try_from(resume: v1::Resume) -> Result<Self, Invalid> {
        Ok(Self::Resume { root: root(resume.root)? })
    }
}

impl From<v1::Leave> for Command {
    fn from(leave: v1::Leave) -> Self {
        Self::Leave { park: Some(leave.park_ms).filter(|&span| span != 0) }
    }
}

impl TryFrom<v1::RootDead> for Command {
    type Error = Invalid;

    fn try_from(dead: v1::RootDead) -> Result<Self, Invalid> {
        Ok(Self::RootDead { session: field::parse("session", &dead.session)? })
    }
}
