//! This program's own repository: a copy of its committed head, with real gates.
//!
//! Lint and tests are those of two crates; `diff` compares what both programs
//! answer with a snapshot. Gates share one warm place to build in.

use std::path::Path;
use std::time::Duration;

use super::{Build, Recipe, Source, Task, lands, refused, write};
use crate::demo::error::DemoError;
use crate::demo::git::git;
use crate::demo::programs::{self, Programs};

const FILES: [(&str, &str); 4] = [
    ("molt.toml", include_str!("own/molt.toml")),
    ("tests/gates/test.sh", include_str!("own/test.sh")),
    ("tests/gates/corpus.sh", include_str!("own/corpus.sh")),
    ("docs/notes.md", "# Notes\n\nOne line that two want to change.\n"),
];

const PLAN: [Task; 8] = [
    lands("docs: one wants to change the line", "docs"),
    lands("domain: a word about fences", "domain"),
    lands("agent: another word in the help, with its snapshot", "agent tests"),
    refused("domain: a function that nobody formatted", "domain", "lint"),
    refused("domain: longer ids", "domain", "test"),
    refused("agent: another word in the help", "agent", "diff"),
    refused("docs: reach into the agent", "docs", "scope-escape"),
    // It conflicts with the first one, so that has to be there.
    Task { need: Some(0), ..refused("docs: from a stale copy", "docs", "conflict-base") },
];

impl Recipe {
    /// A copy of the repository at `repo`.
    pub(in crate::demo) fn own(repo: &Path) -> Result<Self, DemoError> {
        let repo = std::fs::canonicalize(repo).map_err(DemoError::file(repo))?;
        if !repo.join("coordinator/domain").is_dir() {
            let problem = "it has no coordinator/domain".to_owned();
            return Err(DemoError::NotOurs { path: repo, problem });
        }
        Ok(Self {
            about: format!("a copy of {}, a scope for each crate", repo.display()),
            // Programs are built on one host: each place to build in is cold at first.
            jobs: [1, 0, 0],
            patience: Duration::from_secs(540),
            mind: include_str!("own/mind.sh"),
            wanted: ("domain", "docs"),
            build: Build {
                name: "retry",
                artifact: "target/debug/libmolt_retry.rlib",
                command: "cargo build --quiet --locked -p molt-retry",
            },
            pool: ("cache", 2),
            plan: &PLAN,
            orphaned: lands("docs: a page that two begin", "docs"),
            flying: lands("agent: written while the coordinator dies", "agent"),
            held: lands("docs: held while the coordinator dies", "docs"),
            source: Source::Own(repo),
        })
    }
}

/// Clones the head, and commits policy, gates and snapshot on top of it.
pub(super) fn lay(programs: &Programs, repo: &Path, folder: &Path) -> Result<(), DemoError> {
    let (from, to) = (repo.display().to_string(), folder.display().to_string());
    git(Path::new("/"), &["clone", "--quiet", "--no-local", &from, &to])?;
    git(folder, &["checkout", "--quiet", "-B", "main"])?;
    write(folder, &FILES)?;
    let mut corpus = programs.script(&folder.join("tests/gates/corpus.sh"));
    corpus.arg(programs.folder()).arg("write").current_dir(folder);
    programs::output(corpus, "tests/gates/corpus.sh")?;
    git(folder, &["add", "--all"])?;
    git(folder, &["commit", "--quiet", "-m", "Coordinate this repository"]).map(drop)
}
