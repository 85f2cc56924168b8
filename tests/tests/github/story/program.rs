//! The service as a program, which can be killed in the middle of something.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::harness::programs;
use super::stand::Stand;

/// The service as a process. It is killed when this is dropped.
pub(super) struct Program(Child);

impl Program {
    /// Starts it, and returns once it has looked at GitHub.
    pub(super) async fn start(stand: &Stand) -> Self {
        let log = stand.folder.path().join("log");
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let mut command = Command::new(programs::coordinator());
        command.arg("serve").arg("--config").arg(stand.configuration());
        command.arg("--ready-file").arg(ready_file(stand));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let before = stand.rounds();
        let program = Self(command.spawn().expect("it starts"));
        stand.until("it listens", |stand| stand.rounds() > before).await;
        program
    }

    /// Where the last one that was started answers.
    pub(super) fn address(stand: &Stand) -> String {
        fs::read_to_string(ready_file(stand)).expect("it answers")
    }

    /// Kills it, so that it can do nothing more.
    pub(super) fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it is ours");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}

fn ready_file(stand: &Stand) -> PathBuf {
    stand.folder.path().join("ready")
}
