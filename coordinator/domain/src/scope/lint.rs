//! What is odd about the scopes of a policy.
//!
//! Not here: what makes a policy invalid, which is refused when it is read.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Conflict, Owner, Pattern, ScopeName, ScopeTree, conflict};

/// How many tracked files in no scope are named; the others are counted.
const NAMED: usize = 5;

/// Something odd about the scopes of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Finding {
    /// Two scopes overlap, and neither is above the other.
    Overlap {
        /// One scope.
        left: ScopeName,
        /// Its pattern.
        left_pattern: Pattern,
        /// The other scope.
        right: ScopeName,
        /// Its pattern.
        right_pattern: Pattern,
        /// A path that both match, tracked or not.
        witness: String,
    },
    /// Every tracked file that the scope matches is carved out of it.
    Shadowed {
        /// The scope.
        scope: ScopeName,
        /// The carves that own its files, in order.
        by: Vec<ScopeName>,
    },
    /// The scope, with those below it, matches no tracked file.
    NoFile {
        /// The scope.
        scope: ScopeName,
    },
    /// Tracked files are in no scope, nor open.
    NoScope {
        /// How many.
        count: usize,
        /// The first few of them.
        first: Vec<String>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { left, left_pattern, right, right_pattern, witness } => write!(
                f,
                "scopes `{left}` and `{right}` overlap: \
                 `{left_pattern}` and `{right_pattern}` both match `{witness}`"
            ),
            Self::Shadowed { scope, by } => {
                let by: Vec<&str> = by.iter().map(ScopeName::as_str).collect();
                write!(
                    f,
                    "every tracked file of scope `{scope}` is carved out by {}",
                    by.join(", ")
                )
            }
            Self::NoFile { scope } => write!(f, "scope `{scope}` matches no tracked file"),
            Self::NoScope { count, first } => {
                write!(f, "tracked files in no scope: {count}, first {}", first.join(", "))
            }
        }
    }
}

impl ScopeTree {
    /// Everything odd about the scopes, given the paths of the tracked files.
    pub fn lint<'a>(&self, tracked: impl IntoIterator<Item = &'a str>) -> Vec<Finding> {
        let mut findings = self.overlaps();
        let mut used = vec![false; self.scopes().len()];
        let mut carved = vec![BTreeSet::new(); self.scopes().len()];
        let mut nobodys = vec![];
        let mut count = 0;
        for path in tracked {
            let matching = self.matching(path);
            let owners = self.owners(&matching);
            for &owner in &owners {
                used[owner] = true;
                self.ancestors(owner).iter().for_each(|&above| used[above] = true);
            }
            for index in matching {
                carved[index].extend(owners.iter().copied());
            }
            if owners.is_empty() && self.of_path(path) == Owner::Nobody {
                count += 1;
                if nobodys.len() < NAMED {
                    nobodys.push(path.to_owned());
                }
            }
        }
        let name = |index: usize| self.scopes()[index].name.clone();
        for (index, carves) in carved.iter().enumerate().filter(|&(index, _)| !used[index]) {
            findings.push(if carves.is_empty() {
                Finding::NoFile { scope: name(index) }
            } else {
                Finding::Shadowed {
                    scope: name(index),
                    by: carves.iter().map(|&carve| name(carve)).collect(),
                }
            });
        }
        if count > 0 {
            findings.push(Finding::NoScope { count, first: nobodys });
        }
        findings
    }

    /// The overlaps of unrelated scopes, each pair once.
    fn overlaps(&self) -> Vec<Finding> {
        let mut findings = vec![];
        for left in self.scopes() {
            let later =
                self.conflicting(left.name.as_str()).iter().filter(|&name| *name > left.name);
            for right in later.filter_map(|name| self.get(name.as_str())) {
                // A pair that only meets through a child is the child's finding.
                let Some(Conflict::Overlap { left: left_pattern, right: right_pattern, witness }) =
                    conflict(left, right, self.case())
                else {
                    continue;
                };
                findings.push(Finding::Overlap {
                    left: left.name.clone(),
                    left_pattern,
                    right: right.name.clone(),
                    right_pattern,
                    witness,
                });
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use crate::scope::tests::{patterns, scope};
    use crate::scope::{Case, Reach, ScopeTree};

    fn tree(scopes: &[(&str, Reach, &[&str])]) -> ScopeTree {
        let scopes = scopes.iter().map(|&(name, reach, paths)| scope(name, reach, paths)).collect();
        ScopeTree::new(Case::Sensitive, patterns(&["logs/**"]), scopes).unwrap()
    }

    #[test]
    fn a_sound_tree_has_no_findings() {
        let tree = tree(&[
            ("runtime", Reach::Plain, &["runtime/**"]),
            ("runtime/gc", Reach::Plain, &["runtime/gc/**"]),
            ("manifests", Reach::Carve, &["**/Cargo.toml"]),
        ]);
        assert_eq!(tree.lint(["runtime/gc/x.rs", "Cargo.toml", "logs/x"]), []);
    }

    #[test]
    fn every_oddity_is_found_with_what_shows_it() {
        let tree = tree(&[
            ("runtime", Reach::Plain, &["runtime/**"]),
            ("runtime/gc", Reach::Plain, &["gc/**"]),
            ("headers", Reach::Plain, &["{gc,runtime}/*.h"]),
            ("locks", Reach::Plain, &["*.lock"]),
            ("manifests", Reach::Carve, &["**/*.lock"]),
            ("old", Reach::Plain, &["old/**"]),
            ("none", Reach::Plain, &[]),
            ("none/at-all", Reach::Plain, &["none/**"]),
        ]);
        let tracked =
            ["gc/a.rs", "gc/a.h", "uv.lock", "logs/x", "f1", "f2", "f3", "f4", "f5", "f6"];
        let findings: Vec<String> = tree.lint(tracked).iter().map(ToString::to_string).collect();
        assert_eq!(
            findings,
            [
                "scopes `headers` and `runtime` overlap: \
                 `{gc,runtime}/*.h` and `runtime/**` both match `runtime/x.h`",
                "scopes `headers` and `runtime/gc` overlap: \
                 `{gc,runtime}/*.h` and `gc/**` both match `gc/x.h`",
                "every tracked file of scope `locks` is carved out by manifests",
                "scope `none` matches no tracked file",
                "scope `none/at-all` matches no tracked file",
                "scope `old` matches no tracked file",
                "tracked files in no scope: 6, first f1, f2, f3, f4, f5",
            ]
        );
    }
}
