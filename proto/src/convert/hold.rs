//! Holds: taking locks and slots, giving them back, and places in a line.

use molt_domain::board::{Command, Invalid};
use molt_domain::hold::End;
use molt_domain::id::{ClaimId, HoldId, SessionId};

use super::field;
use crate::v1;

/// What is said of a hold for people, in bytes: it stands in every view.
pub(super) const MAX_WHAT: usize = 500;

impl TryFrom<v1::AcquireLock> for Command {
    type Error = Invalid;

    fn try_from(acquire: v1::AcquireLock) -> Result<Self, Invalid> {
        field::limited("what", &acquire.what, MAX_WHAT)?;
        Ok(Self::AcquireLock {
            lock: field::parse("lock", &acquire.lock)?,
            what: acquire.what,
            otherwise: field::otherwise(acquire.wait),
        })
    }
}

impl TryFrom<v1::AcquireSlot> for Command {
    type Error = Invalid;

    fn try_from(acquire: v1::AcquireSlot) -> Result<Self, Invalid> {
        field::limited("what", &acquire.what, MAX_WHAT)?;
        Ok(Self::AcquireSlot {
            pool: field::parse("pool", &acquire.pool)?,
            host: field::parse("host", &acquire.host)?,
            what: acquire.what,
            otherwise: field::otherwise(acquire.wait),
        })
    }
}

impl TryFrom<v1::ReleaseHold> for Command {
    type Error = Invalid;

    fn try_from(release: v1::ReleaseHold) -> Result<Self, Invalid> {
        let end = if release.gone { End::Gone } else { End::Silent };
        Ok(Self::ReleaseHold { hold: field::parse("hold", &release.hold)?, end })
    }
}

/// A place that somebody attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Of those who wait for scopes.
    Claim(ClaimId),
    /// Of those who wait for a lock, slot or build.
    Hold(HoldId),
    /// At the inbox of a session.
    Inbox(SessionId),
}

impl TryFrom<&v1::AttendRequest> for Place {
    type Error = Invalid;

    fn try_from(request: &v1::AttendRequest) -> Result<Self, Invalid> {
        let id = request.id.as_str();
        match id.split_once('_') {
            Some(("clm", _)) => Ok(Self::Claim(field::parse("id", id)?)),
            Some(("hld", _)) => Ok(Self::Hold(field::parse("id", id)?)),
            Some(("ses", _)) => Ok(Self::Inbox(field::parse("id", id)?)),
            _ => {
                let id = field::clip(id, 64);
                Err(Invalid::field(
                    "id",
                    format!("`{id}` is neither a claim, a hold nor a session id"),
                ))
            }
        }
    }
}
