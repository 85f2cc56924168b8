//! A tree cut into scopes that do not overlap and leave no tracked file out.
//!
//! File names may hold what no pattern or scope name can spell. Such a name gets
//! a wider pattern, and scopes that overlap because of that become one.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::scope::{Case, Finding, Pattern, Reach, Risk, Scope, ScopeName, ScopeTree};

use super::guess::Members;
use super::together::Together;

/// More top-level directories than this are not one scope each: the tree is one scope.
const MAX_DIRECTORIES: usize = 256;

/// The longest beginning of a directory's name that a wider pattern spells out, in bytes.
const MAX_SPELLED: usize = 64;

/// The longest part of a scope's name that comes from one directory's name, in bytes.
const MAX_SLUG: usize = 32;

/// A member nested deeper than this belongs to the scope above it: names of scopes have a limit.
pub(super) const MAX_DEPTH: usize = 3;

/// Files that describe dependencies: small, changed by everybody, so a claim on them is short.
const MANIFESTS: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "package.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "go.mod",
    "go.sum",
];

/// A proposed scope.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) name: ScopeName,
    pub(super) paths: Vec<Pattern>,
    pub(super) tests: Vec<String>,
    /// The folder that it was made of, if it is one.
    pub(super) folder: Option<String>,
    /// Comments, one a line.
    pub(super) why: Vec<String>,
    pub(super) reach: Reach,
}

impl Part {
    pub(super) fn is_carve(&self) -> bool {
        self.reach == Reach::Carve
    }
}

/// Cuts the tree: its directories, the nested members of its workspace, what the history tells
/// apart or together, its top-level files, its manifests.
pub(super) fn parts(
    tracked: &BTreeSet<&str>,
    members: &Members,
    history: &Together<'_>,
) -> Vec<Part> {
    let manifests: BTreeSet<&str> =
        tracked.iter().map(|path| base_name(path)).filter(|name| is_manifest(name)).collect();
    // A directory of nothing but manifests would be a scope that owns no file.
    let plain = || tracked.iter().filter(|path| !is_manifest(base_name(path)));
    let tops: BTreeSet<&str> = plain().filter_map(|path| Some(path.split_once('/')?.0)).collect();
    let mut names = Names::default();
    let mut parts = Vec::new();
    if tops.len() > MAX_DIRECTORIES {
        parts.push(part(names.unique("tree"), vec![pattern("**")]));
    } else {
        for top in tops {
            let whole = part(names.of_directory(top), vec![below(top)]);
            parts.push(Part { folder: Some(top.to_owned()), ..whole });
        }
        for (folder, package) in members {
            let mut below = plain().filter_map(|path| path.strip_prefix(folder.as_str()));
            if below.any(|rest| rest.starts_with('/')) {
                add_member(&mut parts, &mut names, folder, package.as_deref());
            }
        }
        history.cut(&mut parts, &mut names, tracked);
        parts = history.unite(parts);
        let root = part(names.unique("root"), vec![pattern("*")]);
        let why = "The files at the root, this one among them.".to_owned();
        parts.push(Part { why: vec![why], ..root });
    }
    if !manifests.is_empty() {
        let paths = manifests.iter().map(|name| pattern(&format!("**/{name}"))).collect();
        let carve = part(names.unique("manifests"), paths);
        let why =
            "A carve: these files are in no other scope. Everybody needs them, nobody for long.";
        parts.push(Part { reach: Reach::Carve, why: vec![why.to_owned()], ..carve });
    }
    united(parts)
}

/// Gives a member its scope, or what its tests are to the scope that it has.
fn add_member(parts: &mut Vec<Part>, names: &mut Names, folder: &str, package: Option<&str>) {
    let tests: Vec<String> =
        package.into_iter().map(|package| format!("cargo test -p {package}")).collect();
    if let Some(name) = names.scopes.get(folder) {
        let own = parts.iter_mut().find(|part| part.name == *name);
        own.into_iter().for_each(|part| part.tests.clone_from(&tests));
    } else if folder.split('/').count() <= MAX_DEPTH
        && let Some(paths) = spelled(folder)
    {
        let new = part(names.of_directory(folder), vec![paths]);
        parts.push(Part { tests, folder: Some(folder.to_owned()), ..new });
    }
}

pub(super) fn part(name: ScopeName, paths: Vec<Pattern>) -> Part {
    let (tests, why) = (Vec::new(), Vec::new());
    Part { name, paths, tests, folder: None, why, reach: Reach::Plain }
}

pub(super) fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether a file of that name describes dependencies.
pub(super) fn is_manifest(name: &str) -> bool {
    MANIFESTS.contains(&name)
}

/// A path as a pattern spells it.
pub(super) fn escaped(path: &str) -> String {
    let spell = |c: char| match c {
        // No pattern has these.
        c if c.is_control() => [None, Some('?')],
        '\\' | '*' | '?' | '[' | ']' | '{' | '}' => [Some('\\'), Some(c)],
        c => [None, Some(c)],
    };
    path.chars().flat_map(spell).flatten().collect()
}

/// Everything below a directory, if a pattern is long enough for its name.
pub(super) fn spelled(directory: &str) -> Option<Pattern> {
    format!("{}/**", escaped(directory)).parse().ok()
}

/// Everything below a top-level directory, and perhaps below others whose names begin alike.
fn below(directory: &str) -> Pattern {
    spelled(directory).unwrap_or_else(|| {
        let usual = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
        let mut beginning: String = directory.chars().take_while(usual).take(MAX_SPELLED).collect();
        // The last one may belong to a character that follows.
        beginning.pop();
        pattern(&format!("{beginning}*/**"))
    })
}

#[expect(clippy::expect_used, reason = "every caller spells only what patterns allow")]
fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern without odd characters is valid")
}

/// The names that have been given away.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeSet<ScopeName>,
    /// The scope of each directory.
    scopes: BTreeMap<String, ScopeName>,
}

impl Names {
    /// A name for the scope of a directory, below that of the nearest directory above it.
    pub(super) fn of_directory(&mut self, directory: &str) -> ScopeName {
        let mut above = directory;
        let mut slugs = Vec::new();
        let parent = loop {
            let Some((rest, name)) = above.rsplit_once('/') else {
                slugs.push(slug(above));
                break None;
            };
            slugs.push(slug(name));
            above = rest;
            if let Some(parent) = self.scopes.get(above) {
                break Some(parent.to_string());
            }
        };
        let names: Vec<String> = parent.into_iter().chain(slugs.into_iter().rev()).collect();
        let name = self.unique(&names.join("/"));
        self.scopes.insert(directory.to_owned(), name.clone());
        name
    }

    /// `wanted`, or the first of `wanted-2`, `wanted-3` and so on that is free.
    #[expect(clippy::expect_used, reason = "slugs are components of scope names")]
    fn unique(&mut self, wanted: &str) -> ScopeName {
        let candidates = (2..).map(|n| format!("{wanted}-{n}"));
        let mut candidates = std::iter::once(wanted.to_owned()).chain(candidates);
        loop {
            let text = candidates.next().expect("there is no last number");
            let name: ScopeName = text.parse().expect("slugs make a valid name");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// A directory's name as a component of a scope's name.
fn slug(name: &str) -> String {
    let allowed = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '_' | '.' | '-') => c,
        _ => '-',
    };
    let slug: String = name.chars().map(allowed).collect();
    let slug = slug.trim_start_matches(['_', '.', '-']);
    // All of it is ASCII by now.
    let slug = slug[..slug.len().min(MAX_SLUG)].trim_end_matches(['_', '.', '-']);
    if slug.is_empty() { "dir".to_owned() } else { slug.to_owned() }
}

/// The same parts, where those that overlap have become one.
fn united(mut parts: Vec<Part>) -> Vec<Part> {
    while let Some((left, right)) = first_overlap(&parts) {
        let Some(at) = parts.iter().position(|part| part.name == right) else {
            break;
        };
        let right = parts.remove(at);
        if let Some(left) = parts.iter_mut().find(|part| part.name == left) {
            let new = right.paths.into_iter().filter(|path| !left.paths.contains(path));
            let new: Vec<Pattern> = new.collect();
            left.paths.extend(new);
            left.tests.extend(right.tests);
            left.why.extend(right.why);
        }
    }
    parts
}

#[expect(clippy::expect_used, reason = "names are unique and every part has paths")]
fn first_overlap(parts: &[Part]) -> Option<(ScopeName, ScopeName)> {
    let scope = |part: &Part| Scope {
        name: part.name.clone(),
        paths: part.paths.clone(),
        reach: part.reach,
        max: None,
        tests: Vec::new(),
        risk: Risk::default(),
    };
    let scopes = parts.iter().map(scope).collect();
    let tree = ScopeTree::new(Case::Sensitive, Vec::new(), scopes).expect("a tree of parts");
    tree.lint([]).into_iter().find_map(|finding| match finding {
        Finding::Overlap { left, right, .. } => Some((left, right)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_spelled_as_exactly_as_patterns_can() {
        let long = "x".repeat(255);
        let accented = format!("e\u{301}{long}");
        for (directory, paths) in [
            ("src", "src/**".to_owned()),
            (r"*?\", r"\*\?\\/**".to_owned()),
            ("[a]{b}", r"\[a\]\{b\}/**".to_owned()),
            ("a\nb", "a?b/**".to_owned()),
            (&long, format!("{}*/**", "x".repeat(MAX_SPELLED - 1))),
            (&accented, "*/**".to_owned()),
        ] {
            assert_eq!(below(directory).as_str(), paths);
            assert!(below(directory).matches(&format!("{directory}/file")), "{paths}");
        }
    }

    #[test]
    fn a_scope_is_named_after_its_directory() {
        let mut names = Names::default();
        for (directory, name) in [
            ("Src", "src"),
            ("src", "src-2"),
            (".github", "github"),
            ("日本", "dir"),
            ("a b", "a-b"),
            ("src/Core", "src-2/core"),
            ("src/Core/x/y", "src-2/core/x/y"),
            ("Src/_.", "src/dir"),
        ] {
            assert_eq!(names.of_directory(directory).as_str(), name, "{directory}");
        }
    }
}
