//! The coordinators of a fleet: each a process at a place of its own.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molt_proto::v1;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use nix::sys::signal::Signal;

use crate::harness::{Running, Said, command, programs, until};
use crate::net::Place;

/// How long an answer of a coordinator is waited for where it may be frozen or cut off.
const SOON: Duration = Duration::from_millis(400);

/// Where coordinators keep their state.
#[derive(Debug, Clone)]
pub(crate) enum Keeping {
    /// Each one in its own folder: a fleet of one.
    Embedded,
    /// In an etcd at these endpoints.
    Etcd(Vec<String>),
}

/// One coordinator.
#[derive(Debug)]
pub(crate) struct Coordinator {
    name: String,
    place: Place,
    address: String,
    scratch: PathBuf,
    config: PathBuf,
    variables: Vec<(&'static str, OsString)>,
    serving: Mutex<Option<Running>>,
    frozen: AtomicBool,
}

/// What a fleet's coordinators are told.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) keeping: &'a Keeping,
    pub(crate) remote: &'a Path,
    /// Keys and values of `[spans]`.
    pub(crate) spans: &'a [(&'a str, &'a str)],
    /// What the program finds in its environment.
    pub(crate) variables: &'a [(&'static str, OsString)],
}

impl Coordinator {
    /// One that is not started yet.
    pub(crate) fn new(scratch: &Path, name: &str, place: &Place, told: &Told<'_>) -> Self {
        let address = place.address().to_string();
        let data = scratch.join(format!("data-{name}"));
        let mut text = format!("name = {name:?}\ndata = {data:?}\nlisten = {address:?}\n");
        let mut add = |line: String| writeln!(text, "{line}").expect("text can be written to");
        if let Keeping::Etcd(endpoints) = told.keeping {
            add(format!("advertise = {address:?}\n[etcd]\nendpoints = {endpoints:?}"));
            add("fleet = \"trial\"".to_owned());
        }
        add(format!("[[repo]]\nname = \"main\"\nremote = {:?}\n[spans]", told.remote));
        for (key, value) in told.spans {
            add(format!("{key} = {value:?}"));
        }
        let config = scratch.join(format!("{name}.toml"));
        std::fs::write(&config, text).expect("the configuration");
        Self {
            name: name.to_owned(),
            place: place.clone(),
            address,
            scratch: scratch.to_owned(),
            config,
            variables: told.variables.to_vec(),
            serving: Mutex::default(),
            frozen: AtomicBool::new(false),
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Starts it and waits until it answers, as the leader or as one who stands by.
    #[track_caller]
    pub(crate) fn start(&self) {
        let ready = self.scratch.join(format!("{}.ready", self.name));
        drop(std::fs::remove_file(&ready));
        let mut command = command(programs::coordinator(), &self.scratch);
        command.arg("serve").arg("--config").arg(&self.config);
        command.arg("--ready-file").arg(&ready).current_dir(&self.scratch);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(level) = std::env::var_os("MOLT_LOG") {
            command.env("MOLT_LOG", level);
        }
        let logs = self.scratch.join("said");
        let mut serving = self.place.enter(|| Running::start(command, &logs));
        until("the coordinator answers", || {
            if let Some(said) = serving.ended() {
                panic!("{} ended with {}: {}{}", self.name, said.code, said.out, said.err);
            }
            std::fs::read_to_string(&ready).ok().filter(|address| address.contains(':'))
        });
        *self.serving() = Some(serving);
    }

    fn serving(&self) -> MutexGuard<'_, Option<Running>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills it at once and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill(&self) {
        let serving = self.serving().take().expect("it serves");
        serving.signal(Signal::SIGKILL);
        drop(serving.end());
        self.frozen.store(false, Ordering::Relaxed);
    }

    /// Asks it to stop; how it ended.
    #[track_caller]
    pub(crate) fn stop(&self) -> Said {
        let serving = self.serving().take().expect("it serves");
        serving.signal(Signal::SIGTERM);
        serving.end()
    }

    /// Stops it in its tracks.
    pub(crate) fn freeze(&self) {
        self.serving().as_ref().expect("it serves").signal(Signal::SIGSTOP);
        self.frozen.store(true, Ordering::Relaxed);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        if let Some(serving) =
            self.serving().as_ref().filter(|_| self.frozen.load(Ordering::Relaxed))
        {
            serving.signal(Signal::SIGCONT);
        }
        self.frozen.store(false, Ordering::Relaxed);
    }

    /// Its term, if it leads as far as it knows.
    pub(crate) fn term(&self) -> Option<u64> {
        if self.serving().is_none() || self.frozen.load(Ordering::Relaxed) {
            return None;
        }
        term(&self.address)
    }

    /// Runs a verb of its program against it.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let mut command = command(programs::coordinator(), &self.scratch);
        command.args(arguments).current_dir(&self.scratch);
        command.env("MOLT_COORD_ENDPOINTS", &self.address);
        Running::start(command, &self.scratch.join("said")).end()
    }

    /// The last of what it logged, for a test that failed.
    pub(crate) fn last_words(&self) -> String {
        let folder = self.scratch.join(format!("data-{}", self.name)).join("logs");
        let Ok(entries) = folder.read_dir() else { return String::new() };
        let mut text = String::new();
        for entry in entries.flatten() {
            text += &std::fs::read_to_string(entry.path()).unwrap_or_default();
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// The term in which the coordinator at `address` answers, if it does.
pub(crate) fn term(address: &str) -> Option<u64> {
    ask(address).map(|view| view.term)
}

/// How many commits the coordinator at `address` knows of, if it answers.
pub(crate) fn revision(address: &str) -> Option<u64> {
    ask(address).map(|view| view.rev)
}

fn ask(address: &str) -> Option<v1::View> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = async {
        let mut client = CoordinatorClient::connect(format!("http://{address}")).await.ok()?;
        let what = Some(v1::query::What::Locks(v1::Empty {}));
        let query = v1::Query { what, ..v1::Query::default() };
        Some(client.read(query).await.ok()?.into_inner())
    };
    runtime.expect("a runtime").block_on(async { tokio::time::timeout(SOON, asked).await.ok()? })
}
