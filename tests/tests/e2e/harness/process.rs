//! Processes of a test: started with a known environment, waited for within
//! bounds, gone with the value that stands for them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::clock::{Deadline, PATIENCE, pause};

/// How a program ended and what it said.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// The command line, for messages.
    pub(crate) asked: String,
    /// The exit code; of a program that a signal ended, 128 and the signal.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Said {
    /// The same, if it ended with `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let Self { asked, code: ended, out, err } = &self;
        assert_eq!(*ended, code, "`{asked}` said\n{out}{err}");
        self
    }

    /// Its one JSON document. Law of the command line: `ok` exactly when the exit code is 0.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        let Self { asked, code, out, err } = self;
        let document: Value = serde_json::from_str(out)
            .unwrap_or_else(|error| panic!("`{asked}`: {error}\nstdout: {out}\nstderr: {err}"));
        assert_eq!(document["ok"], *code == 0, "`{asked}` exits {code} and says {out}");
        assert_eq!(out.lines().count(), 1, "`{asked}` says one document: {out}");
        document
    }
}

/// A program that runs, with its output in files. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    asked: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// Starts `command`; what it says goes into files of the folder `logs`.
    #[track_caller]
    pub(crate) fn start(command: Command, logs: &Path) -> Self {
        Self::start_hearing(command, logs, Stdio::null())
    }

    /// Starts `command` with something else than nothing as its standard input.
    #[track_caller]
    pub(crate) fn start_hearing(mut command: Command, logs: &Path, stdin: Stdio) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let program = Path::new(command.get_program());
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let asked = format!("{name} {}", arguments.join(" "));
        fs::create_dir_all(logs).expect("the folder of logs");
        let file = |kind| logs.join(format!("{n:04}-{name}.{kind}"));
        let (out, err) = (file("out"), file("err"));
        command.stdin(stdin);
        command.stdout(File::create(&out).expect("a log"));
        command.stderr(File::create(&err).expect("a log"));
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {asked}: {error}"));
        Self { asked, child, out, err }
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process number")
    }

    /// Tells it this and nothing more. One that does not listen is no failure of the telling.
    pub(crate) fn tell(&mut self, text: &str) {
        let mut stdin = self.child.stdin.take().expect("its standard input is a pipe");
        drop(stdin.write_all(text.as_bytes()));
    }

    /// What it has said on standard output so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// What it has said on standard error so far.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<Said> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.try_wait().expect("a child can be waited for")?;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        let out = fs::read_to_string(&self.out).expect("standard output is text");
        Some(Said { asked: self.asked.clone(), code, out, err: self.errors() })
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        let deadline = Deadline::after(PATIENCE);
        loop {
            if let Some(said) = self.ended() {
                return said;
            }
            let said = self.errors();
            assert!(!deadline.is_over(), "`{}` does not end; it said {said}", self.asked);
            pause(std::time::Duration::from_millis(2));
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Sends a signal to a process that this test has started, itself or through its programs.
pub(crate) fn send(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("cannot send {signal} to {pid}: {error}"),
    }
}

/// Whether a process of that number lives. One that has ended and that nobody has waited for
/// does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    let mut ps = Command::new("ps");
    let output = ps.args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps starts");
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// A command that has nothing of this process's environment but what it needs.
pub(crate) fn command(program: impl AsRef<Path>, home: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear();
    let path = std::env::var_os("PATH").expect("there is a PATH");
    command.env("PATH", path).env("HOME", home).env("LC_ALL", "C").env("USER", "tester");
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "tester"),
        ("GIT_AUTHOR_EMAIL", "tester@example.org"),
        ("GIT_COMMITTER_NAME", "tester"),
        ("GIT_COMMITTER_EMAIL", "tester@example.org"),
    ] {
        command.env(name, value);
    }
    command
}

/// Runs git in `folder`; what it printed.
#[track_caller]
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = command("git", folder);
    let output = git.arg("-C").arg(folder).args(arguments).output().expect("git starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?} in {}: {said}", folder.display());
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
