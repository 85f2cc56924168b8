//! Session files that nobody comes back to.
//!
//! A session whose root died may be resumed for a while, so the newest of those
//! stay. What is removed here proves nothing that a coordinator still knows.

use std::path::{Path, PathBuf};

use super::{Record, Root, SessionFile};
use crate::error::Error;
use crate::run::ProcessIdentity;

/// How many sessions of dead roots a worktree keeps.
const KEPT: usize = 8;

/// Removes what is left of sessions whose roots are dead from the folder of
/// session files, but for the newest.
pub fn sweep(folder: &Path) -> Result<(), Error> {
    let unseen = |error| Error::bug(format!("cannot see processes: {error}"));
    let mut orphans: Vec<(Record, SessionFile)> = Vec::new();
    for file in SessionFile::all(folder)? {
        if let Some(record) = file.read()?
            && record.root.is_dead().map_err(unseen)?
        {
            orphans.push((record, file));
        }
    }
    orphans.sort_by_key(|(record, _)| std::cmp::Reverse(record.id));
    for (_, file) in orphans.iter().skip(KEPT) {
        file.lock()?.remove()?;
    }
    for lock in leftovers(folder)? {
        match std::fs::remove_file(&lock) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &lock)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Locks without a session file whose process lives no more: one that lives may
/// be about to join under its lock.
fn leftovers(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::file("list", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::file("list", folder))?.path();
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        let session = path.with_extension("json");
        if is_lock && !session.exists() && is_of_the_dead(&session) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether a session file is named after a process that lives no more.
fn is_of_the_dead(session: &Path) -> bool {
    let Some(name) = session.file_name().and_then(|name| name.to_str()) else { return false };
    let Some(pid) = name.split_once('-').and_then(|(pid, _)| pid.parse().ok()) else {
        return false;
    };
    match ProcessIdentity::of(pid) {
        Ok(Some(identity)) => Root::Process(identity).file_name() != name,
        Ok(None) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use molt_domain::id::SessionId;

    use super::*;
    use crate::session::file::tests::record;

    #[test]
    fn the_newest_orphans_and_all_the_living_stay() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        let written = |n: u64, root: Root| {
            let file = SessionFile::at(folder.join(root.file_name()));
            let mut record = record(root);
            record.id = SessionId::from_counter(n);
            file.lock().unwrap().write(&record).unwrap();
            file
        };
        let own = ProcessIdentity::own().unwrap();
        let dead = |n| ProcessIdentity { pid: own.pid, start: format!("{} {n}", own.start) };
        let living = [written(1, Root::Use), written(2, Root::Process(own.clone()))];
        let orphans: Vec<_> = (3..23).map(|n| written(n, Root::Process(dead(n)))).collect();
        let joining = folder.join(Root::Process(own.clone()).file_name()).with_extension("lock");

        sweep(folder).unwrap();
        let (gone, kept) = orphans.split_at(orphans.len() - KEPT);
        assert!(gone.iter().all(|file| file.read().unwrap().is_none()));
        assert!(kept.iter().chain(&living).all(|file| file.read().unwrap().is_some()));
        let left = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(left, 2 * (KEPT + living.len()), "each with its lock, and nothing else");

        living[1].lock().unwrap().remove().unwrap();
        sweep(folder).unwrap();
        sweep(&folder.join("absent")).unwrap();
        assert!(joining.exists(), "a living process may be about to join");
    }
}
