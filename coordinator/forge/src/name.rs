//! Names that become parts of refs, parsed so that none can be read otherwise.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that cannot be part of a ref.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}")]
pub struct InvalidName {
    /// What was given.
    pub text: String,
    /// What was expected, in words.
    pub kind: &'static str,
}

/// The short name of a branch, such as `main` or `release/2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Branch(String);

/// The id of a change or candidate: letters, digits, `-`, `_` and inner dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RefId(String);

/// Git's rules for one part between slashes.
fn is_part(part: &str) -> bool {
    let banned = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !part.is_empty()
        && !part.starts_with(['.', '-'])
        && !part.ends_with('.')
        && !part.ends_with(".lock")
        && !part.contains("..")
        && !part.contains("@{")
        && !part.contains(banned)
}

fn is_branch(text: &str) -> bool {
    text != "@" && text != "HEAD" && text.split('/').all(is_part)
}

fn is_id(text: &str) -> bool {
    is_part(text) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

macro_rules! name {
    ($name:ident, $kind:literal, $rule:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                if $rule(&text) { Ok(Self(text)) } else { Err(InvalidName { text, kind: $kind }) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(Branch, "branch name", is_branch);
name!(RefId, "id: expected letters, digits, `-`, `_` and inner dots", is_id);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_would_read_otherwise_are_refused() {
        for good in ["main", "release/2.x", "größer", "a-b_c"] {
            assert!(good.parse::<Branch>().is_ok(), "{good:?} is refused");
        }
        for bad in ["", "-f", "a..b", "a b", "a:b", "/a", "a/", "a//b", ".a", "a.lock", "@", "a\n"]
        {
            assert!(bad.parse::<Branch>().is_err(), "{bad:?} is a branch");
            assert!(bad.parse::<RefId>().is_err(), "{bad:?} is an id");
        }
        assert!("17".parse::<RefId>().is_ok());
        assert!("a/b".parse::<RefId>().is_err());
    }
}
