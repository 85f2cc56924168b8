//! What part of a repository a name stands for, and which parts meet.
//!
//! A [`Scope`] is a name with [`Pattern`]s of paths. The scopes of one policy
//! form a [`ScopeTree`], which answers who owns a path and which scopes cannot
//! be held side by side. Overlap is decided exactly, with a path to show for it.
//! Not here: who holds a scope ([`crate::claim`]) and reading `molt.toml`.

mod automaton;
mod case;
mod lint;
mod name;
mod overlap;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use case::Case;
pub use lint::Finding;
pub use name::{InvalidScopeName, MAX_NAME_BYTES, NameFault, ScopeName, nearest};
pub use overlap::overlap;
pub use parse::{MAX_ALTERNATIVES, MAX_PATTERN_BYTES};
pub use pattern::{InvalidPattern, Pattern, PatternFault};
pub use tree::{InvalidScopeTree, Owner, ScopeTree};

/// A named set of paths that is claimed as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Its name.
    pub name: ScopeName,
    /// Its own paths; those of its children are covered too.
    pub paths: Vec<Pattern>,
    /// How its paths weigh against those of other scopes.
    #[serde(default)]
    pub reach: Reach,
    /// At most how long one claim lasts, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// The tests that a change in it is expected to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<String>,
    /// How risky a change in it is.
    #[serde(default)]
    pub risk: Risk,
}

/// How the paths of a scope weigh against those of other scopes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Its paths are its own unless a carve matches them.
    #[default]
    Plain,
    /// Its paths belong to it alone, cut out of every plain scope.
    Carve,
}

/// How risky a change is.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// A mistake is cheap.
    Low,
    /// The usual.
    #[default]
    Med,
    /// A mistake is dear.
    High,
}

/// Why two scopes cannot be held side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Conflict {
    /// One is above the other, or they are the same.
    Ancestor,
    /// A path matches both.
    Overlap {
        /// The pattern of the first.
        left: Pattern,
        /// The pattern of the second.
        right: Pattern,
        /// A path that both match.
        witness: String,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ancestor => f.write_str("one scope is the other or above it"),
            Self::Overlap { left, right, witness } => {
                write!(f, "`{left}` and `{right}` both match `{witness}`")
            }
        }
    }
}

/// Why `a` and `b` cannot be held side by side, by what they say themselves.
///
/// Only a tree knows the children that they cover: ask [`ScopeTree::explain`]
/// about scopes of one policy, and this about claims with frozen patterns.
#[must_use]
pub fn conflict(a: &Scope, b: &Scope, case: Case) -> Option<Conflict> {
    if a.reach != b.reach {
        // What a carve matches is the carve's alone, so nothing is left to meet.
        return None;
    }
    if a.name == b.name || a.name.is_ancestor_of(&b.name) || b.name.is_ancestor_of(&a.name) {
        return Some(Conflict::Ancestor);
    }
    first_overlap(&a.paths, &b.paths, case)
}

/// The first two patterns of which one path matches both.
pub(crate) fn first_overlap(lefts: &[Pattern], rights: &[Pattern], case: Case) -> Option<Conflict> {
    lefts.iter().find_map(|left| {
        rights.iter().find_map(|right| {
            let witness = overlap(left, right, case)?;
            Some(Conflict::Overlap { left: left.clone(), right: right.clone(), witness })
        })
    })
}
