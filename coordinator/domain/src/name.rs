//! Names that people choose: repositories, agents, hosts, locks, pools, gates.
//!
//! A name is checked once, where it enters. Not here: scope names, which form a
//! tree and live in [`crate::scope`], and ids, which the board makes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes: it must fit a line of output beside two others.
pub const MAX_BYTES: usize = 64;

/// A text that is no name, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing was given.
    #[error("{kind} name is empty")]
    Empty {
        /// What the name was for.
        kind: &'static str,
    },
    /// More than [`MAX_BYTES`].
    #[error("{kind} name has {bytes} bytes, the limit is {MAX_BYTES}")]
    Long {
        /// What the name was for.
        kind: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// A character that names do not have.
    #[error(
        "{kind} name `{text}` has {found:?} at byte {at}: use letters, digits and . _ - @ # : / + = {{ }}"
    )]
    Character {
        /// What the name was for.
        kind: &'static str,
        /// The text.
        text: String,
        /// The character.
        found: char,
        /// Where it stands.
        at: usize,
    },
}

fn check(kind: &'static str, text: &str) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty { kind });
    }
    if text.len() > MAX_BYTES {
        return Err(InvalidName::Long { kind, bytes: text.len() });
    }
    match text.char_indices().find(|&(_, c)| !is_allowed(c)) {
        Some((at, found)) => Err(InvalidName::Character { kind, text: text.to_owned(), found, at }),
        None => Ok(()),
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-@#:/+={}".contains(c)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check($kind, text).map(|()| Self(text.to_owned()))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                check($kind, &text).map(|()| Self(text))
            }
        }
    };
}

name_type!(
    /// A coordinated repository.
    RepoName, "repository"
);
name_type!(
    /// What an agent calls itself; a second root with the same name gets `#2`.
    AgentName, "agent"
);
name_type!(
    /// Who was authenticated: an agent, a machine, a person, a program.
    ActorName, "actor"
);
name_type!(
    /// A host: a machine's daemon and its state folder.
    HostName, "host"
);
name_type!(
    /// A lock of fleet reach.
    LockName, "lock"
);
name_type!(
    /// A pool of slots.
    PoolName, "pool"
);
name_type!(
    /// A gate of the policy.
    GateName, "gate"
);
name_type!(
    /// A build that is done once for a fingerprint.
    BuildName, "build"
);

impl AgentName {
    /// The name of whoever is called `login` at a forge: what of it a name can have.
    #[must_use]
    pub(crate) fn of_login(login: &str) -> Self {
        let name: String = login.chars().filter(|&c| is_allowed(c)).take(MAX_BYTES).collect();
        Self(if name.is_empty() { "pull".to_owned() } else { name })
    }
}

impl crate::id::SessionId {
    /// The id where a name is to be told and the session is not on the board any more.
    #[must_use]
    pub fn as_name(self) -> AgentName {
        AgentName(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_wrong_with_it() {
        let cases = [
            ("".to_owned(), "agent name is empty"),
            ("a".repeat(65), "agent name has 65 bytes, the limit is 64"),
            (
                "a b".to_owned(),
                "agent name `a b` has ' ' at byte 1: use letters, digits and . _ - @ # : / + = { }",
            ),
        ];
        for (text, message) in cases {
            let error = text.parse::<AgentName>().expect_err("an invalid name");
            assert_eq!(error.to_string(), message);
        }
        assert_eq!(
            "codex-3@build2#2".parse::<AgentName>().expect("valid").as_str(),
            "codex-3@build2#2"
        );
    }
}
