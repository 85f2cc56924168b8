//! The git program, run for a git directory with nothing of the user's in its way.
//!
//! `molt-repo` has a runner too. The arrows between the crates let neither know
//! the other, and the domain, which both may know, starts no processes: so this
//! one exists, as small as it can be. It does not check versions; what is used
//! here is older than what `molt-repo` insists on.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::ForgeError;

/// How long pipes may stay open after git itself has ended: an ssh master that
/// stays behind keeps standard error open for ever.
const DRAIN: Duration = Duration::from_secs(5);
/// How many of the last lines of standard error a failure keeps.
const LAST_LINES: usize = 12;

/// Where programs and keys are, and how to get out of the network.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// One author and one date for every commit made here, so that a redo has the same id.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
    ("GIT_AUTHOR_NAME", "molt"),
    ("GIT_AUTHOR_EMAIL", "molt@localhost"),
    ("GIT_AUTHOR_DATE", "@0 +0000"),
    ("GIT_COMMITTER_NAME", "molt"),
    ("GIT_COMMITTER_EMAIL", "molt@localhost"),
    ("GIT_COMMITTER_DATE", "@0 +0000"),
];

/// Settings that the repository's own configuration must not change.
const SETTINGS: [&str; 5] = [
    "core.hooksPath=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    "push.followTags=false",
    "push.recurseSubmodules=no",
];

/// Why the git program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be started.
    #[error("cannot start `{}`", program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// The command ended with a status that is no answer.
    #[error(transparent)]
    Failed(Box<GitFailure>),
    /// The command ran out of time and was killed with everything it had started.
    #[error("`{command}` took longer than {limit:?} and was killed")]
    TimedOut {
        /// The command, without secrets.
        command: String,
        /// The limit.
        limit: Duration,
    },
    /// The pipes to the command broke.
    #[error("lost touch with `{command}`")]
    Pipe {
        /// The command, without secrets.
        command: String,
        /// The system's own words.
        source: io::Error,
    },
    /// The command was not run, since nothing that opens the remote's door was to be had.
    #[error("no access to the remote")]
    NoAccess(#[source] Box<ForgeError>),
}

impl GitError {
    /// Whether git or ssh said one of these.
    pub(crate) fn says(&self, words: &[&str]) -> bool {
        matches!(self, Self::Failed(failure) if failure.says(words))
    }

    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }
}

/// A command that ended badly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{command}` ended with {status}: {stderr}")]
pub struct GitFailure {
    /// The command, without secrets.
    pub command: String,
    /// The exit status or the signal, in words.
    pub status: String,
    /// The last lines of standard error, without secrets.
    pub stderr: String,
}

impl GitFailure {
    /// Whether git or ssh said one of these. What a hook at the remote printed
    /// is not theirs, and would pass for it.
    fn says(&self, words: &[&str]) -> bool {
        let mut own = self.stderr.lines().filter(|line| !line.starts_with("remote:"));
        own.any(|line| words.iter().any(|word| line.contains(word)))
    }
}

/// How a command ended: what it printed, and the failure that it is if its code is no answer.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    failure: GitFailure,
}

impl Finished {
    pub(crate) fn into_error(self) -> GitError {
        GitError::Failed(Box::new(self.failure))
    }

    /// Whether it failed and git or ssh said one of these.
    pub(crate) fn failed_saying(&self, words: &[&str]) -> bool {
        self.code != Some(0) && self.failure.says(words)
    }
}

/// The git program for one git directory.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) program: PathBuf,
    pub(crate) git_dir: PathBuf,
    pub(crate) limit: Duration,
}

impl Program {
    /// Runs a command that must end with code 0. Returns what it printed.
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Result<String, GitError> {
        let finished = self.finish(args, stdin)?;
        match finished.code {
            Some(0) => Ok(finished.stdout),
            _ => Err(finished.into_error()),
        }
    }

    /// Runs a command whose exit code is its answer.
    pub(crate) fn finish(&self, args: &[&str], stdin: &str) -> Result<Finished, GitError> {
        self.finish_in(&[], args, stdin)
    }

    /// The same with these variables in its environment besides.
    pub(crate) fn finish_in(
        &self,
        environment: &[(String, String)],
        args: &[&str],
        stdin: &str,
    ) -> Result<Finished, GitError> {
        let shown = redact(&format!("git {}", args.join(" ")));
        let child = self
            .command(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .spawn()
            .map_err(|source| GitError::NotStarted { program: self.program.clone(), source })?;
        let ended = supervise(child, stdin.as_bytes().to_vec(), self.limit)
            .map_err(|source| GitError::Pipe { command: shown.clone(), source })?;
        let Some(Ended { status, stdout, stderr }) = ended else {
            return Err(GitError::TimedOut { command: shown, limit: self.limit });
        };
        tracing::debug!(command = %shown, %status, "git ended");
        let stderr = redact(String::from_utf8_lossy(&stderr).trim_end());
        let lines: Vec<&str> = stderr.lines().collect();
        let stderr = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        let failure = GitFailure { command: shown, status: status.to_string(), stderr };
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        Ok(Finished { code: status.code(), stdout, failure })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear();
        let inherited = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.envs(inherited).envs(ENVIRONMENT.iter().copied());
        command.arg("-C").arg(Path::new(&self.git_dir)).arg("--git-dir=.");
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        command
    }
}

struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Waits for `child` and what it prints; `None` if the limit came first.
fn supervise(mut child: Child, stdin: Vec<u8>, limit: Duration) -> io::Result<Option<Ended>> {
    // The child leads its own group, so its id is the group's.
    let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    if let Some(mut pipe) = child.stdin.take() {
        // A command that does not read its input closes the pipe: its exit status tells.
        thread::spawn(move || pipe.write_all(&stdin));
    }
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let (sender, exit) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait()));

    let Ok(status) = exit.recv_timeout(limit) else {
        // Fails only if the group has just ended by itself, which is as good.
        let _ended = killpg(group, Signal::SIGKILL);
        return Ok(None);
    };
    let stdout = collect(stdout)?;
    // Losing the words of a failure must not turn an answer into one.
    let stderr = collect(stderr).unwrap_or_else(|error| error.to_string().into_bytes());
    Ok(Some(Ended { status: status?, stdout, stderr }))
}

/// Reads a pipe to its end beside the caller.
fn drain(mut pipe: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        sender.send(pipe.read_to_end(&mut bytes).map(|_| bytes))
    });
    receiver
}

fn collect(pipe: Option<Receiver<io::Result<Vec<u8>>>>) -> io::Result<Vec<u8>> {
    let Some(pipe) = pipe else {
        return Ok(Vec::new());
    };
    pipe.recv_timeout(DRAIN).map_err(|_| io::Error::other("a pipe stayed open"))?
}

/// Replaces the user part of every `scheme://user:token@host` by `***`.
pub(crate) fn redact(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        safe.push_str(before);
        let ends = |c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"';
        let authority = &after[..after.find(ends).unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(at) => {
                safe.push_str("***");
                &after[at..]
            }
            None => after,
        };
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_addresses_never_show() {
        assert_eq!(redact("push https://me:s3cret@host/a +x:y"), "push https://***@host/a +x:y");
        let folder = tempfile::tempdir().unwrap();
        let git_dir = folder.path().to_owned();
        let limit = Duration::from_secs(60);
        let program = Program { program: "git".into(), git_dir, limit };
        let error = program.run(&["ls-remote", "nothing://me:s3cret@host/a"], "").unwrap_err();
        assert!(
            matches!(&error, GitError::Failed(f) if f.command.ends_with("nothing://***@host/a"))
        );
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
