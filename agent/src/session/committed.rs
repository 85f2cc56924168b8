//! The claims under which a session has committed.
//!
//! A claim that was given back is in no snapshot any more, but what was committed
//! under it was its holder's to change, and may be pushed. Written when a commit
//! gets its trailers, believed of one's own session alone. Not here: whether a
//! claim is held now.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use molt_domain::id::SessionId;
use serde::{Deserialize, Serialize};

use super::Worktree;
use crate::error::Error;
use crate::guard::SnapshotClaim;
use crate::run::folder::{Survives, read_json, replace_json};

/// The most claims that are remembered of one session: the last ones.
const KEPT: usize = 64;

/// The most sessions of a worktree that are remembered: the newest.
const SESSIONS: usize = 64;

/// What is remembered of one session.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Committed {
    claims: Vec<SnapshotClaim>,
}

/// The claims under which `session` has committed in `worktree`, oldest first.
pub fn read(worktree: &Worktree, session: SessionId) -> Result<Vec<SnapshotClaim>, Error> {
    let committed: Option<Committed> = read_json(&path(worktree, session))?;
    Ok(committed.unwrap_or_default().claims)
}

/// Remembers that `session` is about to commit in `worktree` under `claims`.
pub fn add(worktree: &Worktree, session: SessionId, claims: &[SnapshotClaim]) -> Result<(), Error> {
    let mut committed = Committed { claims: read(worktree, session)? };
    if claims.iter().all(|claim| committed.claims.contains(claim)) {
        return Ok(());
    }
    committed.claims.retain(|known| !claims.contains(known));
    committed.claims.extend_from_slice(claims);
    let old = committed.claims.len().saturating_sub(KEPT);
    committed.claims.drain(..old);
    let (path, folder) = (path(worktree, session), folder(worktree));
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder).map_err(Error::file("create", &folder))?;
    replace_json(&path, &committed, 0o600, Survives::Programs)?;
    forget(&folder, &path)
}

/// Removes what is remembered of all but the newest sessions, `kept` not among them.
fn forget(folder: &Path, kept: &Path) -> Result<(), Error> {
    let listed = std::fs::read_dir(folder).map_err(Error::file("list", folder))?;
    let mut files = Vec::new();
    for entry in listed {
        let entry = entry.map_err(Error::file("list", folder))?;
        let written = entry.metadata().and_then(|file| file.modified());
        files.push((written.map_err(Error::file("look at", &entry.path()))?, entry.path()));
    }
    files.sort_by(|left, right| right.cmp(left));
    for (_, path) in files.into_iter().skip(SESSIONS).filter(|(_, path)| path != kept) {
        std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
    }
    Ok(())
}

fn folder(worktree: &Worktree) -> PathBuf {
    worktree.git_dir.join("molt").join("committed")
}

fn path(worktree: &Worktree, session: SessionId) -> PathBuf {
    folder(worktree).join(format!("{session}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use molt_domain::id::ClaimId;

    fn worktree(top: &Path) -> Worktree {
        let git_dir = top.join(".git");
        Worktree { top: top.to_owned(), common_dir: git_dir.clone(), git_dir }
    }

    fn under(n: u64, scope: &str) -> SnapshotClaim {
        SnapshotClaim {
            claim: ClaimId::from_counter(n),
            session: SessionId::from_counter(1),
            holder: "ann".parse().unwrap(),
            scopes: vec![scope.parse().unwrap()],
            globs: Vec::new(),
            fence: None,
        }
    }

    #[test]
    fn a_session_s_last_claims_are_remembered_and_no_other_s() {
        let scratch = tempfile::tempdir().unwrap();
        let worktree = worktree(scratch.path());
        let [ann, bob] = [1, 2].map(SessionId::from_counter);
        assert_eq!(read(&worktree, ann).unwrap(), []);
        for n in 0..KEPT as u64 + 2 {
            add(&worktree, ann, &[under(n, "docs")]).unwrap();
        }
        let known = read(&worktree, ann).unwrap();
        assert_eq!((known.len(), &known[0]), (KEPT, &under(2, "docs")));
        assert_eq!(read(&worktree, bob).unwrap(), []);
        add(&worktree, ann, &[under(KEPT as u64 + 1, "runtime")]).unwrap();
        let known = read(&worktree, ann).unwrap();
        assert_eq!(known.last(), Some(&under(KEPT as u64 + 1, "runtime")), "it was narrowed");
    }

    #[test]
    fn sessions_that_are_long_gone_are_forgotten() {
        let scratch = tempfile::tempdir().unwrap();
        let worktree = worktree(scratch.path());
        for n in 0..SESSIONS as u64 + 3 {
            add(&worktree, SessionId::from_counter(n), &[under(n, "docs")]).unwrap();
        }
        let left = std::fs::read_dir(folder(&worktree)).unwrap().count();
        assert!(left <= SESSIONS + 1, "{left} files");
        let last = SessionId::from_counter(SESSIONS as u64 + 2);
        assert_eq!(read(&worktree, last).unwrap().len(), 1);
    }
}
