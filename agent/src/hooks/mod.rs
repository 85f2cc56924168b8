//! The guard where edits, commits and pushes happen: in git's hooks and in the
//! settings of agent programs.
//!
//! [`script`] and [`settings`] say what a file is to hold, from what it holds now;
//! [`Plan`] is the list of changes, which is shown before it is carried out. A
//! file that somebody changed in between stops the plan. Not here: what the hooks
//! decide ([`crate::guard`]), and where git keeps its hooks.

pub mod script;
pub mod settings;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;

/// The longest file that is looked at, in bytes: settings and hooks are small.
const MAX_FILE: u64 = 1 << 20;

/// Why a hook is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Both the hook and the one that it was chained to are somebody else's.
    #[error("{0} and {0}.before-molt are both hooks of others: merge them into one first")]
    TwoHooks(String),
    /// Somebody changed what was installed.
    #[error("{0} was changed after it was installed: move the change to {0}.before-molt first")]
    Edited(String),
    /// A settings file that is not as its program documents it.
    #[error("the settings do not read: {0}")]
    Settings(String),
}

/// How a hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Not there.
    Absent,
    /// There, for this program.
    Installed,
    /// There, for a program at another place or of another version.
    Outdated,
    /// Somebody else's, or changed since.
    Foreign,
}

/// One change of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Step {
    /// Writes a whole file.
    Write {
        /// The file.
        path: PathBuf,
        /// What it is to hold. A file of its user may have secrets, so it is not shown.
        #[serde(skip)]
        text: String,
        /// What is new in it.
        new: String,
        /// Its permissions.
        mode: u32,
        /// What it holds now, if it exists.
        #[serde(skip)]
        seen: Option<String>,
    },
    /// Gives a file another name, replacing what has that name.
    Rename {
        /// The name now.
        from: PathBuf,
        /// The name then.
        to: PathBuf,
        /// What is at the name then, if anything.
        #[serde(skip)]
        replaces: Option<String>,
    },
    /// Removes a file.
    Remove {
        /// The file.
        path: PathBuf,
        /// What it holds now.
        #[serde(skip)]
        seen: String,
    },
}

impl Step {
    /// The word for it and the file that it is about.
    #[must_use]
    pub fn shown(&self) -> (&'static str, String) {
        match self {
            Self::Write { path, .. } => ("write", path.display().to_string()),
            Self::Rename { from, to, .. } => {
                let to = to.file_name().unwrap_or_default().to_string_lossy();
                ("rename", format!("{} to {to}", from.display()))
            }
            Self::Remove { path, .. } => ("remove", path.display().to_string()),
        }
    }

    /// Does it, if the files are as they were when it was planned.
    fn carry_out(&self) -> Result<(), Error> {
        match self {
            Self::Write { path, text, mode, seen, .. } => {
                unchanged(path, seen.as_deref())?;
                replace(path, text, *mode).map_err(Error::file("write", path))
            }
            Self::Rename { from, to, replaces } => {
                unchanged(to, replaces.as_deref())?;
                fs::rename(from, to).map_err(Error::file("rename", from))
            }
            Self::Remove { path, seen } => {
                unchanged(path, Some(seen))?;
                fs::remove_file(path).map_err(Error::file("remove", path))
            }
        }
    }
}

/// Changes of files, in order. Each leaves a state that the same verb goes on from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Plan {
    /// The changes.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Carries out what is planned.
    pub fn carry_out(&self) -> Result<(), Error> {
        self.steps.iter().try_for_each(Step::carry_out)
    }
}

/// What `path` holds; `None` where nothing is there. Text that is not UTF-8 is read
/// as far as it is, which no file of ours equals.
pub fn read(path: &Path) -> Result<Option<String>, Error> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        // A link to nothing is something.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(path.is_symlink().then(String::new));
        }
        Err(error) => return Err(Error::file("look at", path)(error)),
    };
    if !found.is_file() || found.len() > MAX_FILE {
        let problem = format!("it is no file of at most {MAX_FILE} bytes");
        return Err(Error::file("read", path)(io::Error::other(problem)));
    }
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn unchanged(path: &Path, seen: Option<&str>) -> Result<(), Error> {
    if read(path)?.as_deref() == seen {
        return Ok(());
    }
    Err(Error::Precondition {
        problem: format!("{} changed meanwhile: run the same command again", path.display()),
    })
}

/// Replaces a file as a whole: it holds the old text or the new one at any moment.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("it is in no folder"))?;
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.molt-tmp", std::process::id()));
    let draft = folder.join(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&draft)?;
    file.write_all(text.as_bytes())?;
    // What the umask took away is part of the mode.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_meanwhile_is_not_written() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("settings.json");
        let step = Step::Write {
            path: path.clone(),
            text: "new".to_owned(),
            new: "new".to_owned(),
            mode: 0o644,
            seen: Some("old".to_owned()),
        };
        let plan = Plan { steps: vec![step] };
        fs::write(&path, "other").unwrap();
        assert_eq!(plan.carry_out().unwrap_err().exit().code(), 9);
        assert_eq!(fs::read_to_string(&path).unwrap(), "other");
        fs::write(&path, "old").unwrap();
        plan.carry_out().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "no draft is left");
    }
}
