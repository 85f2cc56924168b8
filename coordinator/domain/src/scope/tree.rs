//! All scopes of one policy, indexed by the paths that they start with.
//!
//! Conflicts are found once, when the tree is made: only patterns whose literal
//! beginnings agree are compared, so scopes apart cost nothing. Not here:
//! what is odd about a tree ([`super::lint`]).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::{Case, Conflict, Pattern, Reach, Scope, ScopeName, first_overlap, overlap};

/// The scopes of one policy, and what is open to everybody. Cheap to clone.
///
/// Stored as its list of scopes; the index is made again when it is read.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(into = "Listed", try_from = "Listed")]
pub struct ScopeTree(Arc<Tree>);

#[derive(Default)]
struct Tree {
    listed: Listed,
    /// For each scope, those above it whose reach is the same.
    ancestors: Vec<Vec<usize>>,
    /// For each scope, what a claim of it covers: itself, then those below whose reach is the same.
    covered: Vec<Vec<usize>>,
    /// For each scope, those that it conflicts with, itself among them. Found when somebody first
    /// asks: who only looks up paths need not wait for it.
    conflicts: OnceLock<Vec<Vec<ScopeName>>>,
    /// Scopes and their patterns by the literal beginning of a path.
    places: HashMap<String, Vec<(usize, Pattern)>>,
}

/// What a tree is made from: the scopes sorted by name.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    #[serde(default)]
    case: Case,
    #[serde(default)]
    open: Vec<Pattern>,
    scopes: Vec<Scope>,
}

/// Scopes that make no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScopeTree {
    /// Two scopes have one name.
    #[error("scope `{name}` is defined twice")]
    Duplicate {
        /// The name.
        name: ScopeName,
    },
    /// A scope has no paths, and no child to cover.
    #[error("scope `{name}` has no paths and no child with the same reach")]
    NoPaths {
        /// Its name.
        name: ScopeName,
    },
}

/// Whose a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner<'a> {
    /// These scopes', the deepest that match: carves, or plain ones when no
    /// carve matches. More than one only where unrelated scopes overlap.
    Scopes(Vec<&'a Scope>),
    /// Nobody's, and everybody may change it.
    Open,
    /// Nobody's, and no claim covers it.
    Nobody,
}

impl ScopeTree {
    /// The tree of `scopes`, in any order.
    pub fn new(
        case: Case,
        open: Vec<Pattern>,
        mut scopes: Vec<Scope>,
    ) -> Result<Self, InvalidScopeTree> {
        scopes.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = scopes.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(InvalidScopeTree::Duplicate { name: pair[0].name.clone() });
        }
        let ancestors = ancestors(&scopes);
        let parents: BTreeSet<usize> = ancestors.iter().flatten().copied().collect();
        let idle = |index: &usize| scopes[*index].paths.is_empty() && !parents.contains(index);
        if let Some(index) = (0..scopes.len()).find(idle) {
            return Err(InvalidScopeTree::NoPaths { name: scopes[index].name.clone() });
        }
        let covered = covered(&ancestors);
        let places = places(&scopes, case);
        let listed = Listed { case, open, scopes };
        Ok(Self(Arc::new(Tree { listed, ancestors, covered, conflicts: OnceLock::new(), places })))
    }

    /// Whether paths that differ in case are the same path.
    #[must_use]
    pub fn case(&self) -> Case {
        self.0.listed.case
    }

    /// The patterns of paths that are never guarded unless a scope matches them.
    #[must_use]
    pub fn open(&self) -> &[Pattern] {
        &self.0.listed.open
    }

    /// The scopes in the order of their names.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.0.listed.scopes
    }

    /// The names of all scopes, in order.
    pub fn names(&self) -> impl Iterator<Item = &ScopeName> {
        self.scopes().iter().map(|scope| &scope.name)
    }

    /// The scope of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Scope> {
        self.index_of(name).map(|index| &self.scopes()[index])
    }

    /// What a claim of the scope covers: its own patterns, then those of the
    /// scopes below it with the same reach. Empty for an unknown name.
    #[must_use]
    pub fn patterns(&self, name: &str) -> Vec<Pattern> {
        let Some(index) = self.index_of(name) else {
            return vec![];
        };
        let covered = self.0.covered[index].iter();
        covered.flat_map(|&index| self.scopes()[index].paths.iter().cloned()).collect()
    }

    /// The scopes that cannot be held beside the scope, itself among them, in
    /// order: exactly those that [`Self::explain`] has an answer for. Empty for an unknown name.
    #[must_use]
    pub fn conflicting(&self, name: &str) -> &[ScopeName] {
        let found = || conflicts(self.scopes(), &self.0.ancestors, self.case());
        self.index_of(name).map_or(&[], |index| &self.0.conflicts.get_or_init(found)[index])
    }

    /// Why two scopes cannot be held side by side: a path that both cover, be it
    /// through a child, else their names. `None` when they can, and for unknown names.
    #[must_use]
    pub fn explain(&self, a: &str, b: &str) -> Option<Conflict> {
        let (left, right) = (self.index_of(a)?, self.index_of(b)?);
        if self.scopes()[left].reach != self.scopes()[right].reach {
            return None;
        }
        // Names alone would do for kin, but a path says more to whoever is refused.
        let kin = left == right || self.is_above(left, right) || self.is_above(right, left);
        let witnessed = first_overlap(&self.patterns(a), &self.patterns(b), self.case());
        witnessed.or_else(|| kin.then_some(Conflict::Ancestor))
    }

    /// Whose `path` is. A carve beats a plain scope, and a scope beats what is open.
    #[must_use]
    pub fn of_path(&self, path: &str) -> Owner<'_> {
        let owners = self.owners(&self.matching(path));
        if !owners.is_empty() {
            return Owner::Scopes(owners.iter().map(|&index| &self.scopes()[index]).collect());
        }
        let open = self.open().iter().any(|pattern| pattern.matches_in(path, self.case()));
        if open { Owner::Open } else { Owner::Nobody }
    }

    /// Whether a holder of `held` may change `path`: one of its scopes, or a
    /// scope below one, matches it, and the path is not a carve's; a carved path
    /// only by such a carve; an open path always. Unknown names cover nothing.
    pub fn covers<'a>(&self, held: impl IntoIterator<Item = &'a ScopeName>, path: &str) -> bool {
        let matching = self.winners(&self.matching(path));
        if matching.is_empty() {
            return self.of_path(path) == Owner::Open;
        }
        held.into_iter()
            .filter_map(|name| self.index_of(name.as_str()))
            .any(|held| matching.iter().any(|&index| index == held || self.is_above(held, index)))
    }

    /// Whether globs that are claimed beside any scope cover `path`: where one matches it, and it
    /// is not a carve's, which only its carve covers.
    pub fn reaches<'a>(&self, globs: impl IntoIterator<Item = &'a Pattern>, path: &str) -> bool {
        let matched = globs.into_iter().any(|glob| glob.matches_in(path, self.case()));
        let carved = |index: &usize| self.scopes()[*index].reach == Reach::Carve;
        matched && !self.matching(path).iter().any(carved)
    }

    /// The plain scopes that a glob reaches into: those with a pattern that overlaps it, and those
    /// above them.
    #[must_use]
    pub fn touched(&self, glob: &Pattern) -> Vec<&ScopeName> {
        let overlaps = |scope: &Scope| {
            scope.paths.iter().any(|path| overlap(path, glob, self.case()).is_some())
        };
        let plain = |index: &usize| self.scopes()[*index].reach == Reach::Plain;
        let own = (0..self.scopes().len()).filter(plain);
        let own = own.filter(|index| overlaps(&self.scopes()[*index]));
        let all = own.flat_map(|index| self.ancestors(index).iter().copied().chain([index]));
        let all: BTreeSet<usize> = all.collect();
        all.into_iter().map(|index| &self.scopes()[index].name).collect()
    }

    /// The scopes whose own patterns match, sorted.
    pub(super) fn matching(&self, path: &str) -> Vec<usize> {
        let path = self.case().canonical(path);
        let slashes = path.match_indices('/').map(|(at, _)| at);
        let ends = std::iter::once(0).chain(slashes).chain([path.len()]);
        let mut matching: Vec<usize> = ends
            .filter_map(|end| self.0.places.get(&path[..end]))
            .flatten()
            .filter(|(_, pattern)| pattern.automaton(self.case()).matches(&path))
            .map(|&(index, _)| index)
            .collect();
        matching.sort_unstable();
        matching.dedup();
        matching
    }

    /// Of the scopes that match a path, those that own it.
    pub(super) fn owners(&self, matching: &[usize]) -> Vec<usize> {
        let winners = self.winners(matching);
        let deepest = |&index: &usize| !winners.iter().any(|&other| self.is_above(index, other));
        winners.iter().copied().filter(deepest).collect()
    }

    /// Of the scopes that match a path, the carves, or all when there are none.
    fn winners(&self, matching: &[usize]) -> Vec<usize> {
        let carve = |&index: &usize| self.scopes()[index].reach == Reach::Carve;
        let carves: Vec<usize> = matching.iter().copied().filter(carve).collect();
        if carves.is_empty() { matching.to_vec() } else { carves }
    }

    /// The scopes above one, with the same reach.
    pub(super) fn ancestors(&self, index: usize) -> &[usize] {
        &self.0.ancestors[index]
    }

    fn is_above(&self, above: usize, below: usize) -> bool {
        self.ancestors(below).contains(&above)
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        find(self.scopes(), name)
    }
}

fn find(scopes: &[Scope], name: &str) -> Option<usize> {
    scopes.binary_search_by(|scope| scope.name.as_str().cmp(name)).ok()
}

fn ancestors(scopes: &[Scope]) -> Vec<Vec<usize>> {
    let above = |scope: &Scope| {
        let same_reach = |index: &usize| scopes[*index].reach == scope.reach;
        scope.name.ancestors().filter_map(|name| find(scopes, name)).filter(same_reach).collect()
    };
    scopes.iter().map(above).collect()
}

fn covered(ancestors: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut covered: Vec<Vec<usize>> = (0..ancestors.len()).map(|index| vec![index]).collect();
    for (below, above) in ancestors.iter().enumerate() {
        for &above in above {
            covered[above].push(below);
        }
    }
    covered
}

fn places(scopes: &[Scope], case: Case) -> HashMap<String, Vec<(usize, Pattern)>> {
    let mut places: HashMap<String, Vec<(usize, Pattern)>> = HashMap::new();
    for (index, scope) in scopes.iter().enumerate() {
        for pattern in &scope.paths {
            for prefix in pattern.automaton(case).prefixes() {
                places.entry(prefix.join("/")).or_default().push((index, pattern.clone()));
            }
        }
    }
    places
}

fn conflicts(scopes: &[Scope], ancestors: &[Vec<usize>], case: Case) -> Vec<Vec<ScopeName>> {
    let mut conflicts: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); scopes.len()];
    for (index, above) in ancestors.iter().enumerate() {
        conflicts[index].insert(index);
        for &other in above {
            conflicts[index].insert(other);
            conflicts[other].insert(index);
        }
    }
    for (left, right) in overlapping(scopes, case) {
        // What a scope covers through a child, it meets through the child.
        for &a in ancestors[left].iter().chain([&left]) {
            for &b in ancestors[right].iter().chain([&right]) {
                conflicts[a].insert(b);
                conflicts[b].insert(a);
            }
        }
    }
    let names = |set: &BTreeSet<usize>| set.iter().map(|&i| scopes[i].name.clone()).collect();
    conflicts.iter().map(names).collect()
}

/// The pairs of scopes, of one reach, whose own patterns overlap.
fn overlapping(scopes: &[Scope], case: Case) -> BTreeSet<(usize, usize)> {
    let mut starts: Vec<(&[String], usize, &Pattern)> = vec![];
    for (index, scope) in scopes.iter().enumerate() {
        for pattern in &scope.paths {
            let prefixes = pattern.automaton(case).prefixes();
            starts.extend(prefixes.iter().map(|prefix| (&prefix[..], index, pattern)));
        }
    }
    starts.sort_unstable();
    let mut pairs = BTreeSet::new();
    for (at, &(prefix, left, pattern)) in starts.iter().enumerate() {
        // What starts with this prefix follows in one run.
        let run = starts[at + 1..].iter().take_while(|(longer, _, _)| longer.starts_with(prefix));
        for &(_, right, other) in run {
            let pair = (left.min(right), left.max(right));
            let alike = left != right && scopes[left].reach == scopes[right].reach;
            if alike && !pairs.contains(&pair) && overlap(pattern, other, case).is_some() {
                pairs.insert(pair);
            }
        }
    }
    pairs
}

impl TryFrom<Listed> for ScopeTree {
    type Error = InvalidScopeTree;

    fn try_from(listed: Listed) -> Result<Self, InvalidScopeTree> {
        Self::new(listed.case, listed.open, listed.scopes)
    }
}

impl From<ScopeTree> for Listed {
    fn from(tree: ScopeTree) -> Self {
        tree.0.listed.clone()
    }
}

impl PartialEq for ScopeTree {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.listed == other.0.listed
    }
}

impl Eq for ScopeTree {}

impl fmt::Debug for ScopeTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopeTree").field(&self.0.listed).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::{patterns, scope};

    fn example(case: Case) -> ScopeTree {
        let scopes = vec![
            scope("runtime", Reach::Plain, &["runtime/**", "include/molt/**"]),
            scope("runtime/gc", Reach::Plain, &["runtime/gc/**", "gc/**"]),
            scope("docs", Reach::Plain, &["docs/**", "*.md"]),
            scope("manifests", Reach::Carve, &["**/Cargo.toml"]),
            scope("manifests/gc", Reach::Carve, &["gc/Cargo.toml"]),
            scope("runtime/vendor", Reach::Carve, &["runtime/vendor/**"]),
            scope("headers", Reach::Plain, &["gc/*.h"]),
        ];
        ScopeTree::new(case, patterns(&["logs/**"]), scopes).unwrap()
    }

    fn owners(tree: &ScopeTree, path: &str) -> String {
        match tree.of_path(path) {
            Owner::Scopes(scopes) => {
                scopes.iter().map(|scope| scope.name.as_str()).collect::<Vec<_>>().join(" ")
            }
            owner => format!("{owner:?}"),
        }
    }

    #[test]
    fn the_deepest_scope_owns_a_path_and_a_carve_alone() {
        let tree = example(Case::Sensitive);
        for (path, owner) in [
            ("runtime/x.rs", "runtime"),
            ("runtime/gc/x.rs", "runtime/gc"),
            ("runtime/gc/Cargo.toml", "manifests"),
            ("gc/Cargo.toml", "manifests/gc"),
            ("runtime/vendor/Cargo.toml", "manifests runtime/vendor"),
            ("gc/x.h", "headers runtime/gc"),
            ("README.md", "docs"),
            ("readme.MD", "Nobody"),
            ("logs/x", "Open"),
            ("logs/Cargo.toml", "manifests"),
            ("runtime", "Nobody"),
            ("runtime/../docs/x", "Nobody"),
        ] {
            assert_eq!(owners(&tree, path), owner, "{path}");
        }
        assert_eq!(owners(&example(Case::Insensitive), "Runtime/GC/x"), "runtime/gc");
        assert_eq!(owners(&example(Case::Insensitive), "readme.MD"), "docs");
    }

    #[test]
    fn a_parent_covers_its_children_and_only_a_carve_what_is_carved() {
        let tree = example(Case::Sensitive);
        for (held, path, expected) in [
            (&["runtime"][..], "runtime/x.rs", true),
            (&["runtime"], "runtime/gc/x.rs", true),
            (&["runtime"], "gc/x.rs", true),
            (&["runtime/gc"], "runtime/gc/x.rs", true),
            (&["runtime/gc"], "runtime/x.rs", false),
            (&["runtime"], "runtime/Cargo.toml", false),
            (&["runtime"], "runtime/vendor/x.rs", false),
            (&["runtime/vendor"], "runtime/vendor/x.rs", true),
            (&["manifests"], "gc/Cargo.toml", true),
            (&["manifests/gc"], "runtime/Cargo.toml", false),
            (&["docs", "manifests"], "runtime/Cargo.toml", true),
            (&[], "logs/x", true),
            (&[], "logs/Cargo.toml", false),
            (&["docs"], "elsewhere", false),
            (&["run"], "runtime/x.rs", false),
        ] {
            let held: Vec<ScopeName> = held.iter().map(|name| name.parse().unwrap()).collect();
            assert_eq!(tree.covers(&held, path), expected, "{held:?} {path}");
        }
    }

    #[test]
    fn scopes_meet_through_their_children() {
        let tree = example(Case::Sensitive);
        let conflicting =
            |name| tree.conflicting(name).iter().map(ScopeName::as_str).collect::<Vec<_>>();
        assert_eq!(conflicting("runtime"), ["headers", "runtime", "runtime/gc"]);
        assert_eq!(conflicting("headers"), ["headers", "runtime", "runtime/gc"]);
        assert_eq!(conflicting("docs"), ["docs"]);
        assert_eq!(conflicting("runtime/vendor"), ["manifests", "runtime/vendor"]);
        assert!(conflicting("nothing").is_empty());
        let why = tree.explain("runtime", "headers").unwrap();
        assert_eq!(why.to_string(), "`gc/**` and `gc/*.h` both match `gc/x.h`");
        let why = tree.explain("runtime", "runtime/gc").unwrap();
        assert_eq!(why.to_string(), "`runtime/**` and `runtime/gc/**` both match `runtime/gc/x`");
        assert_eq!(tree.explain("runtime", "runtime/vendor"), None);
        assert_eq!(tree.explain("runtime", "nothing"), None);
    }

    #[test]
    fn a_tree_is_its_list_of_scopes() {
        let tree = example(Case::Insensitive);
        let text = serde_json::to_string(&tree).unwrap();
        let read: ScopeTree = serde_json::from_str(&text).unwrap();
        assert_eq!(read, tree);
        assert_eq!(read.conflicting("runtime"), tree.conflicting("runtime"));
        assert_ne!(read, example(Case::Sensitive));
        assert!(tree.get("docs").is_some() && tree.get("doc").is_none());
        assert_eq!(tree.names().count(), 7);
    }

    #[test]
    fn scopes_that_make_no_tree_are_refused() {
        let refused = |scopes| ScopeTree::new(Case::Sensitive, vec![], scopes).unwrap_err();
        let twice = vec![scope("a", Reach::Plain, &["a"]), scope("a", Reach::Carve, &["b"])];
        assert_eq!(refused(twice).to_string(), "scope `a` is defined twice");
        let idle = vec![scope("a", Reach::Plain, &[]), scope("a/b", Reach::Carve, &["b"])];
        assert_eq!(
            refused(idle).to_string(),
            "scope `a` has no paths and no child with the same reach"
        );
        let parent = vec![scope("a", Reach::Plain, &[]), scope("a/b", Reach::Plain, &["b"])];
        assert!(ScopeTree::new(Case::Sensitive, vec![], parent).is_ok());
    }
}
