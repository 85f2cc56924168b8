//! The one place per host, state folder and fleet that a daemon takes.
//!
//! Whoever holds the system's lock on its file is the daemon; the system lets go
//! of it at any death.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::name::HostName;
use serde::{Deserialize, Serialize};

use crate::client::Address;
use crate::clock;
use crate::error::Error;
use crate::run::ProcessIdentity;
use crate::run::folder::{Survives, read_json, replace_json};

/// Others look at the lock for an instant, so one that is taken is tried again.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// How long a daemon that was only missed may take to make way.
const MAKING_WAY: Duration = Duration::from_secs(20);

/// The files of one daemon's place.
#[derive(Debug, Clone)]
pub(super) struct Office {
    stem: PathBuf,
}

/// The right to be the daemon, for as long as it is kept.
#[derive(Debug)]
pub(super) struct Seat {
    _lock: File,
}

/// Who has the place, for people.
#[derive(Debug, Serialize, Deserialize)]
struct Sign {
    daemon: ProcessIdentity,
    host: HostName,
    coordinator: Vec<Address>,
    jobs: u32,
}

impl Office {
    pub(super) fn new(state: &Path, host: &HostName, coordinator: &[Address]) -> Self {
        let key = format!("{host} {}", sorted(coordinator).join(","));
        let digest = blake3::hash(key.as_bytes()).to_hex();
        Self { stem: state.join("daemon").join(&digest[..16]) }
    }

    /// Where what the daemon learned last is.
    pub(super) fn beat(&self) -> PathBuf {
        self.stem.with_extension("beat.json")
    }

    /// Whether a daemon has it now.
    pub(super) fn is_taken(&self) -> Result<bool, Error> {
        let path = self.stem.with_extension("lock");
        match self.lock()?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error)),
        }
    }

    /// Takes it; `None` when another daemon has it.
    pub(super) fn take(&self) -> Result<Option<Seat>, Error> {
        let path = self.stem.with_extension("lock");
        let lock = self.lock()?;
        for _ in 0..TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(Seat { _lock: lock })),
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::Error(error)) => return Err(Error::file("lock", &path)(error)),
            }
        }
        Ok(None)
    }

    /// Asks a daemon that was only missed to make way, and takes its place.
    pub(super) fn claim(&self) -> Result<Option<Seat>, Error> {
        if let Some(seat) = self.take()? {
            return Ok(Some(seat));
        }
        let wish = self.wish();
        File::create(&wish).map_err(Error::file("write", &wish))?;
        let end = clock::boottime().plus(MAKING_WAY);
        let seat = loop {
            match self.take()? {
                None if self.is_wished()? && clock::boottime() < end => {}
                seat => break seat,
            }
        };
        self.deny()?;
        Ok(seat)
    }

    /// Whether it is still there: a state folder that was removed has no daemon.
    pub(super) fn exists(&self) -> bool {
        self.stem.with_extension("lock").exists()
    }

    /// Whether somebody waits for it. A daemon that stays says no to them.
    pub(super) fn is_wished(&self) -> Result<bool, Error> {
        let wish = self.wish();
        wish.try_exists().map_err(Error::file("look for", &wish))
    }

    /// Tells who waits that there is nothing to wait for.
    pub(super) fn deny(&self) -> Result<(), Error> {
        remove(&self.wish())
    }

    /// Says who has it.
    pub(super) fn sign(&self, host: &HostName, at: &[Address], jobs: u32) -> Result<(), Error> {
        let path = self.stem.with_extension("pid.json");
        let own = ProcessIdentity::own().map_err(Error::file("look at the process for", &path))?;
        let sign = Sign { daemon: own, host: host.clone(), coordinator: at.to_vec(), jobs };
        Ok(replace_json(&path, &sign, 0o600, Survives::Programs)?)
    }

    /// Says that the coordinator does not take the daemon's word, for the verbs.
    pub(super) fn complain(&self, said: &str) -> Result<(), Error> {
        Ok(replace_json(&self.complaint_file(), &said, 0o600, Survives::Programs)?)
    }

    /// Takes back what it complained of.
    pub(super) fn withdraw(&self) -> Result<(), Error> {
        remove(&self.complaint_file())
    }

    /// What the coordinator says to the daemon, when it does not take its word.
    pub(super) fn complaint(&self) -> Result<Option<String>, Error> {
        Ok(read_json(&self.complaint_file())?)
    }

    /// The pid of whoever has it, for people.
    pub(super) fn holder(&self) -> Result<Option<i32>, Error> {
        let sign: Option<Sign> = read_json(&self.stem.with_extension("pid.json"))?;
        Ok(sign.map(|sign| sign.daemon.pid))
    }

    fn wish(&self) -> PathBuf {
        self.stem.with_extension("wish")
    }

    fn complaint_file(&self) -> PathBuf {
        self.stem.with_extension("refused.json")
    }

    fn lock(&self) -> Result<File, Error> {
        let path = self.stem.with_extension("lock");
        if let Some(folder) = path.parent() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(folder).map_err(Error::file("create", folder))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(&path).map_err(Error::file("open", &path))
    }
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Addresses in an order of their own: one fleet is one, however it is listed.
pub(super) fn sorted(addresses: &[Address]) -> Vec<String> {
    let mut places: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    places.sort();
    places.dedup();
    places
}

/// A file to write on at its end, made with its folder if it is missing.
pub(super) fn append(path: &Path) -> Result<File, Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    }
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map_err(Error::file("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office(state: &Path, host: &str, at: &[&str]) -> Office {
        let at: Vec<Address> = at.iter().map(|at| at.parse().unwrap()).collect();
        Office::new(state, &host.parse().unwrap(), &at)
    }

    #[test]
    fn one_daemon_per_host_and_fleet() {
        let state = tempfile::tempdir().unwrap();
        let first = office(state.path(), "h", &["a:1", "b:1"]);
        assert!(!first.is_taken().unwrap());
        let seat = first.take().unwrap().unwrap();
        assert!(first.is_taken().unwrap());
        let same = office(state.path(), "h", &["b:1", "a:1"]);
        assert!(same.take().unwrap().is_none(), "the order of the addresses is no matter");
        assert!(office(state.path(), "h2", &["a:1", "b:1"]).take().unwrap().is_some());
        assert!(office(state.path(), "h", &["c:1"]).take().unwrap().is_some());
        drop(seat);
        assert!(same.take().unwrap().is_some());
    }

    #[test]
    fn a_daemon_that_stays_is_not_waited_for() {
        let state = tempfile::tempdir().unwrap();
        let place = office(state.path(), "h", &["a:1"]);
        let _seat = place.take().unwrap().unwrap();
        std::thread::scope(|scope| {
            let wisher = scope.spawn(|| place.claim().unwrap().is_none());
            while !place.is_wished().unwrap() {
                std::thread::yield_now();
            }
            place.deny().unwrap();
            assert!(wisher.join().unwrap(), "it got what somebody else has");
        });
    }
}
