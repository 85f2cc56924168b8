//! The git program: found once, run with nothing of the user's in its way.
//!
//! Every run has a time limit that ends the whole process group, and every
//! failure carries the command, its exit status and its last words. No user or
//! system configuration, hooks, attributes or ignore rules apply, so that two
//! machines give the same answer. Credentials come by `GIT_ASKPASS`, ssh,
//! `GIT_SSH_COMMAND` or [`Access`](crate::Access), never by an address. Not here:
//! what the commands mean.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// `git merge-tree --write-tree` came with this version.
const MINIMUM: Version = Version { major: 2, minor: 38 };
/// Long enough for a first fetch of a big repository over a slow line.
const LIMIT: Duration = Duration::from_secs(600);
/// How long pipes may stay open after git itself has ended: an ssh master that
/// stays behind keeps standard error open for ever.
const DRAIN: Duration = Duration::from_secs(5);
/// How many of the last lines of standard error a failure keeps.
const LAST_LINES: usize = 12;

/// The variables that git may see of ours: where programs and keys are, how to
/// get out of the network. Everything else (`GIT_DIR` of a hook!) stays behind.
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

const ENVIRONMENT: &[(&str, &str)] = &[
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_DEFAULT_HASH", "sha1"),
    ("GIT_DEFAULT_REF_FORMAT", "files"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];

/// Settings that a repository's own configuration must not change.
const SETTINGS: &[&str] = &[
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
];

/// A git version, as far as this crate cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    /// Reads `git version 2.39.5 (Apple Git-154)` and its like.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().strip_prefix("git version ")?.split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?;
        let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
        Some(Self { major, minor: minor[..digits].parse().ok()? })
    }
}

/// Why the git program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be started.
    #[error("cannot start `{}`: install git {MINIMUM} or newer, or name it in MOLT_GIT", program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// The program is older than this crate can use.
    #[error("`{}` is git {found}, but {MINIMUM} or newer is needed", program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: Version,
    },
    /// The program does not say that it is git.
    #[error("`{} --version` printed `{text}`, which is no git version", program.display())]
    NotGit {
        /// The program.
        program: PathBuf,
        /// What it printed.
        text: String,
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

/// Which repository a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A bare repository's own folder; folders above it are never searched.
    Bare(&'a Path),
    /// A working tree's root; folders above it are never searched.
    Tree(&'a Path),
    /// Any folder of a working tree.
    Within(&'a Path),
}

impl Place<'_> {
    /// The folder.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Bare(path) | Self::Tree(path) | Self::Within(path) => path,
        }
    }

    fn apply(&self, command: &mut Command) {
        command.arg("-C").arg(self.folder());
        match self {
            Self::Bare(_) => command.arg("--git-dir=."),
            Self::Tree(_) => command.args(["--git-dir=.git", "--work-tree=."]),
            Self::Within(_) => command,
        };
    }
}

/// A git program that is new enough.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    version: Version,
    limit: Duration,
}

impl Git {
    /// The program that `MOLT_GIT` names, else `git` on the path.
    pub fn find() -> Result<Self, GitError> {
        Self::at(std::env::var_os("MOLT_GIT").unwrap_or_else(|| "git".into()))
    }

    /// This program, if it is git and new enough.
    pub fn at(program: impl Into<PathBuf>) -> Result<Self, GitError> {
        let program = program.into();
        let unchecked = Self { program, version: MINIMUM, limit: LIMIT };
        let printed = unchecked.call(Place::Within(Path::new("."))).arg("--version").run()?;
        let text = String::from_utf8_lossy(&printed).trim().to_owned();
        let program = unchecked.program;
        match Version::parse(&text) {
            Some(found) if found < MINIMUM => Err(GitError::TooOld { program, found }),
            Some(version) => Ok(Self { program, version, limit: LIMIT }),
            None => Err(GitError::NotGit { program, text }),
        }
    }

    /// The same program, whose commands are killed after `limit`.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The program's version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// A command about the repository at `place`, not yet run.
    pub fn call(&self, place: Place<'_>) -> Call {
        let mut command = Command::new(&self.program);
        command.env_clear();
        let inherited = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.envs(inherited).envs(ENVIRONMENT.iter().copied());
        place.apply(&mut command);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        Call {
            program: self.program.clone(),
            command,
            shown: "git".to_owned(),
            stdin: Vec::new(),
            limit: self.limit,
        }
    }
}

/// One command of the git program.
#[derive(Debug)]
pub struct Call {
    program: PathBuf,
    command: Command,
    shown: String,
    stdin: Vec<u8>,
    limit: Duration,
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code.
    pub code: i32,
    /// Everything it printed.
    pub stdout: Vec<u8>,
    failure: GitFailure,
}

impl Finished {
    /// The end as an error, for a code that is no answer.
    pub fn into_error(self) -> GitError {
        GitError::Failed(Box::new(self.failure))
    }
}

impl Call {
    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.shown.push(' ');
        self.shown.push_str(&redact(&arg.to_string_lossy()));
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable of the command's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// What the command reads on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs the command; any exit code but 0 is an error. Returns what it printed.
    pub fn run(self) -> Result<Vec<u8>, GitError> {
        let finished = self.finish()?;
        match finished.code {
            0 => Ok(finished.stdout),
            _ => Err(finished.into_error()),
        }
    }

    /// Runs the command; every exit code is an answer, a signal is an error.
    pub fn finish(self) -> Result<Finished, GitError> {
        let Self { program, mut command, shown, stdin, limit } = self;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command
            .process_group(0)
            .spawn()
            .map_err(|source| GitError::NotStarted { program, source })?;
        let ended = supervise(child, stdin, limit)
            .map_err(|source| GitError::Pipe { command: shown.clone(), source })?;
        let Some(Ended { status, stdout, stderr }) = ended else {
            return Err(GitError::TimedOut { command: shown, limit });
        };
        tracing::debug!(command = %shown, %status, "git ended");
        let failure =
            GitFailure { command: shown, status: in_words(status), stderr: last_words(&stderr) };
        match status.code() {
            Some(code) => Ok(Finished { code, stdout, failure }),
            None => Err(GitError::Failed(Box::new(failure))),
        }
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

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn last_words(stderr: &[u8]) -> String {
    let text = redact(String::from_utf8_lossy(stderr).trim_end());
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
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
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(folder: &Path, body: &str) -> PathBuf {
        let path = folder.join("git");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn versions_of_all_vendors_are_read() {
        let read = |text| Version::parse(text).map(|v| v.to_string());
        assert_eq!(read("git version 2.39.5"), Some("2.39".to_owned()));
        assert_eq!(read("git version 2.39.5 (Apple Git-154)\n"), Some("2.39".to_owned()));
        assert_eq!(read("git version 2.50-rc1"), Some("2.50".to_owned()));
        assert_eq!(read("hub version 2.1"), None);
        assert!(Version { major: 3, minor: 0 } > MINIMUM);
    }

    #[test]
    fn an_old_a_foreign_and_a_missing_program_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let old = Git::at(script(folder.path(), "echo git version 2.37.9")).unwrap_err();
        assert!(matches!(old, GitError::TooOld { found: Version { major: 2, minor: 37 }, .. }));
        assert!(old.to_string().ends_with("is git 2.37, but 2.38 or newer is needed"), "{old}");
        let foreign = Git::at(script(folder.path(), "echo busybox")).unwrap_err();
        assert!(matches!(foreign, GitError::NotGit { ref text, .. } if text == "busybox"));
        let missing = Git::at(folder.path().join("nowhere")).unwrap_err();
        assert!(matches!(missing, GitError::NotStarted { .. }));
    }

    #[test]
    fn secrets_in_addresses_never_show() {
        let safe = redact("fetch https://me:s3cret@host/a.git 'ssh://git@h/b' file:///c@d");
        assert_eq!(safe, "fetch https://***@host/a.git 'ssh://***@h/b' file:///c@d");
        let failure = Git::find()
            .unwrap()
            .call(Place::Within(Path::new("/")))
            .args(["ls-remote", "nothing://me:s3cret@host/a.git"])
            .run()
            .unwrap_err();
        let GitError::Failed(failure) = failure else { panic!("not a failure: {failure:?}") };
        assert_eq!(failure.command, "git ls-remote nothing://***@host/a.git");
        assert_eq!(failure.status, "exit code 128");
        assert!(failure.stderr.contains("nothing"), "{failure}");
        assert!(!failure.to_string().contains("s3cret"), "{failure}");
    }

    #[test]
    fn the_limit_ends_the_whole_group() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let body = format!(
            "case \"$*\" in *--version*) echo git version 2.40; exit;; esac\n\
             sleep 600 & echo $! > {}; wait",
            pid.display(),
        );
        let git = Git::at(script(folder.path(), &body)).unwrap();
        let git = git.with_limit(Duration::from_secs(2));
        let error = git.call(Place::Within(folder.path())).arg("gc").run().unwrap_err();
        assert!(matches!(error, GitError::TimedOut { .. }), "{error}");
        assert_eq!(error.to_string(), "`git gc` took longer than 2s and was killed");
        let grandchild: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        assert!(ends(Pid::from_raw(grandchild)), "the grandchild lives on");
    }

    /// Whether `pid` is gone, or only waits for its parent to notice.
    fn ends(pid: Pid) -> bool {
        (0..200).any(|_| {
            thread::sleep(Duration::from_millis(10));
            let ps = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
            let state = String::from_utf8(ps.unwrap().stdout).unwrap();
            state.trim().is_empty() || state.trim_start().starts_with('Z')
        })
    }

    #[test]
    fn nothing_of_the_callers_repository_leaks_in() {
        let call = Git::find().unwrap().call(Place::Within(Path::new("/")));
        let set: Vec<String> = call
            .command
            .get_envs()
            .filter_map(|(name, value)| value.map(|_| name.to_string_lossy().into_owned()))
            .collect();
        assert!(set.iter().any(|name| name == "GIT_TERMINAL_PROMPT"));
        for banned in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_AUTHOR_NAME"] {
            assert!(!set.iter().any(|name| name == banned), "{banned} is inherited");
        }
    }
}
