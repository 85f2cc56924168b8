//! The user that gates' jobs run as: who it is, whether this daemon may start
//! processes in its name, and which agents could have a hand in them.
//!
//! What a job finds is as good as the job is apart: a process of the same user
//! can change what another one does, and whoever has the daemon's own user, or
//! is root, can speak for the host. Not here: the folders that the jobs get
//! (`room`), and whose findings count, which the coordinator decides.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

use super::room::Room;
use crate::error::Error;
use crate::run::{RunUser, process};
use crate::session::Root;
use crate::session::alive::{self, Registration};

/// A user that jobs run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobUser {
    /// As it was named.
    pub name: String,
    /// Its numbers.
    pub ids: RunUser,
    /// Its home, if it has one.
    pub home: Option<PathBuf>,
}

impl JobUser {
    /// The user called `text`, or with that number. A number that nobody has is
    /// as good as a name: its group has the same number.
    pub fn find(text: &str) -> Result<Self, Error> {
        let unreadable = |error| Error::usage(format!("--job-user {text}: {error}"));
        let user = match text.parse::<u32>() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)).map_err(unreadable)?.ok_or(uid),
            Err(_) => match User::from_name(text).map_err(unreadable)? {
                Some(user) => Ok(user),
                None => return Err(Error::usage(format!("--job-user {text}: no such user"))),
            },
        };
        let (ids, home) = match user {
            Ok(user) => {
                let ids = RunUser { uid: user.uid.as_raw(), gid: user.gid.as_raw() };
                (ids, Some(user.dir))
            }
            Err(uid) => (RunUser { uid, gid: uid }, None),
        };
        let own =
            |path: &PathBuf| path.metadata().is_ok_and(|at| at.is_dir() && at.uid() == ids.uid);
        Ok(Self { name: text.to_owned(), ids, home: home.filter(own) })
    }

    /// That jobs of this user are apart from this daemon, and can be started in
    /// the state folder `state`.
    pub(super) fn check(&self, state: &Path) -> Result<(), Error> {
        let Self { name, ids: RunUser { uid, gid }, .. } = self;
        let wrong = |problem: String| Err(Error::usage(format!("--job-user {name}: {problem}")));
        if *uid == 0 {
            return wrong("root is no job user: it can do whatever the daemon can".to_owned());
        }
        if *uid == geteuid().as_raw() {
            return wrong("that is who this daemon is: name another user".to_owned());
        }
        if let Some(missing) = missing_powers() {
            return wrong(format!(
                "this daemon cannot start processes of another user without {missing}: run it as \
                 root, or let its unit give it these"
            ));
        }
        match barred(state, *uid, *gid) {
            Some(folder) => wrong(format!(
                "it may not enter {}: give --state a folder that it can reach",
                folder.display()
            )),
            None => Ok(()),
        }
    }

    /// The variables that make it at home in `room`: where it may keep things, and that the
    /// repository there may be read although somebody else owns it.
    pub(super) fn variables(&self, room: &Room) -> BTreeMap<String, String> {
        let home = self.home.clone().unwrap_or_else(|| room.home());
        let tree = room.tree();
        let variables = [
            ("HOME", home.display().to_string()),
            ("GIT_CONFIG_COUNT", "1".to_owned()),
            ("GIT_CONFIG_KEY_0", "safe.directory".to_owned()),
            ("GIT_CONFIG_VALUE_0", tree.display().to_string()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Why an agent may have a hand in what jobs of this user do, if one may.
    pub(super) fn shared(&self, state: &Path) -> Result<Option<String>, Error> {
        let shared = |known: &Registration| self.shared_with(known);
        Ok(alive::registered(state)?.iter().find_map(shared))
    }

    fn shared_with(&self, known: &Registration) -> Option<String> {
        let session = known.session;
        let uids = match uids(known) {
            Ok(uids) if uids.is_empty() => {
                return Some(format!("nobody knows which uid session {session} has"));
            }
            Ok(uids) => uids,
            Err(error) => return Some(format!("the uid of session {session} is unknown: {error}")),
        };
        uids.into_iter().find_map(|uid| match uid {
            uid if uid == self.ids.uid => {
                Some(format!("session {session} has uid {uid}, and so have the jobs"))
            }
            0 => Some(format!("session {session} is root's, who may do anything here")),
            uid if uid == geteuid().as_raw() => {
                Some(format!("session {session} has uid {uid}, and so has the host's daemon"))
            }
            _ => None,
        })
    }
}

/// The users of an agent: who owns its session file, and whose its root process is.
fn uids(known: &Registration) -> io::Result<Vec<u32>> {
    let mut uids = Vec::new();
    match known.file.symlink_metadata() {
        Ok(file) => uids.push(file.uid()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Root::Process(root) = &known.root {
        uids.extend(process::owner(root.pid)?);
    }
    Ok(uids)
}

/// What this process would need to start others for somebody else, to end them,
/// and to give them folders, as far as it does not have it.
#[cfg(target_os = "linux")]
fn missing_powers() -> Option<String> {
    use rustix::thread::{CapabilitySet, capabilities};

    let needed = [
        (CapabilitySet::SETUID, "CAP_SETUID"),
        (CapabilitySet::SETGID, "CAP_SETGID"),
        (CapabilitySet::KILL, "CAP_KILL"),
        (CapabilitySet::CHOWN, "CAP_CHOWN"),
        (CapabilitySet::FOWNER, "CAP_FOWNER"),
        (CapabilitySet::DAC_OVERRIDE, "CAP_DAC_OVERRIDE"),
    ];
    let has = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let missing = needed.iter().filter(|(one, _)| !has.contains(*one));
    let missing: Vec<&str> = missing.map(|(_, name)| *name).collect();
    (!missing.is_empty()).then(|| missing.join(" "))
}

#[cfg(not(target_os = "linux"))]
fn missing_powers() -> Option<String> {
    (!geteuid().is_root()).then(|| "root's powers".to_owned())
}

/// The first folder above `place` that a user may not pass through.
fn barred(place: &Path, uid: u32, gid: u32) -> Option<PathBuf> {
    let passes = |folder: &Path| {
        // One that is not there yet is made by the daemon.
        let Ok(found) = folder.metadata() else { return true };
        let bit = match (found.uid() == uid, found.gid() == gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        found.mode() & bit != 0
    };
    let above: Vec<&Path> = place.ancestors().skip(1).collect();
    above.into_iter().rev().find(|folder| !passes(folder)).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A number that no user of a test's machine has.
    const NOBODY: u32 = 48_611;

    fn nobody() -> JobUser {
        JobUser::find(&NOBODY.to_string()).unwrap()
    }

    #[test]
    fn a_user_has_a_name_or_a_number() {
        assert_eq!(nobody().ids, RunUser { uid: NOBODY, gid: NOBODY });
        assert_eq!(nobody().home, None);
        assert_eq!(JobUser::find("0").unwrap().ids, JobUser::find("root").unwrap().ids);
        let error = JobUser::find("no such user").unwrap_err().to_string();
        assert_eq!(error, "--job-user no such user: no such user");
    }

    #[test]
    fn who_could_do_what_the_daemon_does_is_no_job_user() {
        let state = tempfile::tempdir().unwrap();
        let refused = |text: &str| JobUser::find(text).unwrap().check(state.path()).unwrap_err();
        assert!(refused("root").to_string().contains("root is no job user"));
        let own = geteuid();
        if !own.is_root() {
            assert!(refused(&own.to_string()).to_string().contains("that is who this daemon is"));
            assert!(refused(&NOBODY.to_string()).to_string().contains("cannot start processes"));
        }
    }

    #[test]
    fn a_folder_that_is_closed_to_it_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let top = scratch.path().canonicalize().unwrap();
        let state = top.join("a/b");
        std::fs::create_dir_all(&state).unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&top, 0o711);
        set(&top.join("a"), 0o711);
        set(&state, 0o700);
        assert_eq!(barred(&state, NOBODY, NOBODY), None, "the last one is the daemon's to open");
        set(&top.join("a"), 0o700);
        assert_eq!(barred(&state, NOBODY, NOBODY), Some(top.join("a")));
        assert_eq!(barred(&state, geteuid().as_raw(), NOBODY), None);
    }
}
