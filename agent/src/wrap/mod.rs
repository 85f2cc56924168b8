//! Commands that run under something shared: a lock, a slot, a build; and
//! detached runs.
//!
//! A wrapper takes what the command needs, gives the command to a supervisor,
//! copies its output, and gives back what it took once nothing of the command is
//! left. It may be killed at any moment: the run goes on, and the host's daemon
//! gives back in its place, from the files that [`hold`] describes. One hold is
//! used for one run, because the run's folder is named after it. Not here: the
//! supervisor itself, and who is granted what.

mod acquire;
mod artifacts;
pub(crate) mod ask;
mod build;
mod copy;
mod failure;
pub mod hold;
mod interrupt;
pub mod job;
mod lock;
mod slot;
mod under;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::name::HostName;

pub use build::{Build, Fingerprint};
pub use failure::Failure;
pub(crate) use interrupt::Interrupts;
pub use lock::Lock;
pub use slot::Slot;

use crate::client::Client;
use crate::clock::{self, Millis};
use crate::run::{Argv, scrubbed_environment};
use crate::session::SessionFile;

/// How long a wrapper waits unless it is told otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(600);

/// A variable of the environment that makes the ledger another folder than the
/// state folder's: for machines whose users share one.
const LEDGER: &str = "MOLT_LEDGER";

/// What a wrapper works with.
#[derive(Debug)]
pub struct Wrapper<'a> {
    /// The coordinator.
    pub client: &'a Client,
    /// The session that it acts for.
    pub file: SessionFile,
    /// The state folder of the host's daemon.
    pub state: &'a Path,
    /// This host.
    pub host: HostName,
    /// Where the command is executed.
    pub cwd: PathBuf,
    /// This program, which is the supervisor too.
    pub program: PathBuf,
}

/// A command as it is to run.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Argv,
    /// Its environment, complete.
    pub environment: BTreeMap<String, String>,
    /// Variables that stay behind because they look like secrets.
    pub withheld: Vec<String>,
}

impl Command {
    /// The command `argv` in this process's own environment, less what looks like
    /// a secret and is not in `kept`: a run's specification is a file.
    #[must_use]
    pub fn new(argv: Argv, kept: &[String]) -> Self {
        let mut environment = scrubbed_environment(&["*"]);
        for name in kept {
            if let Ok(value) = std::env::var(name) {
                environment.insert(name.clone(), value);
            }
        }
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let withheld = names.filter(|name| !environment.contains_key(name)).collect();
        Self { argv, environment, withheld }
    }

    /// The command line in a few words, for people who wait for it.
    fn what(&self) -> String {
        let text = self.argv.as_slice().join(" ");
        let end = text.floor_char_boundary(200);
        text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// How long a wrapper waits for what somebody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    until: Millis,
    waits: bool,
}

impl Patience {
    /// Until `span` from now; nothing is waited for in no time.
    #[must_use]
    pub fn of(span: Duration) -> Self {
        Self { until: clock::boottime().plus(span), waits: !span.is_zero() }
    }

    fn left(self) -> Duration {
        clock::boottime().until(self.until)
    }

    fn is_over(self) -> bool {
        self.left().is_zero()
    }
}

/// The folder of the machine's ledger.
pub fn ledger_folder(state: &Path) -> PathBuf {
    std::env::var_os(LEDGER).map_or_else(|| state.join("ledger"), PathBuf::from)
}

/// The fixed folder of a slot.
pub fn slot_folder(state: &Path, pool: &str, n: u32) -> PathBuf {
    // Names of pools may have slashes; folders may not.
    state.join("slots").join(pool.replace('/', "%")).join(n.to_string())
}

/// The ledger's name for a slot's folder: one user at a time, whoever asks.
pub fn slot_name(folder: &Path) -> String {
    format!("slot:{}", folder.display())
}

fn one(name: String) -> BTreeSet<String> {
    BTreeSet::from([name])
}
