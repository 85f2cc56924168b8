//! The host's daemon: one per host name, state folder and fleet.
//!
//! It renews the sessions that are registered here, moves the deadlines of their
//! runs, gives back what ended runs had, writes the guard's snapshot, and runs
//! the jobs that are given to this host. All that it knows is in files, and all
//! that it started belongs to supervisors: it may be killed at any moment, and
//! the next one goes on. `serve` is its loop, `beat` what it learned last,
//! `sessions`, `holds` and `jobs` what it does about it. Not here: the wrappers
//! that start runs ([`crate::wrap`]), and who is granted what.

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
mod serve;
mod sessions;
mod show;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use molt_domain::name::HostName;

pub use beat::Beat;
pub use entry::main;
pub use serve::run;

use self::office::Office;
use crate::client::Address;
use crate::error::Error;

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

/// Starts a daemon for `host` and the fleet at `coordinator` unless one runs.
/// Does not wait until it works.
///
/// Costs the try of a lock when one runs.
pub fn ensure(
    program: &Path,
    state: &Path,
    host: &HostName,
    coordinator: &[Address],
) -> Result<(), Error> {
    if std::env::var_os(SWITCH).is_some_and(|value| value == "off") {
        return Ok(());
    }
    let office = Office::new(state, host, coordinator);
    if office.is_taken()? {
        return Ok(());
    }
    let log = log_path(state);
    let errors = office::append(&log)?;
    let places: Vec<String> = coordinator.iter().map(ToString::to_string).collect();
    let mut command = Command::new(program);
    command.arg("daemon").arg("--missed").arg("--host").arg(host.as_str());
    command.arg("--state").arg(state).arg("--coordinator").arg(places.join(","));
    for (name, _) in std::env::vars_os() {
        // Who happened to need it first is nobody to the daemon.
        if name.to_string_lossy().starts_with("MOLT_AGENT_") {
            command.env_remove(name);
        }
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    command.spawn().map_err(Error::file("start a daemon with", program)).map(drop)
}
