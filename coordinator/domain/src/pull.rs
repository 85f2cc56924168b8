//! A pull request as a hosted forge shows it, what may be concluded from it, and what the board
//! keeps of it.
//!
//! The forge's client fills these types. What a word of the forge means is decided here, and a
//! word that nobody knows never allows anything. Not here: the forge's own shapes and the
//! exchanges with it (`molt-forge`), and the train that a change enters ([`crate::train`]).

pub mod admission;
pub mod check;
pub mod command;
mod desk;
mod follow;
mod head;
mod hear;
mod known;
mod opened;
pub mod proposal;
mod report;
pub mod review;
pub mod rules;
mod standing;
mod wish;
pub mod words;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use self::desk::{cool, open};
pub use self::follow::{Entry, Left, MAX_PULLS};
pub(crate) use self::follow::{Read, enter, forget, keep_head, leave, see, tell};
pub use self::head::{Sighting, Unbound, bind};
pub use self::hear::Heard;
pub(crate) use self::hear::hear;
pub use self::known::{
    AskedIn, CheckTold, Desk, Entered, Known, Look, MAX_ANSWERS, MAX_LOOKS, MAX_MOVED, MAX_SEEN,
    PullKey, Shows, Told,
};
pub use self::opened::{Opened, closes};
pub(crate) use self::opened::{hinder, opened};
pub use self::report::{Basis, Closes, Report, pause};
pub use self::standing::{annotations, standing, verdicts};
pub use self::wish::{Shown, Wanted};

/// A commit at the forge by its full id. An abbreviation can be met by another commit on purpose,
/// so there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CommitId(String);

/// A text that is no full commit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a full commit id: 40 or 64 of 0-9 a-f")]
pub struct InvalidCommit;

impl CommitId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its beginning, for people; it names no commit for us.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl FromStr for CommitId {
    type Err = InvalidCommit;

    fn from_str(text: &str) -> Result<Self, InvalidCommit> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if matches!(text.len(), 40 | 64) && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidCommit)
        }
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> String {
        id.0
    }
}

impl TryFrom<String> for CommitId {
    type Error = InvalidCommit;

    fn try_from(text: String) -> Result<Self, InvalidCommit> {
        text.parse()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person's or program's account by the forge's number: a login can be given up and taken by
/// somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserId(pub u64);

/// An App by the forge's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub u64);

/// Seconds since 1970 on the forge's own clock, as its answers are dated. Never compared with a
/// clock of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ForgeTime(pub u64);

/// What an account may do in a repository, each including the ones before.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Nothing that is known of.
    #[default]
    None,
    /// Look.
    Read,
    /// Sort, label, close.
    Triage,
    /// Push.
    Write,
    /// Decide over most of the repository.
    Maintain,
    /// Decide over all of it.
    Admin,
}

impl Right {
    /// What the forge's two words for it grant: the old `permission` is a limit, and the finer
    /// `role_name` tells only what is below it (`write` with the role `maintain` was recorded).
    /// A role of somebody's own making grants what its limit has for certain.
    #[must_use]
    pub fn of(permission: &str, role: &str) -> Self {
        match (permission, role) {
            ("admin", _) => Self::Admin,
            ("write", "maintain") => Self::Maintain,
            ("write", _) => Self::Write,
            ("read", "triage") => Self::Triage,
            ("read", _) => Self::Read,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        })
    }
}

/// Whether a character shows nothing by itself, or changes how others are shown: a person who
/// reads the text may see another one. Of variation selectors the two of emoji are not among them.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    reorders(c)
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}'
            | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character reorders the text around it, or is none that a text has.
fn reorders(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_id_names_a_commit() {
        assert!("a".repeat(40).parse::<CommitId>().is_ok());
        assert!("0".repeat(64).parse::<CommitId>().is_ok());
        for text in ["", "abc", &"a".repeat(39), &"A".repeat(40), &"g".repeat(40), &"ä".repeat(20)]
        {
            assert_eq!(text.parse::<CommitId>(), Err(InvalidCommit), "{text}");
        }
    }

    #[test]
    fn a_role_never_raises_what_the_permission_limits() {
        assert_eq!(Right::of("admin", "admin"), Right::Admin);
        assert_eq!(Right::of("write", "maintain"), Right::Maintain);
        for role in ["write", "admin", "Maintain", "", "release-managers"] {
            assert_eq!(Right::of("write", role), Right::Write, "{role}");
        }
        assert_eq!(Right::of("read", "triage"), Right::Triage);
        assert_eq!(Right::of("read", "admin"), Right::Read);
        for permission in ["none", "", "push", "pull", "ADMIN", "owner"] {
            assert_eq!(Right::of(permission, "admin"), Right::None, "{permission}");
        }
    }
}
