//! The git program, as its user has set it up: it pushes with their credentials.
//!
//! Local questions are asked at once; only a push goes over the network, and it
//! has its limit. Nothing here asks the user anything.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::error::Error;

/// How long a push may take: a first one of a big repository over a slow line.
const PUSH_LIMIT: Duration = Duration::from_secs(600);

/// Variables that a hook has from git and that are about another command.
const OF_HOOKS: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
];

/// The git program in one worktree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Git<'a> {
    top: &'a Path,
}

impl<'a> Git<'a> {
    /// For the worktree whose top is `top`.
    pub(super) fn new(top: &'a Path) -> Self {
        Self { top }
    }

    /// The commit that `revision` names.
    pub(super) fn commit(&self, revision: &str) -> Result<String, Error> {
        let peeled = format!("{revision}^{{commit}}");
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled];
        let output = run(self.command(&asked, Index::Own))?;
        if !output.status.success() {
            let name = revision.to_owned();
            return Err(Error::NotFound { kind: "commit", name, nearest: None });
        }
        Ok(text(&output.stdout))
    }

    /// The first line of a commit's message.
    pub(super) fn subject(&self, commit: &str) -> Result<String, Error> {
        Ok(text(&self.ask(&["log", "-1", "--format=%s", commit], Index::Own)?))
    }

    /// How many files differ from the last commit or are not in it.
    pub(super) fn uncommitted(&self) -> Result<usize, Error> {
        let printed = self.ask(&["status", "--porcelain", "--no-renames", "-z"], Index::Own)?;
        Ok(printed.split(|&byte| byte == 0).filter(|entry| !entry.is_empty()).count())
    }

    /// The paths that a commit made now would change, both sides of renames; while the commits
    /// `merged` are being merged, those that it would change itself. Within a hook, the index of
    /// that commit.
    pub(super) fn staged(&self, merged: &[String]) -> Result<Vec<Listed>, Error> {
        let asked = ["diff", "--cached", "--name-only", "--no-renames", "--no-ext-diff", "-z"];
        let printed = self.ask(&asked, Index::OfHook)?;
        let mut staged = listed(&printed);
        // Of a merge, only what is as in none of those that are merged is its own.
        for other in merged {
            let asked = [asked.as_slice(), &[other.as_str()]].concat();
            let differs = listed(&self.ask(&asked, Index::OfHook)?);
            staged.retain(|path| differs.contains(path));
        }
        Ok(staged)
    }

    /// `commit` and those below it, as far as no remote is known to have them, each with what its
    /// trailers called `key` say.
    pub(super) fn unpushed(&self, commit: &str, key: &str) -> Result<Vec<Trailed>, Error> {
        let form = format!("--format=%H %(trailers:key={key},valueonly,separator=%x2C)");
        let asked = ["-c", "log.showSignature=false", "log", &form, commit, "--not", "--remotes"];
        let printed = self.ask(&[asked.as_slice(), &["--"]].concat(), Index::Own)?;
        let trailed = |line: &str| {
            let (commit, said) = line.split_once(' ').unwrap_or((line, ""));
            let said = said.split(',').map(|value| value.trim().to_owned());
            Trailed { commit: commit.to_owned(), said: said.filter(|it| !it.is_empty()).collect() }
        };
        Ok(String::from_utf8_lossy(&printed).lines().map(trailed).collect())
    }

    /// The paths that these commits change, each by itself; of a merge those that are as in none
    /// of its parents.
    pub(super) fn changed(&self, commits: &[&str]) -> Result<Vec<Listed>, Error> {
        // Where no commit is named, git takes the last one.
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let asked = ["-c", "log.showRoot=true", "-c", "log.showSignature=false", "log", "-c"];
        let form = ["--format=", "--name-only", "--no-renames", "--no-ext-diff", "-z"];
        let asked = [asked.as_slice(), &form, &["--no-walk=unsorted", "--stdin"]].concat();
        let told: String = commits.iter().flat_map(|commit| [commit, "\n"]).collect();
        let mut paths = listed(&self.tell(&asked, &told)?);
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The folder of this repository's hooks; an error where it is not its own.
    pub(super) fn hooks(&self) -> Result<PathBuf, Error> {
        let asked = ["config", "--show-scope", "--get", "core.hooksPath"];
        let output = run(self.command(&asked, Index::Own))?;
        let set = text(&output.stdout);
        if let Some((scope, path)) = set.split_once('\t')
            && !matches!(scope, "local" | "worktree")
        {
            return Err(Error::Precondition {
                problem: format!(
                    "git's {scope} configuration has core.hooksPath {path}: hooks there would act \
                     in every repository, so none are installed"
                ),
            });
        }
        let asked = ["rev-parse", "--git-path", "hooks"];
        Ok(self.top.join(text(&self.ask(&asked, Index::Own)?)))
    }

    /// Whether git keeps `path` out of commits.
    pub(super) fn ignores(&self, path: &str) -> Result<bool, Error> {
        let output = run(self.command(&["check-ignore", "--quiet", "--", path], Index::Own))?;
        Ok(output.status.success())
    }

    /// A commit message as git would keep it, without comments.
    pub(super) fn message(&self, draft: &str) -> Result<String, Error> {
        Ok(text(&self.tell(&["stripspace", "--strip-comments"], draft)?))
    }

    /// Adds trailers to the message in `file`, each unless it is there.
    pub(super) fn add_trailers(&self, file: &Path, trailers: &[String]) -> Result<(), Error> {
        let mut command =
            self.command(&["interpret-trailers", "--in-place", "--no-divider"], Index::Own);
        command.args(["--where", "end", "--if-exists", "addIfDifferent", "--if-missing", "add"]);
        for trailer in trailers {
            command.args(["--trailer", trailer]);
        }
        let output = run({
            command.arg("--").arg(file);
            command
        })?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed("interpret-trailers", &output)),
        }
    }

    /// Publishes `commit` as `reference` of `remote`, replacing what it was.
    pub(super) async fn push(
        &self,
        remote: &str,
        commit: &str,
        reference: &str,
    ) -> Result<(), Error> {
        let refspec = format!("+{commit}:{reference}");
        let arguments = ["push", "--porcelain", "--no-follow-tags", "--", remote, &refspec];
        let mut command = tokio::process::Command::from(self.command(&arguments, Index::Own));
        command.kill_on_drop(true);
        let shown = format!("push {remote} {reference}");
        match tokio::time::timeout(PUSH_LIMIT, command.output()).await {
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => Err(failed(&shown, &output)),
            Ok(Err(error)) => Err(not_started(&error)),
            Err(_) => Err(Error::Git {
                command: shown,
                said: format!("it took longer than {PUSH_LIMIT:?}"),
            }),
        }
    }

    fn ask(&self, arguments: &[&str], index: Index) -> Result<Vec<u8>, Error> {
        let output = run(self.command(arguments, index))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(failed(arguments.first().copied().unwrap_or_default(), &output)),
        }
    }

    /// What git says to what it is told on standard input. It reads all of it first.
    fn tell(&self, arguments: &[&str], told: &str) -> Result<Vec<u8>, Error> {
        let mut command = self.command(arguments, Index::Own);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_started(&error))?;
        let fed = child.stdin.take().map(|mut stdin| stdin.write_all(told.as_bytes()));
        let output = child.wait_with_output().map_err(|error| not_started(&error))?;
        match (fed, output.status.success()) {
            (Some(Ok(())), true) => Ok(output.stdout),
            _ => Err(failed(arguments.first().copied().unwrap_or_default(), &output)),
        }
    }

    fn command(&self, arguments: &[&str], index: Index) -> Command {
        let mut command =
            Command::new(std::env::var_os("MOLT_GIT").unwrap_or_else(|| "git".into()));
        command.arg("-C").arg(self.top).args(arguments).stdin(Stdio::null());
        for variable in OF_HOOKS {
            command.env_remove(variable);
        }
        if index == Index::Own {
            command.env_remove("GIT_INDEX_FILE");
        }
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
        if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        command
    }
}

/// A commit, and what its trailers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trailed {
    pub(super) commit: String,
    pub(super) said: Vec<String>,
}

/// A path; one that is not UTF-8 as an error.
pub(super) type Listed = Result<String, OsString>;

/// The paths that git printed with `-z`.
fn listed(printed: &[u8]) -> Vec<Listed> {
    let entries = printed.split(|&byte| byte == 0);
    // Between the commits of a log stands a line feed.
    let entries = entries.map(|entry| entry.strip_prefix(b"\n").unwrap_or(entry));
    let path = |entry: &[u8]| match std::str::from_utf8(entry) {
        Ok(path) => Ok(path.to_owned()),
        Err(_) => {
            let raw: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(entry);
            Err(raw.to_owned())
        }
    };
    entries.filter(|entry| !entry.is_empty()).map(path).collect()
}

/// Which index a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    /// The worktree's.
    Own,
    /// The one that git tells its hooks, which a partial commit has of its own.
    OfHook,
}

fn run(mut command: Command) -> Result<Output, Error> {
    command.output().map_err(|error| not_started(&error))
}

fn not_started(error: &std::io::Error) -> Error {
    Error::usage(format!("cannot start git: {error}; install it or name it in MOLT_GIT"))
}

fn failed(command: &str, output: &Output) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    let said = if last.is_empty() { output.status.to_string() } else { last.join("; ") };
    Error::Git { command: command.to_owned(), said }
}

fn text(printed: &[u8]) -> String {
    String::from_utf8_lossy(printed).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(identity).args(arguments).env_remove("GIT_INDEX_FILE");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// What a push of all that is checked out would change.
    fn pushed(top: &Path) -> Vec<Listed> {
        let commits = Git::new(top).unpushed("HEAD", "Molt-Claim").unwrap();
        let commits: Vec<&str> = commits.iter().map(|it| it.commit.as_str()).collect();
        Git::new(top).changed(&commits).unwrap()
    }

    #[test]
    fn staged_paths_have_both_sides_of_a_rename() {
        let scratch = tempfile::tempdir().unwrap();
        let top = scratch.path();
        git(top, &["init", "--quiet"]);
        std::fs::write(top.join("a.txt"), "same\ncontent\n").unwrap();
        git(top, &["add", "a.txt"]);
        assert_eq!(
            Git::new(top).staged(&[]).unwrap(),
            [Ok("a.txt".to_owned())],
            "without a commit"
        );
        git(top, &["commit", "--quiet", "-m", "first: a.txt"]);
        git(top, &["mv", "a.txt", "b ü.txt"]);
        let staged = Git::new(top).staged(&[]).unwrap();
        assert_eq!(staged, [Ok("a.txt".to_owned()), Ok("b ü.txt".to_owned())]);
        assert_eq!(Git::new(top).uncommitted().unwrap(), 2);
        let head = Git::new(top).commit("HEAD").unwrap();
        assert_eq!(head.len(), 40);
        assert_eq!(Git::new(top).subject(&head).unwrap(), "first: a.txt");
        git(top, &["commit", "--quiet", "-m", "second"]);
        assert_eq!(pushed(top), [Ok("a.txt".to_owned()), Ok("b ü.txt".to_owned())], "roots too");
        git(top, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
        assert_eq!(pushed(top), [], "the remote has it");
        let message = "third\n\nMolt-Claim: clm_0001 7\nMolt-Claim: clm_0002 9\n";
        git(top, &["commit", "--quiet", "--allow-empty", "-m", message]);
        let trailed = Git::new(top).unpushed("HEAD", "Molt-Claim").unwrap();
        assert_eq!(trailed.len(), 1);
        assert_eq!(trailed[0].said, ["clm_0001 7", "clm_0002 9"]);
        let missing = Git::new(top).commit("absent").unwrap_err();
        assert_eq!(
            (missing.to_string().as_str(), missing.exit().code()),
            ("no commit `absent`", 3)
        );
        assert_eq!(Git::new(top).commit("--all").unwrap_err().exit().code(), 3, "is no option");
    }

    #[test]
    fn a_merge_changes_what_is_as_in_neither_parent() {
        let scratch = tempfile::tempdir().unwrap();
        let top = scratch.path();
        git(top, &["init", "--quiet", "--initial-branch", "main"]);
        let commit = |file: &str, text: &str| {
            std::fs::write(top.join(file), text).unwrap();
            git(top, &["add", "--all"]);
            git(top, &["commit", "--quiet", "-m", text]);
        };
        commit("a", "base");
        git(top, &["checkout", "--quiet", "-b", "side"]);
        commit("a", "side");
        commit("theirs", "side");
        let side = Git::new(top).commit("HEAD").unwrap();
        git(top, &["update-ref", "refs/remotes/origin/side", "HEAD"]);
        git(top, &["checkout", "--quiet", "main"]);
        commit("a", "main");
        git(top, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
        git(top, &["merge", "--quiet", "--no-commit", "--strategy=ours", "side"]);
        std::fs::write(top.join("a"), "merged").unwrap();
        std::fs::write(top.join("theirs"), "side").unwrap();
        git(top, &["add", "--all"]);
        let both = [Ok("a".to_owned()), Ok("theirs".to_owned())];
        assert_eq!(Git::new(top).staged(&[]).unwrap(), both);
        assert_eq!(Git::new(top).staged(&[side]).unwrap(), both[..1]);
        git(top, &["commit", "--quiet", "-m", "merged"]);
        assert_eq!(pushed(top), both[..1]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_push_replaces_the_reference_of_the_session() {
        let scratch = tempfile::tempdir().unwrap();
        let (remote, top) = (scratch.path().join("remote"), scratch.path().join("work"));
        std::fs::create_dir_all(&top).unwrap();
        git(scratch.path(), &["init", "--quiet", "--bare", "remote"]);
        git(&top, &["init", "--quiet"]);
        git(&top, &["remote", "add", "origin", "../remote"]);
        let reference = "refs/molt/changes/ses_0001";
        for commit in [["-m", "first"].as_slice(), ["--amend", "-m", "instead"].as_slice()] {
            git(&top, &[["commit", "--quiet", "--allow-empty"].as_slice(), commit].concat());
            let head = Git::new(&top).commit("HEAD").unwrap();
            Git::new(&top).push("origin", &head, reference).await.unwrap();
            assert_eq!(Git::new(&remote).commit(reference).unwrap(), head);
        }
        let error = Git::new(&top).push("nowhere", "HEAD", reference).await.unwrap_err();
        assert_eq!(error.exit().code(), 10);
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
