//! The service as a process that can be killed and started again.

use std::path::{Path, PathBuf};
use std::process::Command;

use molt_proto::v1;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::clock::until;
use super::events::Events;
use super::process::{Running, Said, command};
use super::programs;
use super::remote::Remote;

/// The service of a fleet.
#[derive(Debug)]
pub(crate) struct Coordinator {
    /// What it says happens.
    pub(crate) events: Events,
    scratch: PathBuf,
    remote: PathBuf,
    spans: Vec<String>,
    address: String,
    serving: Option<Running>,
}

impl Coordinator {
    /// One that keeps its state below `scratch` and is not started yet.
    pub(crate) fn new(scratch: &Path, remote: &Remote, spans: &[&str]) -> Self {
        Self {
            events: Events::default(),
            scratch: scratch.to_owned(),
            remote: remote.path().to_owned(),
            spans: spans.iter().map(|&span| span.to_owned()).collect(),
            address: "127.0.0.1:0".to_owned(),
            serving: None,
        }
    }

    /// Where it answers, from its first start on.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The folder of its state.
    pub(crate) fn data(&self) -> PathBuf {
        self.scratch.join("data")
    }

    /// Its command line.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(programs::coordinator(), &self.scratch);
        command.args(arguments).current_dir(&self.scratch);
        command
    }

    /// Starts it and waits until it answers: at the address that it had before, if it had one.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts it so, with more on its command line.
    #[track_caller]
    pub(crate) fn start_with(&mut self, more: &[&str]) {
        let ready = self.ready_file();
        drop(std::fs::remove_file(&ready));
        let mut serving = self.serve(more);
        self.address = until("the coordinator answers", || {
            if let Some(said) = serving.ended() {
                panic!("the coordinator ended with {}: {}{}", said.code, said.out, said.err);
            }
            std::fs::read_to_string(&ready).ok().filter(|address| address.contains(':'))
        });
        self.serving = Some(serving);
        self.events.follow(&self.address, &self.scratch);
    }

    /// Starts another one on the same state and address, whatever becomes of it.
    #[track_caller]
    pub(crate) fn serve(&self, more: &[&str]) -> Running {
        let mut command = self.command(&["serve", "--data"]);
        command.arg(self.data()).arg("--remote").arg(&self.remote);
        command.arg("--listen").arg(&self.address);
        command.arg("--ready-file").arg(self.ready_file());
        command.args(&self.spans).args(more);
        Running::start(command, &self.logs())
    }

    /// Kills it at once and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        let serving = self.serving.take().expect("it serves");
        serving.signal(Signal::SIGKILL);
        drop(serving.end());
        self.events.leave();
    }

    /// Asks it to stop; how it ended.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Said {
        let serving = self.serving.take().expect("it serves");
        serving.signal(Signal::SIGTERM);
        let said = serving.end();
        self.events.leave();
        said
    }

    /// What it has said on standard output since it was started.
    pub(crate) fn greeting(&self) -> String {
        self.serving.as_ref().expect("it serves").output()
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> i32 {
        self.serving.as_ref().expect("it serves").pid()
    }

    /// Runs a verb of its program against it.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        command.env("MOLT_COORD_ENDPOINTS", &self.address);
        Running::start(command, &self.logs()).end()
    }

    /// The digest of its whole board.
    #[track_caller]
    pub(crate) fn digest(&self) -> String {
        digest(&self.address)
    }

    fn ready_file(&self) -> PathBuf {
        self.scratch.join("ready")
    }

    fn logs(&self) -> PathBuf {
        self.scratch.join("said")
    }
}

/// The digest of the board that is served at `address`.
#[track_caller]
pub(crate) fn digest(address: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let view = runtime.expect("a runtime").block_on(async {
        let mut client =
            CoordinatorClient::connect(format!("http://{address}")).await.expect("it answers");
        let what = Some(v1::query::What::Digest(v1::Empty {}));
        let query = v1::Query { what, ..v1::Query::default() };
        client.read(query).await.expect("it knows its digest").into_inner()
    });
    let Some(v1::view::View::Digest(digest)) = view.view else { panic!("a digest, not {view:?}") };
    assert!(!digest.is_empty());
    digest
}

impl Coordinator {
    /// What an agent without a session sees of the fleet's only repository.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let document = self.run(&["status", "--json"]).exits(0).document();
        let repos = document["data"]["repos"].as_array().expect("repositories");
        assert_eq!(repos.len(), 1, "{document}");
        repos[0].clone()
    }
}
