//! What the history says about a cut: which folders change together, and which apart.
//!
//! Two scopes that most changes of either touch both are one scope: two agents
//! would wait for each other all day. One whose folders change apart is several.
//! Every proposal says on how many commits it rests. Not here: reading the
//! history (`molt_repo::changes`).

use std::collections::{BTreeMap, BTreeSet};

use super::partition::{MAX_DEPTH, Names, Part, base_name, is_manifest, part, spelled};

/// Commits of more files than this say nothing: they import, rename or format.
const MAX_FILES: usize = 30;

/// What fewer commits have in common is chance.
const LEAST: usize = 5;

/// Commits by the order of their age.
type Commits = BTreeSet<usize>;

/// The history as far as it tells something: which plain files each commit changed.
pub(super) struct Together<'a>(Vec<Vec<&'a str>>);

impl<'a> Together<'a> {
    pub(super) fn of(history: &'a [Vec<String>]) -> Self {
        let plain = |path: &&'a str| !is_manifest(base_name(path));
        let commits = history.iter().filter(|paths| (1..=MAX_FILES).contains(&paths.len()));
        let commits = commits.map(|paths| paths.iter().map(String::as_str).filter(plain).collect());
        Self(commits.collect())
    }

    /// Cuts every top-level scope whose folders mostly change apart.
    pub(super) fn cut(&self, parts: &mut Vec<Part>, names: &mut Names, tracked: &BTreeSet<&str>) {
        let whole = parts.iter().filter(|part| is_whole(part, parts));
        let whole: Vec<(String, usize)> = whole
            .filter_map(|it| {
                Some((it.folder.clone()?, parts.iter().position(|p| p.name == it.name)?))
            })
            .collect();
        for (folder, at) in whole {
            let Some(cut) = self.inside(&folder, tracked) else { continue };
            let Cut { folder, children, apart, all } = cut;
            let name = &parts[at].name;
            let why = format!(
                "Of the last {all} commits in {name}, {apart} changed one of its parts alone: \
                 those are cut out."
            );
            parts[at].why.push(why);
            for (child, commits) in children {
                let path = format!("{folder}/{child}");
                if let Some(paths) = spelled(&path) {
                    let new = part(names.of_directory(&path), vec![paths]);
                    let why = format!("Changed by {commits} of them.");
                    parts.push(Part { why: vec![why], folder: Some(path), ..new });
                }
            }
        }
    }

    /// The folders inside `folder` that change apart, if most commits there changed only one.
    fn inside(&self, folder: &str, tracked: &BTreeSet<&str>) -> Option<Cut> {
        let mut folder = folder.to_owned();
        loop {
            let mut children: BTreeMap<&str, usize> = BTreeMap::new();
            let (mut all, mut apart) = (0, 0);
            for paths in &self.0 {
                let below = paths.iter().filter_map(|path| below(path, &folder));
                let touched: BTreeSet<Option<&str>> = below.map(first_folder).collect();
                all += usize::from(!touched.is_empty());
                apart += usize::from(touched.len() == 1 && !touched.contains(&None));
                for child in touched.into_iter().flatten() {
                    *children.entry(child).or_default() += 1;
                }
            }
            let is_there = |child: &str| {
                let mut files = tracked.iter().filter(|path| !is_manifest(base_name(path)));
                files.any(|path| below(path, &folder).and_then(first_folder) == Some(child))
            };
            let mut often: Vec<(String, usize)> = children
                .iter()
                .filter(|&(child, commits)| *commits >= LEAST && is_there(child))
                .map(|(child, commits)| ((*child).to_owned(), *commits))
                .collect();
            let depth = folder.split('/').count();
            match often.len() {
                // All of it is in one folder: look there.
                1 if often[0].1 == all && depth + 1 < MAX_DEPTH => {
                    folder = format!("{folder}/{}", often.remove(0).0);
                }
                0 | 1 => return None,
                _ if apart * 3 < all * 2 || depth >= MAX_DEPTH => return None,
                _ => return Some(Cut { folder, children: often, apart, all }),
            }
        }
    }

    /// Makes one of top-level scopes that at least half of the commits to either changed together.
    pub(super) fn unite(&self, mut parts: Vec<Part>) -> Vec<Part> {
        let whole = parts.iter().enumerate().filter(|(_, part)| is_whole(part, &parts));
        let mut commits: BTreeMap<usize, Commits> = whole
            .filter_map(|(at, part)| Some((at, self.touching(part.folder.as_deref()?))))
            .collect();
        let mut gone = BTreeSet::new();
        while let Some(Pair { one, other, both, either }) = closest(&commits) {
            // The one that changed more often gives the name.
            let (into, from) = if commits[&other].len() > commits[&one].len() {
                (other, one)
            } else {
                (one, other)
            };
            let joined = commits.remove(&from).unwrap_or_default();
            commits.entry(into).or_default().extend(joined);
            let Part { name, paths, tests, why, .. } = parts[from].clone();
            let kept = &mut parts[into];
            kept.why.push(format!(
                "{name} is in it: {both} of the last {either} commits to either changed both."
            ));
            kept.why.extend(why);
            kept.paths.extend(paths);
            kept.tests.extend(tests);
            gone.insert(from);
        }
        let parts = parts.into_iter().enumerate().filter(|(at, _)| !gone.contains(at));
        parts.map(|(_, part)| part).collect()
    }

    fn touching(&self, folder: &str) -> Commits {
        let touches = |paths: &Vec<&str>| paths.iter().any(|path| below(path, folder).is_some());
        self.0.iter().enumerate().filter(|(_, paths)| touches(paths)).map(|(at, _)| at).collect()
    }
}

/// A scope that is better several.
struct Cut {
    folder: String,
    /// Its folders, and how many commits changed each.
    children: Vec<(String, usize)>,
    /// Commits that changed one of them alone.
    apart: usize,
    /// Commits that changed anything in it.
    all: usize,
}

/// Two scopes that are better one.
struct Pair {
    one: usize,
    other: usize,
    both: usize,
    either: usize,
}

/// The pair that changed together most, if that is often enough.
fn closest(commits: &BTreeMap<usize, Commits>) -> Option<Pair> {
    let pairs = commits
        .iter()
        .enumerate()
        .flat_map(|(at, one)| commits.iter().skip(at + 1).map(move |other| (one, other)));
    let pairs = pairs.filter_map(|((&one, of_one), (&other, of_other))| {
        let both = of_one.intersection(of_other).count();
        let either = of_one.len() + of_other.len() - both;
        (both >= LEAST && both * 2 >= either).then_some(Pair { one, other, both, either })
    });
    // a/b < c/d as a*d < c*b; of equals the first.
    pairs.reduce(
        |best, pair| {
            if pair.both * best.either > best.both * pair.either { pair } else { best }
        },
    )
}

/// Whether a part is a whole top-level folder, without children of its own.
fn is_whole(part: &Part, parts: &[Part]) -> bool {
    let top = part.folder.as_ref().is_some_and(|folder| !folder.contains('/'));
    top && !parts.iter().any(|other| part.name.is_ancestor_of(&other.name))
}

/// The rest of a path below a folder.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// The folder that the rest of a path goes through first; `None` for a file.
fn first_folder(rest: &str) -> Option<&str> {
    rest.split_once('/').map(|(folder, _)| folder)
}
