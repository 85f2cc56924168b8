//! An agent: a program that lives, a worktree, a host, and shells that come and go.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::host::Host;
use super::process::{Running, Said, command, git};
use super::write;

/// A program that reads command lines, runs each in a shell of its own, and says when it ended.
/// It lives for as long as its input is open, so nothing of it outlives the test.
const PROGRAM: &str = r#"BEGIN {
    next_line = "IFS= read -r line && printf '%s\\n' \"$line\""
    while ((next_line | getline line) > 0) {
        close(next_line)
        system(line)
        print "done"
        fflush()
    }
}"#;

/// An agent's program: whose life its session's life is.
#[derive(Debug)]
pub(crate) struct Root {
    child: Child,
    tell: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Root {
    /// Starts one in `worktree`, with the environment of `host` and under `name`.
    #[track_caller]
    pub(crate) fn start(name: &str, host: &Host, worktree: &Path) -> Self {
        let mut command = command("awk", worktree);
        for (key, value) in host.command(&[]).get_envs() {
            command.env(key, value.expect("nothing is removed"));
        }
        command.env("MOLT_AGENT_NAME", name).current_dir(worktree);
        command.arg(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("awk starts");
        let tell = child.stdin.take().expect("its input is piped");
        let hear = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, tell, hear }
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process number")
    }

    /// Runs a command line in a shell that ends with it.
    #[track_caller]
    pub(crate) fn shell(&mut self, line: &str) {
        writeln!(self.tell, "{line}").expect("it listens");
        let mut done = String::new();
        self.hear.read_line(&mut done).expect("it answers");
        assert_eq!(done, "done\n", "after `{line}`");
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An agent with its worktree. Its verbs are run for its program, side by side if need be.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its program.
    pub(crate) root: Root,
    name: String,
    worktree: PathBuf,
    logs: PathBuf,
    envs: Vec<(std::ffi::OsString, std::ffi::OsString)>,
}

impl Agent {
    /// One called `name`, at work in `worktree` on `host`.
    #[track_caller]
    pub(crate) fn new(name: &str, host: &Host, worktree: PathBuf) -> Self {
        let root = Root::start(name, host, &worktree);
        let basis = host.command(&[]);
        let own = |(key, value): (&std::ffi::OsStr, Option<&std::ffi::OsStr>)| {
            Some((key.to_owned(), value?.to_owned()))
        };
        let mut envs: Vec<_> = basis.get_envs().filter_map(own).collect();
        envs.push(("MOLT_AGENT_NAME".into(), name.into()));
        envs.push(("MOLT_AGENT_ROOT_PID".into(), root.pid().to_string().into()));
        Self { root, name: name.to_owned(), worktree, logs: host.logs(), envs }
    }

    /// What it calls itself.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its worktree.
    pub(crate) fn worktree(&self) -> &Path {
        &self.worktree
    }

    /// A verb of it, to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(super::programs::agent());
        command.env_clear().envs(self.envs.iter().map(|(key, value)| (key, value)));
        command.args(arguments).current_dir(&self.worktree);
        command
    }

    /// Starts a verb.
    #[track_caller]
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments), &self.logs)
    }

    /// Runs a verb to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.start(arguments).end()
    }

    /// Runs a verb with `--json` to its end, which is to be `code`; its document.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
        self.run(&[arguments, &["--json"]].concat()).exits(code).document()
    }

    /// Commits `files` on top of the base as it is now, or of `from`; the commit.
    #[track_caller]
    pub(crate) fn commit(&self, files: &[(&str, &str)], title: &str) -> String {
        git(&self.worktree, &["fetch", "--quiet", "origin"]);
        git(&self.worktree, &["checkout", "--quiet", "--detach", "origin/main"]);
        self.commit_on_top(files, title)
    }

    /// Commits `files` on top of what is checked out; the commit.
    #[track_caller]
    pub(crate) fn commit_on_top(&self, files: &[(&str, &str)], title: &str) -> String {
        for (path, text) in files {
            write(&self.worktree, path, text);
        }
        git(&self.worktree, &["add", "--all"]);
        git(&self.worktree, &["commit", "--quiet", "--message", title]);
        git(&self.worktree, &["rev-parse", "HEAD"])
    }
}
