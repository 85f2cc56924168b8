//! What the commits of a working tree's history changed, one by one.
//!
//! Only names are read, never contents. Not here: what follows from files that
//! change together, which is a proposal's to say.

use std::path::Path;

use crate::{RepoError, TreePath};

/// The paths that each of the last commits changed: newest first, at most `limit` of them.
///
/// Merges are left out, for what they bring was changed by the commits that they join. A branch
/// without commits has no history. A commit whose parent is not here (a shallow clone ends
/// there) has nothing to be compared with, and the history ends before it.
///
/// # Errors
///
/// [`RepoError::Object`] when `folder` is in no repository or its objects cannot be read.
pub fn changes(folder: &Path, limit: usize) -> Result<Vec<Vec<TreePath>>, RepoError> {
    read(folder, limit).map_err(|error| RepoError::Object {
        what: "the history".to_owned(),
        path: folder.to_owned(),
        source: Box::new(error),
    })
}

fn read(folder: &Path, limit: usize) -> Result<Vec<Vec<TreePath>>, git2::Error> {
    let repository = git2::Repository::discover(folder)?;
    let mut walk = repository.revwalk()?;
    // One order for one history, whatever the dates of its commits say.
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::TIME)?;
    match repository.head() {
        Ok(_) => walk.push_head()?,
        Err(error) if error.code() == git2::ErrorCode::UnbornBranch => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let shallow = repository.is_shallow();
    let mut commits = Vec::new();
    for id in walk {
        if commits.len() == limit {
            break;
        }
        let commit = repository.find_commit(id?)?;
        if commit.parent_count() > 1 {
            continue;
        }
        let before = match commit.parent_ids().next() {
            None => None,
            Some(parent) => match repository.find_commit(parent) {
                Ok(parent) => Some(parent.tree()?),
                Err(error) if shallow && error.code() == git2::ErrorCode::NotFound => break,
                Err(error) => return Err(error),
            },
        };
        commits.push(changed(&repository, before.as_ref(), &commit.tree()?)?);
    }
    Ok(commits)
}

fn changed(
    repository: &git2::Repository,
    before: Option<&git2::Tree<'_>>,
    after: &git2::Tree<'_>,
) -> Result<Vec<TreePath>, git2::Error> {
    let diff = repository.diff_tree_to_tree(before, Some(after), None)?;
    // Renames are not looked for, so that both sides of one are here.
    let paths = diff.deltas().filter_map(|delta| {
        delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes())
    });
    Ok(paths.map(|path| TreePath::from_bytes(path.to_vec())).collect())
}
