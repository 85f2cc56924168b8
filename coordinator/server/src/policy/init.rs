//! `init`: a proposed `molt.toml` at the root of a working tree that has none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use molt_repo::{GitError, RepoError, TreePath};

use super::FILE;
use super::propose::propose;
use super::tracked::tracked;

/// How many commits are looked at: what was long ago says little about what is next.
const COMMITS: usize = 1000;

/// Why no policy was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is one already; it was left as it is.
    #[error("{} exists and was left as it is: check it with `molt-coordinator policy check`", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Git does not know the folder.
    #[error("cannot list the tracked files around {}", folder.display())]
    Git {
        /// The folder.
        folder: PathBuf,
        /// What git said.
        source: GitError,
    },
    /// The history cannot be read.
    #[error("cannot read what changed together around {}", folder.display())]
    History {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        source: RepoError,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
}

/// Writes a proposed policy to the root of the working tree around `folder`. Returns its path.
///
/// # Errors
///
/// When there is a policy already, whatever it is, and when git or the file system fails.
pub fn init(folder: &Path) -> Result<PathBuf, InitError> {
    let tree =
        tracked(folder).map_err(|source| InitError::Git { folder: folder.to_owned(), source })?;
    let path = tree.root.join(FILE);
    let paths = tree.paths.iter().filter_map(TreePath::as_text);
    let history = molt_repo::changes(&tree.root, COMMITS)
        .map_err(|source| InitError::History { folder: folder.to_owned(), source })?;
    let texts = |paths: &Vec<TreePath>| {
        paths.iter().filter_map(TreePath::as_text).map(str::to_owned).collect()
    };
    let history: Vec<Vec<String>> = history.iter().map(texts).collect();
    // A file that cannot be read is no help for guessing, and nothing is lost by that.
    let text = propose(paths, |path| fs::read_to_string(tree.root.join(path)).ok(), &history);
    write_new(&path, &text).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists { path: path.clone() },
        _ => InitError::Write { path: path.clone(), source },
    })?;
    Ok(path)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let written = file.write_all(text.as_bytes());
    if written.is_err() {
        // Half a policy is worse than none; that it could not be written is told either way.
        let _kept = fs::remove_file(path);
    }
    written
}
