//! Whether a working tree is still what it was: two looks at it, path by path.
//!
//! What was on disk at the first look counts, tracked or not, and so does what git
//! was told of since. A file that is new and untracked does not: whoever compares
//! ran something in between, and that is what it made. Nor do ignored files, as
//! everywhere. Not here: what is done about a change.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fingerprint::{Content, Held, committed, on_disk, root};
use crate::program::{Git, Place};
use crate::{RepoError, TreePath, TreeState};

/// What a working tree held at a moment, short enough to be written down: a commit,
/// and how the files on disk differed from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    root: PathBuf,
    fingerprint: String,
    state: Option<TreeState>,
    differing: Vec<(TreePath, Option<Held>)>,
}

/// What the same working tree held later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The commit that is checked out by then; `None` before the first one.
    pub state: Option<TreeState>,
    /// The paths that are not what they were, in order.
    pub changed: Vec<TreePath>,
}

impl Before {
    /// Looks at the working tree that `folder` lies in.
    pub fn look(git: &Git, folder: &Path) -> Result<Self, RepoError> {
        let root = root(git, folder)?;
        let place = Place::Within(&root);
        let content = Content::read(git, place)?;
        let state = content.state(git, place)?;
        let fingerprint = content.fingerprint();
        let named = |(path, held)| (TreePath::from_bytes(path), held);
        let differing = content.differing.into_iter().map(named).collect();
        Ok(Self { root, fingerprint, state, differing })
    }

    /// The tree's fingerprint, as [`crate::fingerprint()`] gives it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The commit that was checked out; `None` before the first one.
    pub fn state(&self) -> Option<&TreeState> {
        self.state.as_ref()
    }

    /// Looks again. What lies in `outputs`, absolute paths, does not count.
    pub fn look_again(&self, git: &Git, outputs: &[PathBuf]) -> Result<After, RepoError> {
        let place = Place::Within(&self.root);
        let content = Content::read(git, place)?;
        let bytes = |(path, held): &(TreePath, _)| (path.as_bytes().to_vec(), Clone::clone(held));
        let differing: BTreeMap<_, _> = self.differing.iter().map(bytes).collect();
        let at_first = committed(git, place, self.state().map(|state| &state.commit))?;
        let before = on_disk(&at_first, &differing);
        let now = on_disk(&content.committed, &content.differing);
        let outputs: Vec<PathBuf> = outputs.iter().filter_map(|path| self.inside(path)).collect();
        let counts = |path: &&Vec<u8>| match before.get(path) {
            Some(held) => now.get(path) != Some(held),
            None => !content.untracked.contains(*path),
        };
        let paths = before.keys().chain(now.keys().filter(|path| !before.contains_key(*path)));
        let mut changed: Vec<TreePath> = paths
            .copied()
            .filter(counts)
            .map(|path| TreePath::from_bytes(path.clone()))
            .filter(|path| !outputs.iter().any(|output| path.as_path().starts_with(output)))
            .collect();
        changed.sort();
        Ok(After { state: content.state(git, place)?, changed })
    }

    /// An absolute path as one inside the tree. The whole tree is nobody's output.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(plain.pop()),
                part => plain.push(part),
            }
        }
        let inside = plain.strip_prefix(&self.root).ok()?;
        (!inside.as_os_str().is_empty()).then(|| inside.to_owned())
    }
}
