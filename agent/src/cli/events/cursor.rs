//! How far a reader of events has come, kept over its calls and its death.
//!
//! A cursor is a file of the user, replaced as a whole after what it says was
//! printed, under a lock that the system lets go of at any death. Not here: what
//! is read after it.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use molt_domain::id::SessionId;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::run::folder::{Survives, read_json, replace_json};

/// The longest name, in bytes: it is a file's.
const LONGEST: usize = 64;

/// The most cursors of sessions that are kept of a fleet: the last ones that were moved.
const SESSIONS: usize = 64;

/// What the cursors of sessions are called first.
const OF_SESSIONS: &str = "ses_";

/// What a cursor is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct CursorName(String);

impl CursorName {
    /// That of a session, or of whoever has none.
    pub(super) fn own(session: Option<SessionId>) -> Self {
        Self(session.map_or_else(|| "nobody".to_owned(), |session| session.to_string()))
    }
}

impl FromStr for CursorName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        match text.chars().next() {
            None => Err("a cursor has a name".to_owned()),
            Some(first) if !first.is_ascii_alphanumeric() || !text.chars().all(part) => {
                Err("letters, digits, `-`, `_`, `.` and `@`, first a letter or digit".to_owned())
            }
            Some(_) if text.len() > LONGEST => Err(format!("at most {LONGEST} bytes")),
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for CursorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is in the file.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Kept {
    /// The last entry that was printed.
    after: u64,
}

/// A cursor, of this process alone for as long as the value is kept.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    after: Option<u64>,
    _lock: File,
}

impl Cursor {
    /// The cursor `name` among the entries of `fleet`, under the state folder `state`.
    pub(super) fn open(state: &Path, fleet: &str, name: &CursorName) -> Result<Self, Error> {
        let folder = state.join("cursors").join(fleet);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&folder).map_err(Error::file("create", &folder))?;
        let (path, lock) = (file(&folder, &name.0, "json"), file(&folder, &name.0, "lock"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let locked = options.open(&lock).map_err(Error::file("open", &lock))?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(Error::file("lock", &lock)(error)),
            Err(TryLockError::WouldBlock) => {
                let problem = format!("another process reads at cursor `{name}`: name another one");
                return Err(Error::Precondition { problem });
            }
        }
        let kept: Option<Kept> = read_json(&path)?;
        if kept.is_none() && name.0.starts_with(OF_SESSIONS) {
            forget(&folder)?;
        }
        Ok(Self { path, after: kept.map(|kept| kept.after), _lock: locked })
    }

    /// The last entry that was printed; `None` before the first.
    pub(super) fn after(&self) -> Option<u64> {
        self.after
    }

    /// Moves it behind the entry `after`, which was printed.
    pub(super) fn move_behind(&mut self, after: u64) -> Result<(), Error> {
        if self.after != Some(after) {
            replace_json(&self.path, &Kept { after }, 0o600, Survives::Programs)?;
            self.after = Some(after);
        }
        Ok(())
    }
}

/// Names may have dots, so an extension is added and never replaced.
fn file(folder: &Path, name: &str, extension: &str) -> PathBuf {
    folder.join(format!("{name}.{extension}"))
}

/// Removes the cursors of all but the sessions that read last.
fn forget(folder: &Path) -> Result<(), Error> {
    let mut moved = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let entry = entry.map_err(Error::file("list", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".json").filter(|it| it.starts_with(OF_SESSIONS)) {
            let written = entry.metadata().and_then(|file| file.modified());
            moved.push((written.map_err(Error::file("look at", &entry.path()))?, stem.to_owned()));
        }
    }
    moved.sort_by(|left, right| right.cmp(left));
    for (_, stem) in moved.into_iter().skip(SESSIONS) {
        for path in ["json", "lock"].map(|extension| file(folder, &stem, extension)) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::file("remove", &path)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> CursorName {
        name.parse().unwrap()
    }

    #[test]
    fn it_is_where_it_was_left_and_of_one_fleet() {
        let state = tempfile::tempdir().unwrap();
        let open = |fleet: &str, name: &str| Cursor::open(state.path(), fleet, &named(name));
        let mut cursor = open("f1", "notes.v1").unwrap();
        assert_eq!(cursor.after(), None);
        cursor.move_behind(7).unwrap();
        drop(cursor);
        assert_eq!(open("f1", "notes.v1").unwrap().after(), Some(7));
        assert_eq!(open("f1", "notes.v2").unwrap().after(), None, "a dot is part of the name");
        assert_eq!(open("f2", "notes.v1").unwrap().after(), None);
    }

    #[test]
    fn two_readers_never_share_one() {
        let state = tempfile::tempdir().unwrap();
        let first = Cursor::open(state.path(), "f", &named("notes")).unwrap();
        let second = Cursor::open(state.path(), "f", &named("notes")).unwrap_err();
        assert_eq!(second.exit().code(), 9, "{second}");
        drop(first);
        Cursor::open(state.path(), "f", &named("notes")).unwrap();
    }

    #[test]
    fn a_name_stays_in_its_folder() {
        for wrong in ["", ".", "../x", "a/b", "-x", "a b", &"x".repeat(LONGEST + 1)] {
            assert!(wrong.parse::<CursorName>().is_err(), "{wrong}");
        }
        assert_eq!(named("codex-3@build2").to_string(), "codex-3@build2");
    }

    #[test]
    fn sessions_do_not_leave_cursors_without_end() {
        let state = tempfile::tempdir().unwrap();
        for session in 1..=SESSIONS as u64 + 9 {
            let name = CursorName::own(Some(SessionId::from_counter(session)));
            Cursor::open(state.path(), "f", &name).unwrap().move_behind(session).unwrap();
        }
        Cursor::open(state.path(), "f", &named("notes")).unwrap().move_behind(1).unwrap();
        let folder = state.path().join("cursors/f");
        let files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        let kept = files.iter().filter(|path| path.extension().is_some_and(|it| it == "json"));
        assert_eq!(kept.count(), SESSIONS + 2, "the last ones, the newest and the named one");
    }
}
