//! The host's daemon: one per host name, state folder and fleet.
//!
//! It renews the sessions that are registered here, moves the deadlines of their
//! runs, gives back what ended runs had, writes the guard's snapshot, and runs
//! the jobs that are given to this host. All that it knows is in files, and all
//! that it started belongs to supervisors: it may be killed at any moment, and
//! the next one goes on. `serve` is its loop, `beat` what it learned last,
//! `sessions`, `holds` and `jobs` what it does about it; `signs` what it sees of the silent; `user` and `room` keep jobs
//! apart from agents. Not here: the wrappers that start runs ([`crate::wrap`]),
//! and who is granted what.

mod beat;
mod channel;
mod checkout;
mod entry;
mod holds;
mod host;
mod job;
mod jobs;
pub mod machine;
mod office;
mod orphans;
mod room;
mod serve;
mod sessions;
mod show;
mod signs;
mod user;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use molt_domain::name::HostName;
use molt_proto::credentials::Setting;

pub use beat::Beat;
pub use entry::main;
pub use serve::run;
pub use user::JobUser;

use self::office::Office;
use crate::client::Address;
use crate::error::Error;
use crate::session::config;

/// The variable that keeps verbs from starting a daemon, with the value `off`:
/// for machines whose service manager does, and for tests.
const SWITCH: &str = "MOLT_DAEMON";

/// What a daemon is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state folder.
    pub state: PathBuf,
    /// The host that it speaks for.
    pub host: HostName,
    /// The fleet's coordinators.
    pub coordinator: Vec<Address>,
    /// How many jobs it runs at once; 0 for none.
    pub jobs: u32,
    /// Who the jobs run as; `None`: whoever the daemon is.
    pub job_user: Option<JobUser>,
    /// This program, which is the supervisor too.
    pub program: PathBuf,
    /// Who wanted it.
    pub origin: Origin,
}

/// Who wanted a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A person or a service manager: it stays.
    Asked,
    /// A verb that missed one: it makes way for one that is asked for.
    Missed,
}

/// Where daemons write what they do, line by line.
pub fn log_path(state: &Path) -> PathBuf {
    state.join("logs/daemon.log")
}

/// Who keeps a host's sessions alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// A daemon, which runs or was started now; or a service manager sees to it.
    Daemon,
    /// A daemon whose word the coordinator does not take.
    Refused {
        /// What the coordinator says to it.
        said: String,
    },
    /// Nobody: a daemon would have nothing to show, and was not started.
    Nobody {
        /// What is missing, and what to do about it.
        problem: String,
    },
}

/// Starts a daemon for `host` and the fleet at `coordinator` unless one runs.
/// Does not wait until it works.
///
/// Costs the try of a lock when one runs.
pub fn ensure(
    program: &Path,
    state: &Path,
    host: &HostName,
    coordinator: &[Address],
) -> Result<Keeper, Error> {
    if std::env::var_os(SWITCH).is_some_and(|value| value == "off") {
        return Ok(Keeper::Daemon);
    }
    let office = Office::new(state, host, coordinator);
    if office.is_taken()? {
        let refused = office.complaint()?;
        return Ok(refused.map_or(Keeper::Daemon, |said| Keeper::Refused { said }));
    }
    if let Some(problem) = nothing_to_show(host, coordinator) {
        return Ok(Keeper::Nobody { problem });
    }
    start(program, state, host, coordinator).map(|()| Keeper::Daemon)
}

/// Why a daemon that is started now could not say who it is, if it must.
///
/// What the agent shows is not the machine's: a daemon that showed it would be
/// refused, or speak for a machine with the rights of whoever came first.
fn nothing_to_show(host: &HostName, coordinator: &[Address]) -> Option<String> {
    if !coordinator.iter().any(Address::asks_who_calls) {
        return None;
    }
    let [token, cert, key] =
        [Setting::HostTokenFile, Setting::HostCert, Setting::HostKey].map(Setting::variable);
    match config::host_credentials() {
        Ok(own) if own.prove_somebody() => None,
        Ok(_) => Some(format!(
            "nothing says that this is host {host}: set {token}, or {cert} and {key}; an \
             operator makes one: molt-coordinator tokens issue --role host --name {host}"
        )),
        Err(error) => Some(error.in_full()),
    }
}

fn start(
    program: &Path,
    state: &Path,
    host: &HostName,
    coordinator: &[Address],
) -> Result<(), Error> {
    let log = log_path(state);
    let errors = office::append(&log)?;
    let places: Vec<String> = coordinator.iter().map(ToString::to_string).collect();
    let mut command = Command::new(program);
    command.arg("daemon").arg("--missed").arg("--host").arg(host.as_str());
    command.arg("--state").arg(state).arg("--coordinator").arg(places.join(","));
    // Who happened to need it first is nobody to the daemon.
    let of_agent = [Setting::Cert, Setting::Key, Setting::TokenFile, Setting::Token];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MOLT_AGENT_") || of_agent.iter().any(|own| own.variable() == text) {
            command.env_remove(&name);
        }
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    command.spawn().map_err(Error::file("start a daemon with", program)).map(drop)
}
