//! This program's own repository: a copy of its committed head, with real gates.

use std::path::Path;

use super::{Recipe, Source};
use crate::demo::error::DemoError;
use crate::demo::git::git;

impl Recipe {
    /// A copy of the repository at `repo`.
    pub(in crate::demo) fn own(repo: &Path) -> Result<Self, DemoError> {
        let repo = std::path::absolute(repo).map_err(DemoError::file(repo))?;
        if !repo.join("coordinator/server/src/demo").is_dir() {
            let problem = "it has no coordinator/server/src/demo".to_owned();
            return Err(DemoError::NotOurs { path: repo, problem });
        }
        Ok(Self { source: Source::Own(repo), ..Self::small() })
    }
}

pub(super) fn lay(repo: &Path, folder: &Path) -> Result<(), DemoError> {
    let from = repo.display().to_string();
    let to = folder.display().to_string();
    git(Path::new("/"), &["clone", "--quiet", "--no-local", &from, &to]).map(drop)
}
