//! The service as a program, which can be killed in the middle of something.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::harness::programs;
use super::stand::Stand;

/// The service as a process. It is killed when this is dropped.
pub(super) struct Program(Child);

impl Program {
    /// Starts it, and returns once it has looked at GitHub.
    pub(super) async fn start(stand: &Stand) -> Self {
        Self::logging(stand, "info").await
    }

    /// The same, where it logs what this setting of `MOLT_LOG` says.
    pub(super) async fn logging(stand: &Stand, what: &str) -> Self {
        let log = stand.folder.path().join("log");
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let mut command = Command::new(programs::coordinator());
        command.arg("serve").arg("--config").arg(stand.configuration());
        command.arg("--ready-file").arg(ready_file(stand));
        command.env("MOLT_LOG", what);
        let greeting = File::create(greeting(stand)).expect("a file");
        command.stdin(Stdio::null()).stdout(greeting).stderr(log);
        let before = stand.rounds();
        let program = Self(command.spawn().expect("it starts"));
        stand.until("it listens", |stand| stand.rounds() > before).await;
        if stand.hears() {
            stand.deliver_to(Self::webhooks(stand));
        }
        program
    }

    /// Where the last one that was started answers.
    pub(super) fn address(stand: &Stand) -> String {
        fs::read_to_string(ready_file(stand)).expect("it answers")
    }

    /// Where it takes webhooks in.
    fn webhooks(stand: &Stand) -> SocketAddr {
        let said = fs::read_to_string(greeting(stand)).expect("it greets");
        let at = said.lines().find_map(|line| line.strip_prefix("webhooks at http://"));
        let at = at.and_then(|at| at.split('/').next()?.parse().ok());
        at.expect("it says where")
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

/// What it says first.
fn greeting(stand: &Stand) -> PathBuf {
    stand.folder.path().join("greeting")
}

fn ready_file(stand: &Stand) -> PathBuf {
    stand.folder.path().join("ready")
}
