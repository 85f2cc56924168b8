//! The folders that a job of another user gets, and nothing else of the daemon's.
//!
//! A room is `<state>/rooms/<uid>/<slot>/`: `tree` is the checkout, `target` and
//! `home` are the user's own. The repository in the tree stays the daemon's, so
//! no job can change what the next checkout is made from; the files around it
//! are the user's while a job runs. Before git works on them they are taken
//! back, folder by folder from the top: a process that an earlier job left
//! behind could otherwise swap one for a link while git, with the daemon's
//! powers, writes through it. Everything else below the state folder is closed.

use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, chmodat, chownat, fchmod, fchown, openat,
    statat,
};
use rustix::process::{Gid, Uid, geteuid};

use crate::run::{FileError, RunUser};

/// What all rooms are in.
const ROOMS: &str = "rooms";

/// Folders in folders at most: a tree of git's is never so deep.
const DEEPEST: u32 = 512;

/// What is done about each thing of a folder: the folder, its name there, what it is.
type Walk<'a> = &'a mut dyn FnMut(&OwnedFd, &CStr, &Stat) -> io::Result<()>;

/// The folders of the jobs of one user in one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Room {
    path: PathBuf,
    user: RunUser,
}

impl Room {
    /// The room that jobs of `user` have in the slot whose folder is `slot`.
    pub(super) fn of(state: &Path, slot: &Path, user: RunUser) -> Self {
        let slots = state.join("slots");
        let name = slot.strip_prefix(&slots).unwrap_or(slot).to_string_lossy();
        let name = name.trim_start_matches('/').replace('/', "-");
        Self { path: state.join(ROOMS).join(user.uid.to_string()).join(name), user }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the checkout is.
    pub(super) fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    /// Where the user may keep what it likes.
    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Makes the room, closes everything else below `state` to the user, and
    /// takes the tree back, so that git can work on it.
    pub(super) fn open(&self, state: &Path) -> Result<(), FileError> {
        self.make(state)?;
        let tree = self.tree();
        if !tree.exists() {
            return Ok(());
        }
        take_back(&tree).map_err(FileError::when("take back", &tree))
    }

    /// Gives the files of the tree to the user; the repository in it stays the
    /// daemon's, and is read by everybody who can get here.
    pub(super) fn hand_over(&self) -> Result<(), FileError> {
        let tree = self.tree();
        hand_over(&tree, self.user).map_err(FileError::when("hand over", &tree))
    }

    fn make(&self, state: &Path) -> Result<(), FileError> {
        shut(state)?;
        let rooms = state.join(ROOMS);
        folder(&rooms, Mode::RWXU | Mode::XGRP | Mode::XOTH, None)?;
        // Whoever is neither the user nor of its group gets no further.
        let (group, passed) = (Some(self.user.gid), Mode::RWXU | Mode::XGRP);
        if let Some(of_user) = self.path.parent() {
            folder(of_user, passed, group)?;
        }
        folder(&self.path, passed, group)?;
        for own in [self.path.join("target"), self.home()] {
            folder(&own, Mode::RWXU, None)?;
            let owner = (Some(uid(self.user.uid)), Some(gid(self.user.gid)));
            chownat(CWD, &own, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| FileError::when("give away", &own)(error.into()))?;
        }
        Ok(())
    }
}

/// Lets others pass through the state folder to the rooms, and nowhere else.
fn shut(state: &Path) -> Result<(), FileError> {
    let listed = FileError::when("list", state);
    for entry in std::fs::read_dir(state).map_err(listed)? {
        let path = entry.map_err(FileError::when("list", state))?.path();
        if path.file_name().is_some_and(|name| name == ROOMS) {
            continue;
        }
        match close(&path) {
            // A draft that has got its name meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            closed => closed.map_err(FileError::when("close", &path))?,
        }
    }
    let open = Permissions::from_mode(0o711);
    std::fs::set_permissions(state, open).map_err(FileError::when("open", state))
}

fn close(path: &Path) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    if found.is_symlink() || found.mode() & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(found.mode() & 0o700))
}

/// A folder of this daemon's with exactly this mode and group.
fn folder(path: &Path, mode: Mode, group: Option<u32>) -> Result<(), FileError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(FileError::when("create", path)(error));
        }
        _ => {}
    }
    let set = || -> io::Result<()> {
        let folder = open(CWD, path)?;
        fchown(&folder, None, group.map(gid))?;
        Ok(fchmod(&folder, mode)?)
    };
    set().map_err(FileError::when("prepare", path))
}

/// Makes every folder of a tree the daemon's alone, each before it looks into it: from then on
/// nobody else can put anything there.
fn take_back(tree: &Path) -> io::Result<()> {
    let top = open(CWD, tree)?;
    seize(&top)?;
    for entry in entries(&top)? {
        let found = statat(&top, &entry, AtFlags::SYMLINK_NOFOLLOW)?;
        if entry.as_bytes() == b".git" {
            if found.st_uid != geteuid().as_raw() {
                return Err(io::Error::other("the repository in it is not the daemon's"));
            }
        } else if is_folder(&found) {
            let folder = open(&top, &entry)?;
            seize(&folder)?;
            walk(&folder, 1, &mut |parent, name, found| {
                if is_folder(found) { seize(&open(parent, name)?) } else { Ok(()) }
            })?;
        }
    }
    Ok(())
}

fn seize(folder: &OwnedFd) -> io::Result<()> {
    fchown(folder, Some(geteuid()), None)?;
    Ok(fchmod(folder, Mode::RWXU)?)
}

/// Gives a tree's files to `user`, but for the repository.
fn hand_over(tree: &Path, user: RunUser) -> io::Result<()> {
    let top = open(CWD, tree)?;
    let (uid, gid) = (uid(user.uid), gid(user.gid));
    for entry in entries(&top)? {
        let found = statat(&top, &entry, AtFlags::SYMLINK_NOFOLLOW)?;
        if entry.as_bytes() == b".git" {
            read_only(&top, &entry, &found)?;
            continue;
        }
        let mut give = |parent: &OwnedFd, name: &CStr, found: &Stat| {
            if found.st_uid == user.uid {
                return Ok(());
            }
            if !is_folder(found) && found.st_nlink > 1 {
                // Another name of it may be something of the daemon's.
                let name = name.to_string_lossy();
                return Err(io::Error::other(format!("{name} has more than one name")));
            }
            Ok(chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
        };
        if is_folder(&found) {
            // Its insides first: once it is the user's, the user may change it.
            walk_up(&open(&top, &entry)?, 1, &mut give)?;
        }
        give(&top, &entry, &found)?;
    }
    // The user makes and removes files of its own at the top, and cannot move the repository.
    fchown(&top, Some(geteuid()), Some(gid))?;
    Ok(fchmod(&top, Mode::SVTX | Mode::RWXU | Mode::RWXG)?)
}

/// Lets everybody who gets there read the repository.
fn read_only(top: &OwnedFd, git: &CStr, found: &Stat) -> io::Result<()> {
    let mut open_up = |parent: &OwnedFd, name: &CStr, found: &Stat| {
        let mode = Mode::from_raw_mode(found.st_mode);
        let wanted = match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => mode | Mode::ROTH | Mode::XOTH,
            FileType::RegularFile => mode | Mode::ROTH,
            _ => return Ok(()),
        };
        if wanted != mode {
            chmodat(parent, name, wanted, AtFlags::empty())?;
        }
        Ok(())
    };
    open_up(top, git, found)?;
    walk(&open(top, git)?, 1, &mut open_up)
}

/// Shows everything below a folder to `visit`, a folder before what is in it.
fn walk(folder: &OwnedFd, depth: u32, visit: Walk<'_>) -> io::Result<()> {
    each(folder, depth, &mut |name, found| {
        visit(folder, name, found)?;
        if is_folder(found) { walk(&open(folder, name)?, depth + 1, visit) } else { Ok(()) }
    })
}

/// The same, a folder after what is in it.
fn walk_up(folder: &OwnedFd, depth: u32, visit: Walk<'_>) -> io::Result<()> {
    each(folder, depth, &mut |name, found| {
        if is_folder(found) {
            walk_up(&open(folder, name)?, depth + 1, visit)?;
        }
        visit(folder, name, found)
    })
}

fn each(
    folder: &OwnedFd,
    depth: u32,
    visit: &mut dyn FnMut(&CStr, &Stat) -> io::Result<()>,
) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other(format!("more than {DEEPEST} folders in each other")));
    }
    for name in entries(folder)? {
        match statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => visit(&name, &found)?,
            // Somebody who was left behind removed it.
            Err(error) if error == rustix::io::Errno::NOENT => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn entries(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// A folder itself, never one that a link leads to.
fn open(parent: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

fn is_folder(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

fn uid(raw: u32) -> Uid {
    Uid::from_raw(raw)
}

fn gid(raw: u32) -> Gid {
    Gid::from_raw(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody else than whoever runs this test.
    fn somebody() -> RunUser {
        let own = geteuid().as_raw();
        RunUser { uid: own + 1, gid: own + 1 }
    }

    fn tree(top: &Path) -> PathBuf {
        let tree = top.join("tree");
        std::fs::create_dir_all(tree.join("src")).unwrap();
        std::fs::create_dir(tree.join(".git")).unwrap();
        tree
    }

    #[test]
    fn a_room_is_one_of_a_user_and_a_slot() {
        let (state, user) = (Path::new("/s"), RunUser { uid: 995, gid: 990 });
        let room = |slot: &str| Room::of(state, &state.join("slots").join(slot), user);
        assert_eq!(room("cargo/0").tree(), Path::new("/s/rooms/995/cargo-0/tree"));
        assert_ne!(room("cargo/1").path(), room("cargo/0").path());
        assert_ne!(room("jobs/0").path(), room("cargo/0").path());
    }

    #[test]
    fn a_file_with_two_names_is_not_given_away() {
        let top = tempfile::tempdir().unwrap();
        let tree = tree(top.path());
        let secret = top.path().join("secret");
        std::fs::write(&secret, "s").unwrap();
        std::fs::hard_link(&secret, tree.join("src/file")).unwrap();
        let error = hand_over(&tree, somebody()).unwrap_err().to_string();
        assert_eq!(error, "file has more than one name");
        assert_eq!(secret.metadata().unwrap().uid(), geteuid().as_raw());
    }

    #[test]
    fn links_are_not_followed_and_depth_has_an_end() {
        let top = tempfile::tempdir().unwrap();
        let tree = tree(top.path());
        let outside = top.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::set_permissions(&outside, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("src/link")).unwrap();
        std::fs::set_permissions(tree.join("src"), Permissions::from_mode(0o777)).unwrap();
        take_back(&tree).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        assert_eq!((mode(&tree.join("src")), mode(&outside)), (0o700, 0o755));
        std::fs::remove_dir_all(&tree).unwrap();
        std::os::unix::fs::symlink(&outside, &tree).unwrap();
        assert!(take_back(&tree).is_err(), "the tree itself is none");

        std::fs::remove_file(&tree).unwrap();
        let deep: PathBuf = std::iter::repeat_n("d", DEEPEST as usize + 2).collect();
        std::fs::create_dir_all(tree.join(deep)).unwrap();
        let error = take_back(&tree).unwrap_err().to_string();
        assert_eq!(error, "more than 512 folders in each other");
    }

    #[test]
    fn what_is_beside_the_rooms_is_closed() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        for name in ["runs", "rooms", "logs"] {
            std::fs::create_dir(state.join(name)).unwrap();
            std::fs::set_permissions(state.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::write(state.join("note"), "").unwrap();
        shut(state).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode(state), 0o711);
        for (name, closed) in [("runs", 0o700), ("logs", 0o700), ("note", 0o600), ("rooms", 0o755)]
        {
            assert_eq!(mode(&state.join(name)), closed, "{name}");
        }
    }
}
