//! What a working tree holds, as digests: the key of builds.
//!
//! A fingerprint covers the path, mode and bytes of every file that is tracked
//! or untracked and not ignored, as it is on disk. Where the tree lies, when
//! files were written, what is staged and whether it is committed do not
//! matter: the same content is the same build. Ignore rules are the
//! repository's own, so that two people's machines agree. Not here: toolchains
//! and environment, which a build's key names beside the fingerprint.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::merge::parse_oid;
use crate::program::{Git, GitError, Place};
use crate::{Oid, RepoError, TreePath, TreeState};

const MODE_FILE: u32 = 0o100_644;
const MODE_EXECUTABLE: u32 = 0o100_755;
const MODE_LINK: u32 = 0o120_000;
const MODE_NESTED: u32 = 0o160_000;

/// The fingerprint (64 hex digits) of the working tree that `folder` lies in.
///
/// A tree without commits has one too.
pub fn fingerprint(git: &Git, folder: &Path) -> Result<String, RepoError> {
    Ok(Content::read(git, Place::Within(&root(git, folder)?))?.fingerprint())
}

/// The root of the working tree that `folder` lies in.
pub(crate) fn root(git: &Git, folder: &Path) -> Result<PathBuf, RepoError> {
    let call = git.call(Place::Within(folder)).args(["rev-parse", "--show-toplevel"]);
    let printed = call.run().map_err(|source| match source {
        GitError::Failed(_) => RepoError::NotAWorkTree { path: folder.to_owned(), source },
        source => RepoError::Git { place: folder.to_owned(), source },
    })?;
    let root = printed.strip_suffix(b"\n").unwrap_or(&printed);
    Ok(PathBuf::from(OsStr::from_bytes(root)))
}

/// A path's mode and blob id.
pub(crate) type Held = (u32, String);

/// A commit's entries and how the files on disk differ from them.
pub(crate) struct Content {
    /// The commit; `None` before the first one.
    pub(crate) commit: Option<Oid>,
    pub(crate) committed: BTreeMap<Vec<u8>, Held>,
    pub(crate) differing: BTreeMap<Vec<u8>, Option<Held>>,
    /// Paths that are on disk and that git was never told of.
    pub(crate) untracked: BTreeSet<Vec<u8>>,
}

impl Content {
    /// Reads the working tree whose root is `place`.
    pub(crate) fn read(git: &Git, place: Place<'_>) -> Result<Self, RepoError> {
        let reader = Reader { git, place };
        let commit = head(git, place)?.map(|id| parse_oid("rev-parse", &id)).transpose()?;
        let committed = committed(git, place, commit.as_ref())?;
        let (mut differing, mut untracked) = (BTreeMap::new(), BTreeSet::new());
        for (path, suspicion) in reader.suspects()? {
            let held = match suspicion {
                Suspicion::Gone => None,
                Suspicion::Look | Suspicion::Untracked => reader.on_disk(&path)?,
            };
            if committed.get(&path) != held.as_ref() {
                differing.insert(path.clone(), held);
            }
            if suspicion == Suspicion::Untracked {
                untracked.insert(path);
            }
        }
        Ok(Self { commit, committed, differing, untracked })
    }

    /// The commit, its tree and the digest of what differs; `None` before the first commit.
    pub(crate) fn state(
        &self,
        git: &Git,
        place: Place<'_>,
    ) -> Result<Option<TreeState>, RepoError> {
        let Some(commit) = self.commit.clone() else { return Ok(None) };
        let call = git.call(place).args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]);
        let printed = call
            .run()
            .map_err(|source| RepoError::Git { place: place.folder().to_owned(), source })?;
        let tree = parse_oid("rev-parse", printed.trim_ascii())?;
        Ok(Some(TreeState { commit, tree, dirty: self.dirty() }))
    }

    /// The digest of everything on disk.
    pub(crate) fn fingerprint(&self) -> String {
        let all = on_disk(&self.committed, &self.differing);
        digest(b"molt fingerprint 1\0", all.into_iter().map(|(path, held)| (path, Some(held))))
    }

    /// The digest of what differs from the commit; `None` if nothing does.
    pub(crate) fn dirty(&self) -> Option<String> {
        let differing = self.differing.iter().map(|(path, held)| (path, held.as_ref()));
        (!self.differing.is_empty()).then(|| digest(b"molt dirty 1\0", differing))
    }
}

/// All that is on disk: a commit's entries, but for what differs.
pub(crate) fn on_disk<'a>(
    committed: &'a BTreeMap<Vec<u8>, Held>,
    differing: &'a BTreeMap<Vec<u8>, Option<Held>>,
) -> BTreeMap<&'a Vec<u8>, &'a Held> {
    let mut all: BTreeMap<_, _> = committed.iter().collect();
    for (path, held) in differing {
        match held {
            Some(held) => all.insert(path, held),
            None => all.remove(path),
        };
    }
    all
}

/// The entries of `commit`; none if there is no commit yet.
pub(crate) fn committed(
    git: &Git,
    place: Place<'_>,
    commit: Option<&Oid>,
) -> Result<BTreeMap<Vec<u8>, Held>, RepoError> {
    let Some(commit) = commit else { return Ok(BTreeMap::new()) };
    let call = git.call(place).args(["ls-tree", "-r", "-z", "--full-tree", commit.as_str()]);
    let printed =
        call.run().map_err(|source| RepoError::Git { place: place.folder().to_owned(), source })?;
    records(&printed).map(|record| tree_entry(record).ok_or(("ls-tree", record))).collect_or()
}

fn digest<'a>(
    what: &[u8],
    entries: impl Iterator<Item = (&'a Vec<u8>, Option<&'a Held>)>,
) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(what);
    for (path, held) in entries {
        match held {
            Some((mode, id)) => hasher.update(format!("{mode:o} {id} ").as_bytes()),
            None => hasher.update(b"gone "),
        };
        hasher.update(path);
        hasher.update(b"\0");
    }
    hasher.finalize().to_hex().to_string()
}

/// Why a path may differ from the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    /// Git says that it is no longer part of the tree.
    Gone,
    /// Only the file on disk can tell.
    Look,
    /// Git does not know it: what is on disk is all there is.
    Untracked,
}

struct Reader<'a> {
    git: &'a Git,
    place: Place<'a>,
}

impl Reader<'_> {
    fn run<const N: usize>(&self, args: [&str; N]) -> Result<Vec<u8>, RepoError> {
        self.git.call(self.place).args(args).run().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: GitError) -> RepoError {
        RepoError::Git { place: self.place.folder().to_owned(), source }
    }

    fn suspects(&self) -> Result<BTreeMap<Vec<u8>, Suspicion>, RepoError> {
        let printed = self.run([
            "-c",
            "core.fileMode=true",
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=all",
            "--no-renames",
            "--ignore-submodules=none",
        ])?;
        let mut suspects: BTreeMap<_, _> = records(&printed)
            .map(|record| status_entry(record).ok_or(("status", record)))
            .collect_or()?;
        for path in flagged(self.git, self.place)? {
            suspects.insert(path, Suspicion::Look);
        }
        Ok(suspects)
    }

    /// What is at `path` now, by the bytes on disk: no filter, no cached answer.
    fn on_disk(&self, path: &[u8]) -> Result<Option<Held>, RepoError> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let full = self.place.folder().join(OsStr::from_bytes(path));
        let broken = |source| RepoError::File {
            file: TreePath::from_bytes(path.to_vec()),
            path: self.place.folder().to_owned(),
            source,
        };
        let found = match fs::symlink_metadata(&full) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(broken(error)),
        };
        if found.is_dir() {
            return Ok(Some((MODE_NESTED, fingerprint(self.git, &full)?)));
        }
        let (mode, id) = if found.is_symlink() {
            let target = fs::read_link(&full).map_err(broken)?;
            let bytes = target.as_os_str().as_bytes();
            (MODE_LINK, git2::Oid::hash_object(git2::ObjectType::Blob, bytes))
        } else if found.is_file() {
            let executable = found.permissions().mode() & 0o100 != 0;
            let mode = if executable { MODE_EXECUTABLE } else { MODE_FILE };
            (mode, git2::Oid::hash_file(git2::ObjectType::Blob, &full))
        } else {
            // Sockets, pipes and devices are nothing to git, and nothing to a build.
            return Ok(None);
        };
        let id = id.map_err(|error| broken(io::Error::other(error)))?;
        Ok(Some((mode, id.to_string())))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The commit that is checked out; `None` before the first one.
pub(crate) fn head(git: &Git, place: Place<'_>) -> Result<Option<Vec<u8>>, RepoError> {
    let failed = |source| RepoError::Git { place: place.folder().to_owned(), source };
    let call = git.call(place).args(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]);
    let finished = call.finish().map_err(failed)?;
    match finished.code {
        0 => Ok(Some(finished.stdout.trim_ascii().to_vec())),
        1 => Ok(None),
        _ => Err(failed(finished.into_error())),
    }
}

/// Paths that git was told not to look at (`assume-unchanged`, `skip-worktree`):
/// its word that they are unchanged is worth nothing.
pub(crate) fn flagged(git: &Git, place: Place<'_>) -> Result<Vec<Vec<u8>>, RepoError> {
    let call = git.call(place).args(["ls-files", "-v", "-z"]);
    let printed =
        call.run().map_err(|source| RepoError::Git { place: place.folder().to_owned(), source })?;
    let hidden = |record: &&[u8]| record[0].is_ascii_lowercase() || record[0] == b'S';
    let paths = records(&printed).filter(hidden).filter_map(|record| record.get(2..));
    Ok(paths.map(<[u8]>::to_vec).collect())
}

/// The records of `-z` output.
fn records(printed: &[u8]) -> impl Iterator<Item = &[u8]> {
    printed.split(|&byte| byte == 0).filter(|record| !record.is_empty())
}

/// Reads `<mode> <kind> <id> TAB <path>`.
fn tree_entry(record: &[u8]) -> Option<(Vec<u8>, Held)> {
    let tab = record.iter().position(|&byte| byte == b'\t')?;
    let mut words = std::str::from_utf8(&record[..tab]).ok()?.split(' ');
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let id = words.nth(1)?.to_owned();
    Some((record[tab + 1..].to_vec(), (mode, id)))
}

/// Reads `? <path>`, `1 XY ...7 words... <path>` or `u XY ...9 words... <path>`.
///
/// A path that left the index but is on disk is listed twice, the second time as
/// untracked; git prints untracked paths last, so that the disk decides.
fn status_entry(record: &[u8]) -> Option<(Vec<u8>, Suspicion)> {
    let words = match record.first()? {
        b'?' => 1,
        b'1' => 8,
        b'u' => 10,
        _ => return None,
    };
    let path = record.splitn(words + 1, |&byte| byte == b' ').nth(words)?;
    let gone = words == 8 && (record.get(2..4)? == b"D." || record.get(3)? == &b'D');
    let suspicion = match words {
        1 => Suspicion::Untracked,
        _ if gone => Suspicion::Gone,
        _ => Suspicion::Look,
    };
    Some((path.to_vec(), suspicion))
}

/// Collects parsed records, or names the one that could not be read.
trait CollectOr<T> {
    fn collect_or(self) -> Result<BTreeMap<Vec<u8>, T>, RepoError>;
}

type Parsed<'a, T> = Result<(Vec<u8>, T), (&'static str, &'a [u8])>;

impl<'a, T, I: Iterator<Item = Parsed<'a, T>>> CollectOr<T> for I {
    fn collect_or(mut self) -> Result<BTreeMap<Vec<u8>, T>, RepoError> {
        self.try_fold(BTreeMap::new(), |mut map, parsed| {
            let (path, value) = parsed.map_err(|(command, record)| RepoError::Output {
                command,
                detail: format!("unexpected entry `{}`", record.escape_ascii()),
            })?;
            map.insert(path, value);
            Ok(map)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_entries_are_read_by_kind() {
        let id = "a".repeat(40);
        let changed = |xy: &str| format!("1 {xy} N... 100644 100644 100644 {id} {id} a b.rs");
        let read = |text: &str| status_entry(text.as_bytes());
        let path = b"a b.rs".to_vec();
        assert_eq!(read(&changed(".M")), Some((path.clone(), Suspicion::Look)));
        assert_eq!(read(&changed("MD")), Some((path.clone(), Suspicion::Gone)));
        assert_eq!(read(&changed("D.")), Some((path.clone(), Suspicion::Gone)));
        assert_eq!(read("? a b.rs"), Some((path.clone(), Suspicion::Untracked)));
        let unmerged = format!("u UU N... 100644 100644 100644 100644 {id} {id} {id} a b.rs");
        assert_eq!(read(&unmerged), Some((path, Suspicion::Look)));
        assert_eq!(read("2 R. N..."), None);
        assert_eq!(read("1 .M N..."), None);
    }
}
