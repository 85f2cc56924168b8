//! What a run holds, as files that outlive the wrapper.
//!
//! `hold.json` in a run's folder says what is to be given back when the run is
//! over. Before there is a run, `<state>/places/*.place.json` says which place in
//! a line, or which grant, the wrapper has. Whoever finds the wrapper dead gives
//! it back from there. Not here: taking it (`acquire`), and requests that are
//! not answered yet (`ask`).

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::gate::Class;
use molt_domain::id::{HoldId, SessionId};
use molt_domain::name::HostName;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::artifacts;
use crate::client::Address;
use crate::clock::Millis;
use crate::error::Error;
use crate::gates::class_of;
use crate::run::folder::{Survives, read_json, replace_json};
use crate::run::sources::Outcome;
use crate::run::{ExitRecord, FileError, ProcessIdentity, RunFolder, RunId};
use crate::session::Record;

/// What the reason of a stop begins with when what the run had was lost.
pub(crate) const LOST: &str = "lost:";

/// How long somebody who cannot be seen may be between making a run's folder and starting its
/// supervisor: what lies between is files and a fork. It is short, since a run that nobody goes on
/// making (its disk was full) keeps every other command of its session waiting so long.
const MAKING: Duration = Duration::from_secs(5);

/// The file that says that a run's hold was given back.
const GIVEN_BACK: &str = "given-back";

/// What a run holds at the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub hold: HoldId,
    /// Of what.
    pub of: Of,
    /// The session that it was granted to.
    pub session: SessionId,
    /// What that session is called.
    pub holder: String,
    /// The grant's number.
    pub fence: String,
    /// The coordinators that granted it.
    pub coordinator: Vec<Address>,
    /// The host that it was granted on.
    pub host: HostName,
    /// The wrapper, which gives it back if it lives.
    pub wrapper: ProcessIdentity,
}

/// What can be held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Of {
    /// A lock of fleet reach: its run ends when the session may be lost.
    Lock {
        /// The lock.
        lock: String,
    },
    /// A slot of this machine: silence of the coordinator changes nothing.
    Slot {
        /// The pool.
        pool: String,
        /// Which slot.
        slot: u32,
    },
    /// A build that others wait for.
    Build {
        /// What is built.
        name: String,
        /// From what.
        fingerprint: String,
        /// How.
        profile: String,
        /// Where its artifacts are.
        place: String,
        /// The artifacts, absolute, in the order in which they were named.
        artifacts: Vec<PathBuf>,
        /// The folder that gets copies of them, if the place is one.
        store: Option<PathBuf>,
    },
}

impl Of {
    /// Whether what is held may go to somebody else while this host is silent.
    pub fn is_of_fleet_reach(&self) -> bool {
        matches!(self, Self::Lock { .. })
    }
}

impl Hold {
    /// What the run in `folder` holds, if it holds anything.
    pub fn read(folder: &RunFolder) -> Result<Option<Self>, FileError> {
        read_json(&path(folder))
    }

    pub(super) fn write(&self, folder: &RunFolder) -> Result<(), FileError> {
        replace_json(&path(folder), self, 0o600, Survives::Machine)
    }

    /// Whether what the run in `folder` held was given back, as far as is written down.
    pub fn is_given_back(folder: &RunFolder) -> bool {
        folder.path().join(GIVEN_BACK).exists()
    }

    /// Writes down that it was given back.
    pub fn mark_given_back(folder: &RunFolder) -> Result<(), FileError> {
        let path = folder.path().join(GIVEN_BACK);
        std::fs::File::create(&path).map(drop).map_err(FileError::when("write", &path))
    }

    /// The command that gives it back after the run ended as `record` says.
    /// Copies the artifacts of a build that passed into its store. One whose tree
    /// changed meanwhile judged no tree that has a name, and is nobody else's.
    pub fn end(&self, record: &ExitRecord) -> Result<Verb, FileError> {
        let hold = self.hold.to_string();
        let Of::Build { artifacts, store, .. } = &self.of else {
            return Ok(Verb::ReleaseHold(v1::ReleaseHold { hold, gone: record.group_gone }));
        };
        let mut class = class_of(record);
        if nobody_elses(record).is_some() {
            class = Class::Infra;
        }
        let mut digest = String::new();
        if class == Class::Passed && !artifacts.is_empty() {
            match artifacts::digest(artifacts)? {
                Some(found) => digest = found,
                // It ended well and made nothing: that is no build to share.
                None => class = Class::Vacuous,
            }
            if let (Some(store), false) = (store, digest.is_empty()) {
                artifacts::keep(store, &digest, artifacts)?;
            }
        }
        Ok(Verb::EndBuild(v1::EndBuild { hold, class: class.to_string(), artifacts: digest }))
    }
}

/// Why a build's end is shared with nobody although it came to one: its tree was watched,
/// and is not known to be the one that it is named after.
pub(super) fn nobody_elses(record: &ExitRecord) -> Option<String> {
    let judged = !class_of(record).is_about_the_host();
    record.sources.as_ref().and_then(Outcome::doubt).filter(|_| judged)
}

/// Whether somebody may be between making the run's folder and starting its
/// supervisor, when the folder was first seen without one `waited` ago. Not even its
/// specification is there at first. A living wrapper is one who may, however long it takes.
pub(crate) fn is_being_made(folder: &RunFolder, waited: Duration) -> bool {
    let wrapper_lives = || {
        let hold = Hold::read(folder).ok().flatten();
        hold.is_some_and(|hold| hold.wrapper.is_alive().unwrap_or(true))
    };
    matches!(folder.supervisor(), Ok(None)) && (waited < MAKING || wrapper_lives())
}

/// What a run is waited for to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// To get a supervisor.
    Begin,
    /// To be given back by its wrapper.
    Return,
}

/// Since when runs are waited for: by the clock that goes on while the machine sleeps and that
/// nobody sets. The times of files are of another clock. A process that begins waits anew.
#[derive(Debug, Default)]
pub(crate) struct Waits(BTreeMap<RunId, (Next, Millis)>);

impl Waits {
    /// How long `run` has been waited for to do this, at `now`; zero when this is the first look.
    pub(crate) fn waited(&mut self, run: &RunId, next: Next, now: Millis) -> Duration {
        let (known, since) = self.0.entry(run.clone()).or_insert((next, now));
        if *known != next {
            (*known, *since) = (next, now);
        }
        since.until(now)
    }

    /// Forgets the runs that are not waited for any more.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&RunId) -> bool) {
        self.0.retain(|run, _| wanted(run));
    }
}

fn path(folder: &RunFolder) -> PathBuf {
    folder.path().join("hold.json")
}

/// The name of the one run that uses the hold `id` of the session `record`. The
/// session's secret makes it differ from a hold of the same id of another fleet.
pub(crate) fn run_id(of: &str, id: HoldId, record: &Record) -> Result<RunId, Error> {
    let unique = blake3::hash(format!("{id} {}", record.secret.digest()).as_bytes()).to_hex();
    let name = format!("{of}-{id}-{}", &unique[..8]);
    name.parse().map_err(|error| Error::bug(format!("a run's name: {error}")))
}

/// What a wrapper has before its run has a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The hold that it is, or will be.
    pub hold: HoldId,
    /// The run that will use it.
    pub run: RunId,
    /// Whose coordinators.
    pub coordinator: Vec<Address>,
    /// The host that it is for.
    pub host: HostName,
    /// Who waits.
    pub wrapper: ProcessIdentity,
}

const SUFFIX: &str = ".place.json";

impl Place {
    fn file(&self, state: &Path) -> PathBuf {
        places(state).join(format!("{}.{}{SUFFIX}", self.run, self.wrapper.pid))
    }

    /// Writes down that the wrapper has it.
    pub(super) fn write(&self, state: &Path) -> Result<(), FileError> {
        write(state, &self.file(state), self)
    }

    /// Forgets it: it was given back, or its run has a folder.
    pub fn forget(&self, state: &Path) -> Result<(), FileError> {
        forget(&self.file(state))
    }

    /// All that are written down under the state folder `state`.
    pub fn all(state: &Path) -> Result<Vec<Self>, FileError> {
        all_of(state, SUFFIX)
    }
}

/// The folder of what wrappers have before they have a run.
pub(super) fn places(state: &Path) -> PathBuf {
    state.join("places")
}

pub(super) fn write(state: &Path, path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let folder = places(state);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&folder).map_err(FileError::when("create", &folder))?;
    replace_json(path, value, 0o600, Survives::Machine)
}

pub(super) fn forget(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::when("remove", path)(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn all_of<T: DeserializeOwned>(state: &Path, suffix: &str) -> Result<Vec<T>, FileError> {
    let folder = places(state);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::when("list", &folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(FileError::when("list", &folder))?.path();
        if path.to_string_lossy().ends_with(suffix) {
            // One that was forgotten between the two looks is none.
            found.extend(read_json::<T>(&path)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::run::record::{Ending, Moment};
    use crate::run::{Argv, RunSpec, Status};

    const LATER: Duration = Duration::from_secs(90);

    fn build(made: &Path) -> Hold {
        let word = |text: &str| text.to_owned();
        Hold {
            hold: HoldId::from_counter(1),
            of: Of::Build {
                name: word("app"),
                fingerprint: word("aa"),
                profile: word("dev"),
                place: word("h1=all"),
                artifacts: vec![made.join("out")],
                store: Some(made.join("store")),
            },
            session: SessionId::from_counter(2),
            holder: word("ann"),
            fence: word("1.1"),
            coordinator: Vec::new(),
            host: "h1".parse().unwrap(),
            wrapper: ProcessIdentity::own().unwrap(),
        }
    }

    #[test]
    fn what_was_built_of_a_tree_that_changed_is_kept_for_nobody() {
        let made = tempfile::tempdir().unwrap();
        std::fs::write(made.path().join("out"), "made").unwrap();
        let argv = Argv::try_from(vec!["true".to_owned()]).unwrap();
        let phase = "build".parse().unwrap();
        let spec = RunSpec::new("one".parse().unwrap(), argv, "/".into(), "/l".into(), phase);
        let same = || Outcome::Same { state: None };
        let changed = || Outcome::Changed { state: None, paths: vec!["a".to_owned()], count: 1 };
        let unknown = || Outcome::Unknown { reason: "no git".to_owned() };
        let table = [
            (Status::Exited(0), Some(changed()), "infra", false),
            (Status::Exited(0), Some(unknown()), "infra", false),
            (Status::Exited(3), Some(changed()), "infra", false),
            (Status::Exited(3), Some(same()), "failed", false),
            (Status::Exited(143), Some(changed()), "killed", false),
            // The caller said what it is built from.
            (Status::Exited(0), None, "passed", true),
            (Status::Exited(0), Some(same()), "passed", true),
        ];
        for (status, sources, class, kept) in table {
            let ending = Ending { status, class: crate::run::Class::Passed, by: None };
            let mut record = ExitRecord::new(&spec, &Moment::now(), &Moment::now(), ending);
            record.sources = sources;
            let verb = build(made.path()).end(&record).unwrap();
            let Verb::EndBuild(end) = verb else { panic!("{verb:?}") };
            let store = made.path().join("store");
            assert_eq!((end.class.as_str(), store.exists()), (class, kept), "{record:?}");
            assert_eq!(end.artifacts.is_empty(), !kept, "{record:?}");
            drop(std::fs::remove_dir_all(store));
        }
    }

    #[test]
    fn a_wait_is_counted_from_the_first_look() {
        let mut waits = Waits::default();
        let (one, two): (RunId, RunId) = ("one".parse().unwrap(), "two".parse().unwrap());
        let at = |seconds: u64| Millis::since_boot(seconds * 1000);
        assert_eq!(waits.waited(&one, Next::Begin, at(100)), Duration::ZERO);
        assert_eq!(waits.waited(&one, Next::Begin, at(190)), LATER);
        assert_eq!(waits.waited(&two, Next::Begin, at(190)), Duration::ZERO);
        assert_eq!(waits.waited(&one, Next::Return, at(195)), Duration::ZERO, "another wait");
        assert_eq!(waits.waited(&one, Next::Return, at(285)), LATER);
        waits.retain(|run| *run == two);
        assert_eq!(waits.waited(&one, Next::Return, at(300)), Duration::ZERO);
    }

    #[test]
    fn the_clock_on_the_wall_does_not_age_a_run() {
        let state = tempfile::tempdir().unwrap();
        let argv = Argv::try_from(vec!["true".to_owned()]).unwrap();
        let log = state.path().join("log");
        let phase = "run".parse().unwrap();
        let spec = RunSpec::new("one".parse().unwrap(), argv, state.path().into(), log, phase);
        let folder = RunFolder::create(state.path(), &spec).unwrap();
        let spec = std::fs::File::open(folder.path().join("spec.json")).unwrap();
        // As if the clock had been set forward, and then back.
        for written in [SystemTime::UNIX_EPOCH, crate::clock::wall() + 40 * LATER] {
            spec.set_modified(written).unwrap();
            assert!(is_being_made(&folder, Duration::from_secs(1)), "{written:?}");
            assert!(!is_being_made(&folder, LATER), "{written:?}");
        }
    }
}
