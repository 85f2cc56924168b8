//! The tracked files of the working tree around a folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use molt_repo::{Git, GitError, Place, TreePath};

/// The root of a working tree and what is tracked in it.
pub(super) struct Tracked {
    pub(super) root: PathBuf,
    pub(super) paths: Vec<TreePath>,
}

/// Asks git about the working tree that `folder` is in.
pub(super) fn tracked(folder: &Path) -> Result<Tracked, GitError> {
    // The folder of a bare file name is the current one.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let git = Git::find()?;
    let call = || git.call(Place::Within(folder));
    let root = call().args(["rev-parse", "--show-toplevel"]).run()?;
    let root = root.strip_suffix(b"\n").unwrap_or(&root);
    let files = ["ls-files", "-z", "--full-name", "--deduplicate", "--", ":/"];
    let printed = call().args(files).run()?;
    let paths = printed.split(|&byte| byte == 0).filter(|path| !path.is_empty());
    Ok(Tracked {
        root: PathBuf::from(OsStr::from_bytes(root)),
        paths: paths.map(|path| TreePath::from_bytes(path.to_vec())).collect(),
    })
}
