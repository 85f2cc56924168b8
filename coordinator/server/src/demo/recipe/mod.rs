//! What the story is told on: a repository, its gates, and the changes that agents make.

mod own;
mod small;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::DemoError;
use super::programs::Programs;

/// What the story is told on.
#[derive(Debug)]
pub(super) struct Recipe {
    /// The repository in a few words.
    pub(super) about: String,
    /// How many jobs each host runs at once.
    pub(super) jobs: [u32; 3],
    /// How long one thing may take at most.
    pub(super) patience: Duration,
    /// The script that does what a task's title says.
    pub(super) mind: &'static str,
    /// A scope that one holds and another wants, and one that is free meanwhile.
    pub(super) wanted: (&'static str, &'static str),
    /// What is built once.
    pub(super) build: Build,
    /// A pool and how many slots it has.
    pub(super) pool: (&'static str, u64),
    /// The work of the fleet.
    pub(super) plan: &'static [Task],
    /// What an agent has begun when it is killed.
    pub(super) orphaned: Task,
    /// What is in the train when the coordinator is killed.
    pub(super) flying: Task,
    /// What an agent has and goes on with when the coordinator is killed.
    pub(super) held: Task,
    source: Source,
}

/// Where the repository comes from.
#[derive(Debug)]
enum Source {
    /// A small one, made from files of this program.
    Small,
    /// A copy of this program's own.
    Own(PathBuf),
}

/// What is built once.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) name: &'static str,
    pub(super) artifact: &'static str,
    pub(super) command: &'static str,
}

/// A unit of work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) title: &'static str,
    /// Its scopes, a blank between two.
    pub(super) scope: &'static str,
    /// The task of the plan that it needs, counted from 0.
    pub(super) need: Option<usize>,
    pub(super) fate: Fate,
}

/// What is to become of a task's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lands.
    Lands,
    /// It is refused; by which gate, or as which ejection.
    Refused(&'static str),
}

impl Recipe {
    /// Lays the repository into a folder, with one commit or more on `main`.
    pub(super) fn lay(&self, programs: &Programs, folder: &Path) -> Result<(), DemoError> {
        match &self.source {
            Source::Small => small::lay(folder),
            Source::Own(repo) => own::lay(programs, repo, folder),
        }
    }

    /// How many changes are to land.
    pub(super) fn landings(&self) -> usize {
        let more = [self.orphaned, self.flying, self.held];
        self.plan.iter().chain(&more).filter(|task| task.fate == Fate::Lands).count()
    }
}

impl Task {
    /// The line of a plan's file.
    pub(super) fn line(&self) -> String {
        let need = self.need.map(|need| need.to_string()).unwrap_or_default();
        format!("{}|{}|{need}\n", self.title, self.scope)
    }
}

/// A task whose change lands.
const fn lands(title: &'static str, scope: &'static str) -> Task {
    Task { title, scope, need: None, fate: Fate::Lands }
}

/// A task whose change is refused.
const fn refused(title: &'static str, scope: &'static str, by: &'static str) -> Task {
    Task { title, scope, need: None, fate: Fate::Refused(by) }
}

/// Writes the files of a repository.
fn write(folder: &Path, files: &[(&str, &str)]) -> Result<(), DemoError> {
    for (name, text) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(DemoError::file(parent))?;
        }
        std::fs::write(&path, text).map_err(DemoError::file(&path))?;
    }
    Ok(())
}
