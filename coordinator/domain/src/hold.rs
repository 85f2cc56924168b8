//! One use of a lock, slot or build: who holds it, and since when.
//!
//! Shared by [`crate::lock`], [`crate::slot`] and [`crate::build`]. Not here:
//! claims on scopes, which are about editing and not about running.

use serde::{Deserialize, Serialize};

use crate::id::{BoardTime, Fence, HoldId, JobId, SessionId};
use crate::name::HostName;

/// One use of something shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Who holds it.
    pub holder: Holder,
    /// Where the holder runs.
    pub host: HostName,
    /// The grant's number.
    pub fence: Fence,
    /// When it was granted.
    pub since: BoardTime,
    /// What runs under it, for people.
    pub what: String,
}

/// A place in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// The hold that it will be.
    pub id: HoldId,
    /// Who waits.
    pub holder: Holder,
    /// Where the waiter runs.
    pub host: HostName,
    /// Since when.
    pub since: BoardTime,
    /// What will run under it, for people.
    pub what: String,
}

impl Waiter {
    /// The hold that this waiter gets.
    #[must_use]
    pub fn granted(self, fence: Fence, now: BoardTime) -> Hold {
        let Self { id, holder, host, what, .. } = self;
        Hold { id, holder, host, fence, since: now, what }
    }
}

/// Who uses something shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// An agent's wrapped command.
    Session(SessionId),
    /// A gate's run.
    Job(JobId),
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its processes are gone: the host has seen it.
    Gone,
    /// Its holder fell silent: whether its processes are gone is not known.
    Silent,
}
