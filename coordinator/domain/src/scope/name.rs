//! Names of scopes, which form a tree, and the nearest of several names.
//!
//! Not here: names of other things ([`crate::name`]) and what a scope holds.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest scope name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// A scope's name: components of `a-z 0-9 _ . -` with `/` between them.
///
/// `runtime` is the parent of `runtime/gc`: it covers it, and they conflict.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ScopeName(Arc<str>);

/// A text that is no scope name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scope name `{name}` is invalid at character {at}: {fault}")]
pub struct InvalidScopeName {
    /// What was given.
    pub name: String,
    /// Where it goes wrong: the first character is 1.
    pub at: usize,
    /// What is wrong there.
    pub fault: NameFault,
}

/// What is wrong with a text that is no scope name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// There is no name.
    #[error("it is empty")]
    Empty,
    /// The name is longer than [`MAX_NAME_BYTES`].
    #[error("{bytes} bytes are more than {MAX_NAME_BYTES}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A `/` is first, last or doubled.
    #[error("a component is empty")]
    EmptyComponent,
    /// A component starts with a character that it may not start with.
    #[error("a component starts with a-z or 0-9, not {found:?}")]
    BadStart {
        /// The character.
        found: char,
    },
    /// A component has a character that it may not have.
    #[error("a component has a-z, 0-9, `_`, `.` and `-`, not {found:?}")]
    BadCharacter {
        /// The character.
        found: char,
    },
}

impl ScopeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is below this name, at any depth. No name is below itself.
    #[must_use]
    pub fn is_ancestor_of(&self, other: &Self) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The names above this one, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(parent(&self.0), |name| parent(name))
    }
}

fn parent(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(parent, _)| parent)
}

fn fault(text: &str) -> Option<(usize, NameFault)> {
    if text.is_empty() {
        return Some((1, NameFault::Empty));
    }
    if text.len() > MAX_NAME_BYTES {
        return Some((MAX_NAME_BYTES + 1, NameFault::TooLong { bytes: text.len() }));
    }
    let mut before = '/';
    for (index, c) in text.chars().enumerate() {
        let fault = match (before, c) {
            ('/', '/') => NameFault::EmptyComponent,
            (_, '/' | 'a'..='z' | '0'..='9') => {
                before = c;
                continue;
            }
            ('/', found) => NameFault::BadStart { found },
            (_, '_' | '.' | '-') => {
                before = c;
                continue;
            }
            (_, found) => NameFault::BadCharacter { found },
        };
        return Some((index + 1, fault));
    }
    (before == '/').then_some((text.len(), NameFault::EmptyComponent))
}

impl FromStr for ScopeName {
    type Err = InvalidScopeName;

    fn from_str(text: &str) -> Result<Self, InvalidScopeName> {
        match fault(text) {
            None => Ok(Self(text.into())),
            Some((at, fault)) => Err(InvalidScopeName { name: text.to_owned(), at, fault }),
        }
    }
}

impl TryFrom<String> for ScopeName {
    type Error = InvalidScopeName;

    fn try_from(text: String) -> Result<Self, InvalidScopeName> {
        text.parse()
    }
}

impl From<ScopeName> for String {
    fn from(name: ScopeName) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for ScopeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The candidate that `name` was probably meant to be; the first of equally near ones.
///
/// `None` when each differs by more than a third of the name, or by more than three edits.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().collect();
    let limit = (name.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.chars().collect();
            let edits = edits(&name, &letters);
            let alike = edits <= limit && edits < name.len().max(letters.len());
            alike.then_some((edits, candidate))
        })
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, changes and swaps of neighbours that make `b` of `a`.
fn edits(a: &[char], b: &[char]) -> usize {
    if a.len().abs_diff(b.len()) > 3 {
        return usize::MAX;
    }
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j - 1] + changed).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ScopeName {
        text.parse().unwrap()
    }

    #[test]
    fn a_wrong_name_says_what_is_wrong_and_where() {
        let long = "a".repeat(129);
        for (text, at, why) in [
            ("", 1, "it is empty"),
            ("/a", 1, "a component is empty"),
            ("a//b", 3, "a component is empty"),
            ("a/", 2, "a component is empty"),
            ("Runtime", 1, "a component starts with a-z or 0-9, not 'R'"),
            ("a/.git", 3, "a component starts with a-z or 0-9, not '.'"),
            ("a b", 2, "a component has a-z, 0-9, `_`, `.` and `-`, not ' '"),
            (&long, 129, "129 bytes are more than 128"),
        ] {
            assert_eq!(
                text.parse::<ScopeName>().unwrap_err().to_string(),
                format!("scope name `{text}` is invalid at character {at}: {why}")
            );
        }
    }

    #[test]
    fn an_ancestor_is_above_whole_components() {
        assert!(name("runtime").is_ancestor_of(&name("runtime/gc")));
        assert!(name("runtime").is_ancestor_of(&name("runtime/gc/mark")));
        assert!(!name("runtime").is_ancestor_of(&name("runtime")));
        assert!(!name("run").is_ancestor_of(&name("runtime")));
        assert!(!name("runtime/gc").is_ancestor_of(&name("runtime")));
        assert_eq!(name("a/b/c").ancestors().collect::<Vec<_>>(), ["a/b", "a"]);
    }

    #[test]
    fn a_name_is_a_string_on_the_wire() {
        let text = serde_json::to_string(&name("runtime/gc")).unwrap();
        assert_eq!(text, r#""runtime/gc""#);
        assert_eq!(serde_json::from_str::<ScopeName>(&text).unwrap(), name("runtime/gc"));
        assert!(serde_json::from_str::<ScopeName>(r#""A""#).is_err());
    }

    #[test]
    fn the_nearest_is_near() {
        let names = ["runtime", "runtime/gc", "docs", "manifests"];
        assert_eq!(nearest("runtme", names), Some("runtime"));
        assert_eq!(nearest("rutnime", names), Some("runtime"));
        assert_eq!(nearest("runtime/cg", names), Some("runtime/gc"));
        assert_eq!(nearest("doc", names), Some("docs"));
        assert_eq!(nearest("compiler", names), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("ab", ["aa", "ac"]), Some("aa"));
    }
}
