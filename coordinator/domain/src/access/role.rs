//! Roles: what an identity is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Right;

/// What an identity is for. Each has the rights that [`Right::roles`] lists it under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works: sessions, claims, tasks, locks, changes.
    Agent,
    /// A machine: renews its sessions and runs what it is given.
    Host,
    /// A machine whose results count for landing.
    Prover,
    /// A person who looks after the fleet; may do what agents may, too.
    Operator,
    /// Reads.
    Viewer,
    /// Proposes changes and follows them.
    Bot,
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: use agent, host, prover, operator, viewer or bot")]
pub struct UnknownRole(pub String);

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Agent, Self::Host, Self::Prover, Self::Operator, Self::Viewer, Self::Bot];

    /// The role in one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Host => "host",
            Self::Prover => "prover",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Bot => "bot",
        }
    }

    /// Whether it has a right.
    #[must_use]
    pub fn has(self, right: Right) -> bool {
        right.roles().contains(&self)
    }

    /// Whether it is a machine's.
    #[must_use]
    pub const fn is_host(self) -> bool {
        matches!(self, Self::Host | Self::Prover)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let known = Self::ALL.into_iter().find(|role| role.word() == text);
        known.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
