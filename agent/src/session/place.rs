//! Where a worktree is and where its git directory is.
//!
//! Read from the files themselves: starting the git program would cost more
//! than all else that a status does. Not here: what is in the repository.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::Error;

/// A worktree of a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Its top folder, without symbolic links.
    pub top: PathBuf,
    /// Its own git directory.
    pub git_dir: PathBuf,
    /// The git directory that all worktrees of the repository share.
    pub common_dir: PathBuf,
}

impl Worktree {
    /// The worktree that `folder` is in, or `None` when it is in none.
    pub fn find(folder: &Path) -> Result<Option<Self>, Error> {
        let folder = folder.canonicalize().map_err(Error::file("open folder", folder))?;
        for top in folder.ancestors() {
            let dot_git = top.join(".git");
            let git_dir = match std::fs::metadata(&dot_git) {
                Ok(found) if found.is_dir() => dot_git,
                Ok(_) => linked(top, &dot_git)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::file("look at", &dot_git)(error)),
            };
            // A folder that is only called `.git` is none.
            if git_dir.join("HEAD").exists() {
                let common_dir = common(&git_dir)?;
                return Ok(Some(Self { top: top.to_owned(), git_dir, common_dir }));
            }
        }
        Ok(None)
    }

    /// The folder of the session files.
    #[must_use]
    pub fn sessions(&self) -> PathBuf {
        self.git_dir.join("molt").join("sessions")
    }

    /// The paths, from the top and with `/`, that writing to `path` of `from`
    /// changes: the one that was named and, through symbolic links, the one that
    /// it leads to. Empty for a path outside; an error for one that is not text.
    pub fn paths_of(&self, path: &Path, from: &Path) -> Result<Vec<String>, Error> {
        let absolute = from.join(path);
        let mut paths = Vec::new();
        for place in [tidy(&absolute), resolved(&absolute)] {
            let Ok(inside) = place.strip_prefix(&self.top) else { continue };
            let text = inside.to_str().ok_or_else(|| {
                Error::usage(format!("{}: not UTF-8, so it is in no scope", path.display()))
            })?;
            if !text.is_empty() && !paths.iter().any(|known| known == text) {
                paths.push(text.to_owned());
            }
        }
        Ok(paths)
    }
}

/// Where the `.git` file of a linked worktree or a submodule points.
fn linked(top: &Path, dot_git: &Path) -> Result<PathBuf, Error> {
    let text = std::fs::read_to_string(dot_git).map_err(Error::file("read", dot_git))?;
    let target = text.strip_prefix("gitdir:").map(str::trim).ok_or_else(|| {
        Error::file("understand", dot_git)(io::Error::other("it does not begin with `gitdir:`"))
    })?;
    let target = top.join(target);
    target.canonicalize().map_err(Error::file("follow .git to", &target))
}

fn common(git_dir: &Path) -> Result<PathBuf, Error> {
    let pointer = git_dir.join("commondir");
    match std::fs::read_to_string(&pointer) {
        Ok(text) => {
            let common = git_dir.join(text.trim());
            common.canonicalize().map_err(Error::file("follow commondir to", &common))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(git_dir.to_owned()),
        Err(error) => Err(Error::file("read", &pointer)(error)),
    }
}

/// `path` without `.` and `..`, by its text alone.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            component => tidy.push(component),
        }
    }
    tidy
}

/// `path` with the symbolic links followed of as much of it as exists.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) {
            return tidy(&real.join(rest));
        }
    }
    tidy(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn git(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let output =
            Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn says(folder: &Path, question: &str) -> PathBuf {
        let output =
            Command::new("git").arg("-C").arg(folder).args(["rev-parse", question]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        folder.join(text.trim()).canonicalize().unwrap()
    }

    #[test]
    fn it_finds_what_git_finds() {
        let scratch = tempfile::tempdir().unwrap();
        let main = scratch.path().join("main");
        std::fs::create_dir_all(main.join("a/b/.git")).unwrap();
        git(&main, &["init", "--quiet"]);
        git(&main, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
        git(&main, &["worktree", "add", "--quiet", "../linked"]);
        let linked = scratch.path().join("linked");
        for folder in [&main, &main.join("a/b"), &linked] {
            let found = Worktree::find(folder).unwrap().unwrap();
            assert_eq!(found.top, says(folder, "--show-toplevel"));
            assert_eq!(found.git_dir, says(folder, "--absolute-git-dir"));
            assert_eq!(found.common_dir, says(folder, "--git-common-dir"));
        }
        assert_eq!(Worktree::find(scratch.path()).unwrap(), None);
        assert!(Worktree::find(&scratch.path().join("absent")).is_err());
    }

    #[test]
    fn paths_are_seen_from_the_top_and_through_links() {
        let scratch = tempfile::tempdir().unwrap();
        let top = scratch.path().canonicalize().unwrap();
        git(&top, &["init", "--quiet"]);
        std::fs::create_dir_all(top.join("docs")).unwrap();
        std::fs::create_dir_all(top.join("runtime")).unwrap();
        std::fs::write(top.join("runtime/vm.rs"), "").unwrap();
        std::os::unix::fs::symlink("../runtime", top.join("docs/code")).unwrap();
        let worktree = Worktree::find(&top).unwrap().unwrap();
        let docs = top.join("docs");
        let paths = |path: &str| worktree.paths_of(Path::new(path), &docs).unwrap();
        assert_eq!(paths("new/../index.md"), ["docs/index.md"]);
        assert_eq!(paths("../runtime/new.rs"), ["runtime/new.rs"]);
        assert_eq!(paths("code/vm.rs"), ["docs/code/vm.rs", "runtime/vm.rs"]);
        assert_eq!(paths("code/new.rs"), ["docs/code/new.rs", "runtime/new.rs"]);
        assert_eq!(paths("../../elsewhere"), [""; 0]);
        assert_eq!(paths(".."), [""; 0], "the top itself");
    }
}
