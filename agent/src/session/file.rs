//! The file that makes a session's calls its own.
//!
//! It is readable by its user alone, replaced as a whole, and changed under an
//! operating system lock beside it, so that commands that run side by side are
//! one session with one sequence of numbers.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::id::SessionId;
use molt_domain::name::{AgentName, HostName, RepoName};
use molt_proto::v1;
use serde::{Deserialize, Serialize};

use super::number::{Earlier, Numbers};
use super::{Root, Secret};
use crate::clock;
use crate::error::Error;
use crate::run::ProcessIdentity;
use crate::run::folder::{Survives, read_json, replace_json};

/// How long another command of the same session may keep the lock: it joins
/// under it, which takes a call to the coordinator.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// What lies between two tries for a lock that is taken.
const BETWEEN_TRIES: Duration = Duration::from_millis(4);

/// What a session file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The session.
    pub id: SessionId,
    /// What it is called; the coordinator made it unique.
    pub name: AgentName,
    /// The epoch of its last join or resume.
    pub epoch: u64,
    /// What proves it.
    pub secret: Secret,
    /// The repository that it works on.
    pub repo: RepoName,
    /// The host whose daemon renews it.
    pub host: HostName,
    /// Whose life is its life.
    pub root: Root,
    /// The numbers of its requests.
    #[serde(flatten)]
    numbers: Numbers,
}

impl Record {
    /// The record of a session that has just begun.
    #[must_use]
    pub fn new(
        id: SessionId,
        (name, epoch): (AgentName, u64),
        secret: Secret,
        (repo, host): (RepoName, HostName),
        root: Root,
    ) -> Self {
        Self { id, name, epoch, secret, repo, host, root, numbers: Numbers::default() }
    }

    /// The same session under the name and epoch of a resume, for another root.
    #[must_use]
    pub fn resumed(self, (name, epoch): (AgentName, u64), root: Root) -> Self {
        Self { name, epoch, root, ..self }
    }

    /// What its calls show.
    #[must_use]
    pub fn caller(&self) -> v1::Caller {
        let credentials = v1::Credentials {
            session: self.id.to_string(),
            secret: self.secret.digest(),
            epoch: self.epoch,
        };
        v1::Caller { who: Some(v1::caller::Who::Session(credentials)) }
    }
}

/// A session file that may or may not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFile {
    path: PathBuf,
}

/// The right to change a session file, for as long as it is kept.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl SessionFile {
    /// The session file `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The session files of the folder `folder`.
    pub fn all(folder: &Path) -> Result<Vec<Self>, Error> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::file("list", folder))?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::file("list", folder))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                files.push(Self { path });
            }
        }
        Ok(files)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says, if it exists.
    pub fn read(&self) -> Result<Option<Record>, Error> {
        Ok(read_json(&self.path)?)
    }

    /// Waits for the right to change it, within bounds.
    pub fn lock(&self) -> Result<Lock, Error> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(Error::file("create", folder))?;
        }
        let path = self.path.with_extension("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(Error::file("open", &path))?;
        let deadline = clock::boottime().plus(LOCK_PATIENCE);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { path: self.path.clone(), _file: file }),
                Err(TryLockError::Error(error)) => return Err(Error::file("lock", &path)(error)),
                Err(TryLockError::WouldBlock) if clock::boottime() < deadline => {
                    std::thread::sleep(BETWEEN_TRIES);
                }
                Err(TryLockError::WouldBlock) => {
                    let path = path.display();
                    let problem = format!("another command of this session keeps {path} locked");
                    return Err(Error::unavailable(problem));
                }
            }
        }
    }

    /// Writes down that the request with `digest` is about to be sent, and says
    /// its number and the session that sends it.
    pub fn begin(&self, digest: &str, earlier: Earlier) -> Result<(u64, Record), Error> {
        let lock = self.lock()?;
        let mut record = lock.read()?.ok_or_else(|| self.gone())?;
        let unseen = |error| Error::bug(format!("cannot see processes: {error}"));
        let asker = ProcessIdentity::own().map_err(unseen)?;
        // One whose life cannot be seen is taken for alive: its number stays its own.
        let alive = |asker: &ProcessIdentity| asker.is_alive().unwrap_or(true);
        let number = record.numbers.take(digest, earlier, asker, alive);
        lock.write(&record)?;
        Ok((number, record))
    }

    /// Takes over the request `number` of a process that has died, so that no command asks it
    /// again meanwhile; `false` where one does already.
    pub fn adopt(&self, number: u64) -> Result<bool, Error> {
        let lock = self.lock()?;
        let Some(mut record) = lock.read()? else { return Ok(true) };
        let unseen = |error| Error::bug(format!("cannot see processes: {error}"));
        let asker = ProcessIdentity::own().map_err(unseen)?;
        let alive = |asker: &ProcessIdentity| asker.is_alive().unwrap_or(true);
        let adopted = record.numbers.adopt(number, asker, alive);
        lock.write(&record)?;
        Ok(adopted)
    }

    /// Drops the request `number`: its answer was definite.
    pub fn settle(&self, number: u64) -> Result<(), Error> {
        let lock = self.lock()?;
        let Some(mut record) = lock.read()? else { return Ok(()) };
        record.numbers.settle(number);
        lock.write(&record)
    }

    /// Drops the request `number`, which reached nobody, unless an earlier try may have been
    /// carried out; whether it is kept for that.
    pub fn unsent(&self, number: u64) -> Result<bool, Error> {
        let lock = self.lock()?;
        let Some(mut record) = lock.read()? else { return Ok(false) };
        let kept = record.numbers.unsent(number);
        lock.write(&record)?;
        Ok(kept)
    }

    fn gone(&self) -> Error {
        Error::Precondition {
            problem: format!("{} is gone: its session was left", self.path.display()),
        }
    }
}

impl Lock {
    /// What the file says, if it exists.
    pub fn read(&self) -> Result<Option<Record>, Error> {
        Ok(read_json(&self.path)?)
    }

    /// Replaces the file.
    pub fn write(&self, record: &Record) -> Result<(), Error> {
        Ok(replace_json(&self.path, record, 0o600, Survives::Machine)?)
    }

    /// Removes the file. Its lock stays, so that nobody locks another one.
    pub fn remove(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    pub(crate) fn record(root: Root) -> Record {
        Record::new(
            SessionId::from_counter(7),
            ("codex-3@build2".parse().unwrap(), 1),
            Secret::fresh().unwrap(),
            ("main".parse().unwrap(), "build2".parse().unwrap()),
            root,
        )
    }

    fn written(folder: &Path) -> SessionFile {
        let file = SessionFile::at(folder.join("molt/sessions/use.json"));
        file.lock().unwrap().write(&record(Root::Use)).unwrap();
        file
    }

    #[test]
    fn it_is_for_its_user_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let file = written(scratch.path());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
        file.begin("claim", Earlier::Dropped).unwrap();
        assert_eq!(mode(file.path()), 0o600, "after a change too");
    }

    #[test]
    fn it_reads_back_and_shows_only_a_digest() {
        let scratch = tempfile::tempdir().unwrap();
        let file = written(scratch.path());
        let record = file.read().unwrap().unwrap();
        let all = SessionFile::all(file.path().parent().unwrap()).unwrap();
        assert_eq!(all, std::slice::from_ref(&file));
        let kept = String::from(record.secret.clone());
        assert!(!format!("{:?}", record.caller()).contains(&kept));
        assert!(!format!("{record:?}").contains(&kept));
        file.lock().unwrap().remove().unwrap();
        assert_eq!(file.read().unwrap(), None);
        assert_eq!(file.begin("claim", Earlier::Dropped).unwrap_err().exit().code(), 9);
    }

    #[test]
    fn a_number_is_on_disk_before_its_request_is_sent() {
        let scratch = tempfile::tempdir().unwrap();
        let file = written(scratch.path());
        let (number, _) = file.begin("claim", Earlier::Dropped).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.contains(&format!("\"number\": {number}")), "{text}");
        assert_eq!(
            file.begin("claim", Earlier::Dropped).unwrap().0,
            number,
            "nobody said what became of it"
        );
        file.settle(number).unwrap();
        assert_ne!(file.begin("claim", Earlier::Dropped).unwrap().0, number);
    }

    /// Plays one of several processes that use one session, where the test asks for it.
    #[test]
    fn asker() {
        let Some(path) = std::env::var_os("MOLT_TEST_ASKER") else { return };
        let file = SessionFile::at(PathBuf::from(path));
        for n in 0..20 {
            let (number, _) = file.begin(&format!("claim {n}"), Earlier::Dropped).unwrap();
            println!("\nnumber={number}");
            file.settle(number).unwrap();
        }
    }

    #[test]
    fn processes_side_by_side_never_share_a_number() {
        let scratch = tempfile::tempdir().unwrap();
        let file = written(scratch.path());
        let ask = || {
            Command::new(std::env::current_exe().unwrap())
                .args(["session::file::tests::asker", "--exact", "--nocapture"])
                .env("MOLT_TEST_ASKER", file.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let askers: Vec<_> = (0..5).map(|_| ask()).collect();
        let mut numbers = Vec::new();
        for asker in askers {
            let output = asker.wait_with_output().unwrap();
            assert!(output.status.success());
            let text = String::from_utf8(output.stdout).unwrap();
            let found = text.lines().filter_map(|line| line.strip_prefix("number="));
            numbers.extend(found.map(|number| number.parse::<u64>().unwrap()));
        }
        assert_eq!(numbers.len(), 100);
        assert_eq!(numbers.iter().copied().collect::<BTreeSet<u64>>().len(), 100, "{numbers:?}");
    }
}
