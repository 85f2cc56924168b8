//! A machine for tests: a state folder, worktrees, agents, a daemon. Dropping it
//! ends what it started.

use std::cell::RefCell;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use molt_agent::clock;
use molt_agent::run;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::fleet::{Fleet, HOST};

/// Longer than anything here takes on a busy machine; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until the file `go` is in the folder of the variable PLACE.
pub(crate) const UNTIL_GO: &str =
    "echo begun; while [ ! -e $PLACE/go ]; do sleep 0.02; done; echo done";

pub(crate) struct Machine {
    folder: tempfile::TempDir,
    pub(crate) fleet: Fleet,
    children: RefCell<Vec<Child>>,
}

/// One agent: a worktree and a root process.
pub(crate) struct Agent<'a> {
    machine: &'a Machine,
    pub(crate) worktree: PathBuf,
    root: i32,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, fleet: Fleet::new(), children: RefCell::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn touch(&self, name: &str) {
        std::fs::write(self.path(name), "").unwrap();
    }

    /// The program with the surroundings of this machine.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_molt-agent"));
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("PLACE", self.path(""))
            .env("MOLT_STATE", self.state())
            .env("MOLT_HOST", HOST)
            .env("MOLT_DAEMON", "off")
            .env("MOLT_COORD_ENDPOINTS", self.fleet.address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A process that lives as long as this value, or until it is killed.
    pub(crate) fn process(&self) -> i32 {
        self.keep(Command::new("sleep").arg("600"))
    }

    /// The same of another user.
    pub(crate) fn process_of(&self, uid: u32) -> i32 {
        self.keep(Command::new("sleep").arg("600").uid(uid).gid(uid))
    }

    /// Starts something that ends with this value at the latest; its pid.
    pub(crate) fn keep(&self, command: &mut Command) -> i32 {
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        self.children.borrow_mut().push(child);
        pid
    }

    /// A daemon that was asked for; its pid.
    pub(crate) fn daemon(&self, jobs: u32) -> i32 {
        self.keep(self.program().args(["daemon", "--jobs", &jobs.to_string()]))
    }

    /// A daemon whose jobs run as another user; its pid.
    pub(crate) fn daemon_for(&self, user: u32) -> i32 {
        let user = user.to_string();
        self.keep(self.program().args(["daemon", "--jobs", "1", "--job-user", &user]))
    }

    /// Sends a signal to a process of this machine and sees it end.
    pub(crate) fn end(&self, pid: i32, signal: Signal) {
        kill(Pid::from_raw(pid), signal).unwrap();
        let mut children = self.children.borrow_mut();
        let child = children.iter_mut().find(|child| child.id() == pid.unsigned_abs()).unwrap();
        until("the end of a process", || child.try_wait().unwrap());
    }

    /// A worktree `name` with one commit of one file, and an agent in it.
    pub(crate) fn agent(&self, name: &str) -> Agent<'_> {
        let worktree = self.path(name);
        std::fs::create_dir_all(&worktree).unwrap();
        git(&worktree, &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(worktree.join("source"), "one\n").unwrap();
        std::fs::write(worktree.join(".gitignore"), "/out\n").unwrap();
        git(&worktree, &["add", "."]);
        git(&worktree, &["commit", "--quiet", "-m", "first"]);
        Agent { machine: self, worktree, root: self.process() }
    }
}

impl Drop for Machine {
    #[expect(clippy::print_stdout, reason = "a failed test shows what the daemon saw")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the daemon's log:\n{}", self.text("state/logs/daemon.log"));
        }
        for mut child in self.children.take() {
            // One that has ended already needs no end.
            drop(child.kill());
            drop(child.wait());
        }
        for run in run::list(&self.state()).unwrap_or_default() {
            if let Ok(Some(record)) = run.folder().supervisor()
                && record.supervisor.is_alive().unwrap_or(false)
            {
                kill(Pid::from_raw(record.supervisor.pid), Signal::SIGKILL).ok();
                until("death", || (!record.supervisor.is_alive().unwrap()).then_some(()));
            }
            // A failed test must show its own failure, not that of cleaning up.
            drop(run::reap(run.folder().path()));
        }
    }
}

impl Agent<'_> {
    /// The same agent under another root process.
    pub(crate) fn with_root(self, root: i32) -> Self {
        Self { root, ..self }
    }

    /// A verb of this agent, not yet started.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.program();
        command
            .current_dir(&self.worktree)
            .env("MOLT_AGENT_ROOT_PID", self.root.to_string())
            .args(arguments);
        command
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.verb(arguments).spawn().unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.start(arguments))
    }

    pub(crate) fn root(&self) -> i32 {
        self.root
    }
}

/// How a verb ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn ended(child: Child) -> Ended {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ended {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether a test must be left out because only root can do what it does. The reason is in the
/// list of skips, and without one it fails under CI.
pub(crate) fn left_out_without_root(test: &str) -> bool {
    if geteuid().is_root() {
        return false;
    }
    let listed = include_str!("../../../tests/skips.txt");
    let listed = listed.lines().any(|line| line.contains(&format!("::host {test}: ")));
    assert!(listed || std::env::var_os("CI").is_none(), "{test} is not in tests/skips.txt");
    true
}

/// What `look` finds, as soon as it finds something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = clock::boottime().plus(PATIENCE);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::boottime() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `holds`.
pub(crate) fn until_true(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}
