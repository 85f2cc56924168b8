//! `molt.toml` as the check understands it, always of the base that a landing replaced.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

/// The file that says what the gates are.
pub(super) const POLICY_FILE: &str = "molt.toml";

/// The rules of a base.
#[derive(Debug)]
pub(super) struct Policy {
    /// Whether paths that differ in case are one.
    folds: bool,
    pub(super) gates: BTreeMap<String, Gate>,
    /// The gates that a landing needs.
    pub(super) required: Vec<String>,
    pub(super) method: Method,
    scopes: BTreeMap<String, Scope>,
    open: Vec<GlobMatcher>,
    protect: Vec<GlobMatcher>,
}

/// A gate that is a run.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) run: String,
    pub(super) minimum: u64,
    /// Whether red items of the base are forgiven.
    pub(super) compare: bool,
    /// Whether its runs name what is red: read by the exit code, every failure is the same.
    pub(super) names: bool,
    /// What it reads; empty is everything.
    pub(super) inputs: Vec<GlobMatcher>,
}

/// The shape of what lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Method {
    #[default]
    Merge,
    Ff,
    Squash,
    Rebase,
}

#[derive(Debug)]
struct Scope {
    carve: bool,
    paths: Vec<GlobMatcher>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    case: Option<String>,
    #[serde(default)]
    open: Vec<String>,
    #[serde(default)]
    scope: BTreeMap<String, FileScope>,
    #[serde(default)]
    gate: BTreeMap<String, FileGate>,
    #[serde(default)]
    merge: FileMerge,
}

#[derive(Deserialize)]
struct FileScope {
    paths: Vec<String>,
    #[serde(default)]
    carve: bool,
}

#[derive(Deserialize)]
struct FileGate {
    run: String,
    #[serde(default)]
    minimum: Option<u64>,
    #[serde(default)]
    compare: Option<String>,
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    inputs: Vec<String>,
}

#[derive(Default, Deserialize)]
struct FileMerge {
    #[serde(default)]
    method: Method,
    #[serde(default)]
    required: Option<Vec<String>>,
    #[serde(default)]
    protect: Vec<String>,
}

impl Policy {
    /// Reads the file's text.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text).context("molt.toml")?;
        let folds = file.case.as_deref() == Some("insensitive");
        let globs = |patterns: Vec<String>| {
            patterns.iter().map(|text| glob(text, folds)).collect::<anyhow::Result<Vec<_>>>()
        };
        let mut gates = BTreeMap::new();
        for (name, FileGate { run, minimum, compare, result, inputs }) in file.gate {
            let (minimum, compare) = (minimum.unwrap_or(1), compare.as_deref() == Some("base"));
            let names = result.is_some_and(|reader| reader != "exit");
            gates.insert(name, Gate { run, minimum, compare, names, inputs: globs(inputs)? });
        }
        let mut scopes = BTreeMap::new();
        for (name, FileScope { paths, carve }) in file.scope {
            scopes.insert(name, Scope { carve, paths: globs(paths)? });
        }
        let every = || gates.keys().cloned().chain(["scope".to_owned(), "announce".to_owned()]);
        let required = file.merge.required.unwrap_or_else(|| every().collect());
        let method = file.merge.method;
        let own = std::iter::once(POLICY_FILE.to_owned());
        let protect = globs(own.chain(file.merge.protect).collect())?;
        Ok(Self { folds, gates, required, method, scopes, open: globs(file.open)?, protect })
    }

    /// Whether a gate of that name has to pass.
    pub(super) fn requires(&self, gate: &str) -> bool {
        self.required.iter().any(|required| required == gate)
    }

    /// Whether a change of `path` takes a person.
    pub(super) fn protects(&self, path: &str) -> bool {
        self.protect.iter().any(|glob| glob.is_match(path))
    }

    /// Whether whoever holds `held` may change `path`: a carve's paths are the carve's alone,
    /// and a scope covers what is below it.
    pub(super) fn covers(
        &self,
        (held, beside): (&BTreeSet<String>, &BTreeSet<String>),
        path: &str,
    ) -> bool {
        let hits = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match(path));
        if hits(&self.open) {
            return true;
        }
        let carved = self.scopes.values().any(|scope| scope.carve && hits(&scope.paths));
        // Paths that are claimed beside scopes are none of a carve's.
        let beside = beside.iter().filter_map(|text| glob(text, self.folds).ok());
        if !carved && hits(&beside.collect::<Vec<_>>()) {
            return true;
        }
        let has = |name: &String| {
            let above = |scope: &String| name.starts_with(&format!("{scope}/"));
            held.contains(name) || held.iter().any(above)
        };
        let mut scopes = self.scopes.iter();
        scopes.any(|(name, scope)| scope.carve == carved && hits(&scope.paths) && has(name))
    }
}

fn glob(text: &str, folds: bool) -> anyhow::Result<GlobMatcher> {
    let mut builder = GlobBuilder::new(text);
    builder.literal_separator(true).case_insensitive(folds);
    let glob = builder.build().with_context(|| format!("molt.toml: pattern `{text}`"))?;
    Ok(glob.compile_matcher())
}
