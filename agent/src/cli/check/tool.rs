//! The answer to an agent program's hook, before a tool of it runs.
//!
//! Allowed is silent. Denied is exit 2 with the reason on stderr, which both
//! programs take as "do not run it" and show to their model; they run the tool
//! after any other failure of a hook, so every failure here ends like that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::super::context::Context;
use super::{decide, stdin};
use crate::error::{Error, Exit};
use crate::guard::{Intent, Program, intent};
use crate::session::Worktree;
use crate::session::place::resolved;
use crate::ui::Answer;

/// The most lines that say who has what; with three next steps they are eight.
const ROOM: usize = 5;

/// What the hook of `program` is told about the tool on stdin.
pub(super) fn answer(context: &Context, program: Program) -> Answer {
    let decided = catch_unwind(AssertUnwindSafe(|| {
        let payload = stdin::all()?;
        judge(context, program, &payload)
    }));
    let decided =
        decided.unwrap_or_else(|_| Err(Error::bug("the guard failed, so nothing is allowed")));
    let answer = decided.unwrap_or_else(|error| Answer::of_error("check", &error));
    match answer.exit() {
        Exit::Ok => answer.silent_if_ok(),
        _ => answer.at_most(ROOM).exits(Exit::Usage),
    }
}

fn judge(context: &Context, program: Program, payload: &[u8]) -> Result<Answer, Error> {
    let undecidable = |problem: String| Error::Precondition { problem };
    let (cwd, paths) = match intent(program, payload) {
        Ok(Intent::Reads) => return Ok(nothing("reads")),
        Ok(Intent::Writes { cwd, paths }) => (cwd, paths),
        Err(error) => return Err(undecidable(error.to_string())),
    };
    let worktree = context.worktree()?;
    let mut inside = Vec::new();
    for path in &paths {
        inside.extend(changed(worktree, &cwd.join(path))?);
    }
    match inside.is_empty() {
        true => Ok(nothing("outside")),
        false => decide(context, inside),
    }
}

fn nothing(code: &str) -> Answer {
    Answer::new("check", code, serde_json::json!({ "paths": [] }))
}

/// The paths of the repository that writing to `file` changes: those of this
/// worktree and of its others. None where it lies in no repository at all.
fn changed(worktree: &Worktree, file: &Path) -> Result<Vec<String>, Error> {
    let shown = file.display();
    let deny = |problem: String| Error::Precondition { problem };
    if file.is_symlink() && !file.exists() {
        return Err(deny(format!("{shown} is a link to nothing: where it writes cannot be told")));
    }
    let mut paths = worktree.paths_of(file, Path::new("/"))?;
    let place = resolved(file);
    if place == worktree.top {
        return Err(deny(format!("{shown} is the top of the worktree: name files")));
    }
    if place.starts_with(&worktree.top) {
        return Ok(paths);
    }
    if place.starts_with(&worktree.common_dir) || place.starts_with(&worktree.git_dir) {
        return Err(deny(format!("{shown} is git's own file, so no claim covers it")));
    }
    match Worktree::find(&nearest_folder(&place))? {
        Some(other) if other.common_dir == worktree.common_dir => {
            paths.extend(other.paths_of(&place, Path::new("/"))?);
        }
        Some(other) => {
            let top = other.top.display();
            return Err(deny(format!(
                "{shown} is in another repository, {top}: work there by its claims"
            )));
        }
        None => {}
    }
    Ok(paths)
}

/// The deepest folder of `place` that is there.
fn nearest_folder(place: &Path) -> PathBuf {
    place.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn git(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut command = Command::new("git");
        let output = command.arg("-C").arg(folder).args(identity).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    #[test]
    fn a_path_is_judged_wherever_the_repository_has_it() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let (top, side, other) = (root.join("top"), root.join("side"), root.join("other"));
        for folder in [&top, &other] {
            std::fs::create_dir(folder).unwrap();
            git(folder, &["init", "--quiet"]);
            git(folder, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
        }
        git(&top, &["worktree", "add", "--quiet", "--detach", side.to_str().unwrap()]);
        std::os::unix::fs::symlink(&side, top.join("link")).unwrap();
        std::os::unix::fs::symlink("docs/absent.md", top.join("dangling")).unwrap();
        let worktree = Worktree::find(&top).unwrap().unwrap();
        let paths = |file: PathBuf| changed(&worktree, &file).map_err(|error| error.to_string());
        assert_eq!(paths(top.join("new/a.rs")).unwrap(), ["new/a.rs"]);
        assert_eq!(paths(side.join("new/a.rs")).unwrap(), ["new/a.rs"], "another worktree");
        assert_eq!(paths(top.join("link/a.rs")).unwrap(), ["link/a.rs", "a.rs"]);
        assert_eq!(paths(top.join(".git/hooks/x")).unwrap(), [".git/hooks/x"]);
        assert_eq!(paths(root.join("notes.md")).unwrap(), [""; 0], "in no repository");
        for (file, part) in [
            (top.clone(), "top of the worktree"),
            (top.join("dangling"), "link to nothing"),
            (other.join("a.rs"), "another repository"),
        ] {
            let error = paths(file).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let linked = Worktree::find(&side).unwrap().unwrap();
        let error = changed(&linked, &top.join(".git/config")).unwrap_err().to_string();
        assert!(error.contains("git's own"), "{error}");
    }
}
