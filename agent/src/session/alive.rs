//! What keeps a session alive: its host's daemon, which finds it here.
//!
//! A registration is `<state>/sessions/<session>.json`. The daemon renews the
//! sessions that are registered for its host and whose roots live. Not here:
//! the renewals themselves.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use molt_domain::id::SessionId;
use molt_domain::name::{HostName, RepoName};
use serde::{Deserialize, Serialize};

use super::{Record, Root, SessionFile};
use crate::client::Address;
use crate::error::Error;
use crate::run::folder::{Survives, read_json, replace_json};

/// A session that the host's daemon is to renew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The session.
    pub session: SessionId,
    /// The repository that it works on.
    pub repo: RepoName,
    /// The host whose daemon renews it.
    pub host: HostName,
    /// The epoch of its last join or resume.
    pub epoch: u64,
    /// Whose life is its life.
    pub root: Root,
    /// Its session file.
    pub file: PathBuf,
    /// Where its coordinator is.
    pub coordinator: Vec<Address>,
}

impl Registration {
    /// The registration of the session that `file` says.
    #[must_use]
    pub fn new(record: &Record, file: &SessionFile, coordinator: &[Address]) -> Self {
        Self {
            session: record.id,
            repo: record.repo.clone(),
            host: record.host.clone(),
            epoch: record.epoch,
            root: record.root.clone(),
            file: file.path().to_owned(),
            coordinator: coordinator.to_vec(),
        }
    }
}

/// Makes sure that somebody keeps the session alive. Every verb that has a
/// session calls it, so it writes only what has changed.
pub fn keep(state: &Path, registration: &Registration) -> Result<(), Error> {
    let path = place(state, registration.session);
    if read_json(&path).ok().flatten().as_ref() == Some(registration) {
        return Ok(());
    }
    let folder = folder(state);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&folder).map_err(Error::file("create", &folder))?;
    Ok(replace_json(&path, registration, 0o600, Survives::Programs)?)
}

/// Forgets a session that ended or parked: nobody is to renew it.
pub fn forget(state: &Path, session: SessionId) -> Result<(), Error> {
    let path = place(state, session);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", &path)(error))
        }
        _ => Ok(()),
    }
}

/// The sessions that are registered under the state folder `state`.
pub fn registered(state: &Path) -> Result<Vec<Registration>, Error> {
    let mut found = Vec::new();
    for file in SessionFile::all(&folder(state))? {
        // One that was forgotten between the two looks is none.
        found.extend(read_json(file.path())?);
    }
    Ok(found)
}

fn folder(state: &Path) -> PathBuf {
    state.join("sessions")
}

fn place(state: &Path, session: SessionId) -> PathBuf {
    folder(state).join(format!("{session}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::file::tests::record;

    #[test]
    fn what_is_kept_is_registered_once() {
        let scratch = tempfile::tempdir().unwrap();
        let state = scratch.path().join("state");
        assert_eq!(registered(&state).unwrap(), []);
        let file = SessionFile::at("/w/.git/molt/sessions/use.json");
        let address: Address = "build2".parse().unwrap();
        let mut registration = Registration::new(&record(Root::Use), &file, &[address]);
        keep(&state, &registration).unwrap();
        assert_eq!(registered(&state).unwrap(), [registration.clone()]);

        let path = place(&state, registration.session);
        let written = |path: &Path| std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
        let before = written(&path);
        keep(&state, &registration).unwrap();
        assert_eq!(written(&path), before, "nothing changed, nothing is written");

        registration.epoch = 2;
        keep(&state, &registration).unwrap();
        assert_eq!(registered(&state).unwrap(), [registration.clone()]);
        forget(&state, registration.session).unwrap();
        forget(&state, registration.session).unwrap();
        assert_eq!(registered(&state).unwrap(), []);
    }
}
