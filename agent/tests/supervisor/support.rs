//! A place for runs that leaves nothing behind, and ways to watch processes.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use molt_agent::clock;
use molt_agent::run::process::find;
use molt_agent::run::{self, Argv, ExitRecord, ProcessIdentity, Run, RunId, RunSpec};
use molt_agent::supervisor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longer than anything here takes on a busy machine; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_molt-agent"))
}

/// Runs until the file `go` is there.
pub(crate) const UNTIL_GO: &str = "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo done";

/// Two generations that ignore TERM and write in a journal each.
pub(crate) const STUBBORN: &str = r#"
trap '' TERM
sh -c 'trap "" TERM; echo $$ > inner.pid; while :; do echo x >> inner; sleep 0.01; done' &
echo $$ > outer.pid
while :; do echo x >> outer; sleep 0.01; done
"#;

/// Asserts that both generations of `STUBBORN` wrote, and write no more.
pub(crate) fn assert_silent(place: &Place) {
    let lengths = || (place.length("outer"), place.length("inner"));
    let before = lengths();
    assert!(before.0 > 0 && before.1 > 0, "they never wrote: {before:?}");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(lengths(), before, "somebody still writes");
}

/// A folder for runs and their files. Dropping it ends what still runs.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    created: RefCell<Vec<Run>>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), created: RefCell::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A run of `script` by sh in this place, with a short kill grace.
    pub(crate) fn spec(&self, script: &str) -> RunSpec {
        self.spec_of(&["sh", "-c", script])
    }

    pub(crate) fn spec_of(&self, argv: &[&str]) -> RunSpec {
        let id = RunId::fresh();
        let argv: Vec<String> = argv.iter().map(|&argument| argument.to_owned()).collect();
        let log = self.path("logs").join(format!("{id}.log"));
        let phase = "test".parse().unwrap();
        let mut spec = RunSpec::new(id, Argv::try_from(argv).unwrap(), self.path(""), log, phase);
        spec.environment.insert("PATH".to_owned(), std::env::var("PATH").unwrap());
        spec.kill_grace_ms = 300;
        spec
    }

    pub(crate) fn create(&self, spec: &RunSpec) -> Run {
        self.create_in(&self.state(), spec)
    }

    pub(crate) fn create_in(&self, state: &Path, spec: &RunSpec) -> Run {
        let run = Run::create(state, spec).unwrap();
        self.created.borrow_mut().push(run.clone());
        run
    }

    pub(crate) fn start(&self, spec: &RunSpec) -> Run {
        let run = self.create(spec);
        supervisor::spawn(program(), run.folder().path()).unwrap().run
    }

    /// The process that wrote its pid to the file `name` here.
    pub(crate) fn process(&self, name: &str) -> ProcessIdentity {
        let path = self.path(name);
        let pid = until(name, || std::fs::read_to_string(&path).ok()?.trim().parse().ok());
        ProcessIdentity::of(pid).unwrap().unwrap_or_else(|| panic!("{name} is gone"))
    }

    pub(crate) fn touch(&self, name: &str) {
        std::fs::write(self.path(name), "").unwrap();
    }

    pub(crate) fn length(&self, name: &str) -> u64 {
        std::fs::metadata(self.path(name)).map_or(0, |file| file.len())
    }

    /// The texts of the log of `run` that came by `stream`.
    pub(crate) fn logged(&self, run: &Run, stream: run::Stream) -> Vec<String> {
        let log = std::fs::read_to_string(run.spec().unwrap().log).unwrap();
        let lines = log.lines().map(|line| run::LogLine::parse(line).expect(line));
        lines.filter(|line| line.stream == stream).map(|line| line.text).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for run in self.created.borrow().iter() {
            if let Ok(Some(record)) = run.folder().supervisor() {
                kill_hard(&record.supervisor);
            }
            // A failed test must show its own failure, not that of cleaning up.
            drop(run::reap(run.folder().path()));
        }
    }
}

/// Kills `process` if it is still the one, and sees it dead.
pub(crate) fn kill_hard(process: &ProcessIdentity) {
    if process.is_alive().unwrap() {
        kill(Pid::from_raw(process.pid), Signal::SIGKILL).unwrap();
        until("death", || (!process.is_alive().unwrap()).then_some(()));
    }
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

/// How `run` ended, which it does in time.
pub(crate) async fn ended(run: &Run) -> ExitRecord {
    tokio::time::timeout(PATIENCE, run.wait()).await.expect("a run does not end").unwrap()
}

/// The supervisor of `run`.
pub(crate) fn supervisor_of(run: &Run) -> ProcessIdentity {
    run.folder().supervisor().unwrap().unwrap().supervisor
}

pub(crate) fn group_of(process: &ProcessIdentity) -> i32 {
    find(process.pid).unwrap().unwrap().group
}

/// This test program again, running only `test`, with `role` for it to play.
pub(crate) fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("MOLT_TEST_ROLE", role);
    command
}

/// The role that this process was started to play.
pub(crate) fn role() -> Option<String> {
    std::env::var("MOLT_TEST_ROLE").ok()
}
