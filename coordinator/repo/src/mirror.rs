//! One bare mirror per remote: what is fetched, and what is read from it.
//!
//! The mirror's refs are the remote's (`refs/heads/*`, `refs/molt/*`), no more
//! and no less after each fetch. Not here: pushing, which is the forge's.

use std::path::{Path, PathBuf};

use crate::program::{Call, Git, GitError, Place, redact};
use crate::{Access, Oid, RepoError, TreePath};

/// The refs that a mirror follows.
const FOLLOWED: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/molt/*:refs/molt/*"];
/// Mode of a directory in a tree.
const MODE_TREE: i32 = 0o040_000;

/// A bare copy of a remote's branches and of the coordinator's own refs there.
#[derive(Debug, Clone)]
pub struct Mirror {
    git: Git,
    path: PathBuf,
    remote: String,
    access: Option<Access>,
}

impl Mirror {
    /// The mirror of `remote` (an address or a folder) at `path`, made if it is absent.
    ///
    /// Does not touch the network. A folder that mirrors another remote is refused.
    pub fn open(git: Git, path: impl Into<PathBuf>, remote: &str) -> Result<Self, RepoError> {
        let mirror = Self { git, path: path.into(), remote: remote.to_owned(), access: None };
        std::fs::create_dir_all(&mirror.path)
            .map_err(|source| RepoError::Folder { path: mirror.path.clone(), source })?;
        if !mirror.path.join("HEAD").exists() {
            mirror.run(mirror.call().args(["init", "--quiet", "--bare", "--template="]))?;
        }
        match mirror.configured_remote()? {
            Some(found) if found == remote => Ok(mirror),
            Some(found) => Err(RepoError::OtherRemote {
                path: mirror.path,
                found: redact(&found),
                wanted: redact(remote),
            }),
            None => {
                mirror.configure()?;
                Ok(mirror)
            }
        }
    }

    /// As [`Mirror::open`], of a remote that may have had another address before. What its refs are
    /// the next fetch says.
    ///
    /// # Errors
    ///
    /// As [`Mirror::open`], without the one about other remotes.
    pub fn reopen(git: Git, path: impl Into<PathBuf>, remote: &str) -> Result<Self, RepoError> {
        let path = path.into();
        match Self::open(git.clone(), &path, remote) {
            Err(RepoError::OtherRemote { .. }) => {
                let mirror = Self { git, path, remote: remote.to_owned(), access: None };
                mirror.configure()?;
                Ok(mirror)
            }
            opened => opened,
        }
    }

    /// The same mirror, which is let in at its remote by `access`.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access: Some(access), ..self }
    }

    fn configured_remote(&self) -> Result<Option<String>, RepoError> {
        let call = self.call().args(["config", "--local", "--get", "remote.origin.url"]);
        let finished = call.finish().map_err(|source| self.failed(source))?;
        match finished.code {
            0 => Ok(Some(String::from_utf8_lossy(&finished.stdout).trim_end().to_owned())),
            1 => Ok(None),
            _ => Err(self.failed(finished.into_error())),
        }
    }

    /// Writes the remote's address last: its presence says that the rest is there.
    fn configure(&self) -> Result<(), RepoError> {
        let [heads, molt] = FOLLOWED;
        let set = |key, value| self.run(self.call().args(["config", "--replace-all", key, value]));
        set("remote.origin.fetch", heads)?;
        self.run(self.call().args(["config", "--add", "remote.origin.fetch", molt]))?;
        set("remote.origin.url", &self.remote)?;
        Ok(())
    }

    /// The mirror's folder, which is a git directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The remote's address without secrets.
    pub fn remote(&self) -> String {
        redact(&self.remote)
    }

    /// Brings every followed ref up to date and drops those that are gone.
    ///
    /// A remote without commits is no error: [`Mirror::branch`] says so.
    pub fn fetch(&self) -> Result<(), RepoError> {
        self.fetch_what(&["--prune", "origin"])
    }

    /// Brings one ref that is not followed here, under its own name, wherever it stood before.
    pub fn obtain(&self, refname: &str) -> Result<(), RepoError> {
        self.fetch_what(&["origin", &format!("+{refname}:{refname}")])
    }

    fn fetch_what(&self, what: &[&str]) -> Result<(), RepoError> {
        match (self.fetch_once(what, false), &self.access) {
            // What was given may have ended, or the address may have changed; a fetch may be
            // repeated.
            (Err(RepoError::RemoteDenied { .. } | RepoError::RemoteMoved { .. }), Some(_)) => {
                self.fetch_once(what, true)
            }
            (fetched, _) => fetched,
        }
    }

    fn fetch_once(&self, what: &[&str], again: bool) -> Result<(), RepoError> {
        let environment = match &self.access {
            Some(access) => access
                .environment(again)
                .map_err(|source| RepoError::NoAccess { remote: self.remote(), source })?,
            None => Vec::new(),
        };
        let call = self.call().args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]);
        let call = call.args(what.iter());
        environment
            .into_iter()
            .fold(call, |call, (name, value)| call.env(&name, value))
            .run()
            .map(drop)
            .map_err(|source| RepoError::of_remote(&self.remote, self.path.clone(), source))
    }

    /// Packs the mirror and drops objects that nothing has named for two weeks,
    /// which is longer than any candidate waits to be published.
    pub fn maintain(&self) -> Result<(), RepoError> {
        self.run(self.call().args(["gc", "--quiet", "--prune=2.weeks.ago"])).map(drop)
    }

    /// The commit that a full ref name (`refs/...`) points at.
    pub fn resolve(&self, refname: &str) -> Result<Option<Oid>, RepoError> {
        let objects = self.objects()?;
        let found = match objects.find_reference(refname) {
            Ok(reference) => reference.peel_to_commit().map(|commit| Some(commit.id().into())),
            Err(error) => absent(error).map(|()| None),
        };
        found.map_err(|error| self.unreadable(refname, error))
    }

    /// The head of a branch, by its short name.
    pub fn branch(&self, name: &str) -> Result<Oid, RepoError> {
        if let Some(head) = self.resolve(&format!("refs/heads/{name}"))? {
            return Ok(head);
        }
        let objects = self.objects()?;
        let mut branches = objects
            .references_glob("refs/heads/*")
            .map_err(|error| self.unreadable("refs/heads", error))?;
        let repository = self.remote();
        if branches.next().is_some() {
            Err(RepoError::MissingBranch { repository, branch: name.to_owned() })
        } else {
            Err(RepoError::NoCommits { repository })
        }
    }

    /// The content of the regular file at `path`; `None` for what is absent, a
    /// folder, a symbolic link or a gitlink.
    pub fn read_file(&self, commit: &Oid, path: &str) -> Result<Option<Vec<u8>>, RepoError> {
        let objects = self.objects()?;
        let tree = self.tree(&objects, commit)?;
        let entry = match tree.get_path(Path::new(path)) {
            Ok(entry) if matches!(entry.filemode(), 0o100_644 | 0o100_755) => entry,
            Ok(_) => return Ok(None),
            Err(error) => {
                return absent(error).map(|()| None).map_err(|e| self.unreadable(path, e));
            }
        };
        let blob = objects.find_blob(entry.id()).map_err(|error| self.unreadable(path, error))?;
        Ok(Some(blob.content().to_vec()))
    }

    /// Whether `ancestor` is `commit` or reached from it.
    pub fn is_ancestor(&self, ancestor: &Oid, commit: &Oid) -> Result<bool, RepoError> {
        let objects = self.objects()?;
        let (old, new) = (self.commit(&objects, ancestor)?, self.commit(&objects, commit)?);
        if old.id() == new.id() {
            return Ok(true);
        }
        objects
            .graph_descendant_of(new.id(), old.id())
            .map_err(|error| self.unreadable("the history", error))
    }

    /// The commits after `from` up to and with `to`, oldest first, along first
    /// parents; `None` if that way does not lead from `to` back to `from`.
    pub fn first_parents(&self, from: &Oid, to: &Oid) -> Result<Option<Vec<Oid>>, RepoError> {
        let objects = self.objects()?;
        let goal = self.commit(&objects, from)?.id();
        let mut at = self.commit(&objects, to)?;
        let mut way = Vec::new();
        while at.id() != goal {
            way.push(at.id().into());
            if at.parent_count() == 0 {
                return Ok(None);
            }
            at = at.parent(0).map_err(|error| self.unreadable("a first parent", error))?;
        }
        way.reverse();
        Ok(Some(way))
    }

    /// The best common ancestor; `None` for histories that share nothing.
    pub fn merge_base(&self, one: &Oid, two: &Oid) -> Result<Option<Oid>, RepoError> {
        let objects = self.objects()?;
        let (one, two) = (self.commit(&objects, one)?.id(), self.commit(&objects, two)?.id());
        match objects.merge_base(one, two) {
            Ok(base) => Ok(Some(base.into())),
            Err(error) => {
                absent(error).map(|()| None).map_err(|e| self.unreadable("the merge base", e))
            }
        }
    }

    /// The id of the commit's tree.
    pub fn tree_of(&self, commit: &Oid) -> Result<Oid, RepoError> {
        let objects = self.objects()?;
        Ok(self.commit(&objects, commit)?.tree_id().into())
    }

    /// Every file, link and gitlink of the commit, in git's order.
    pub fn tracked_paths(&self, commit: &Oid) -> Result<Vec<TreePath>, RepoError> {
        let mut paths = Vec::new();
        self.visit(commit, |_, path, _| {
            paths.push(TreePath::from_bytes(path.to_vec()));
        })?;
        Ok(paths)
    }

    /// Calls `see` with the mode, path and id of everything but folders, in git's order.
    pub(crate) fn visit(
        &self,
        commit: &Oid,
        mut see: impl FnMut(i32, &[u8], git2::Oid),
    ) -> Result<(), RepoError> {
        let objects = self.objects()?;
        let tree = self.tree(&objects, commit)?;
        visit(&objects, &tree, &mut Vec::new(), &mut see)
            .map_err(|error| self.unreadable("a tree", error))
    }

    pub(crate) fn call(&self) -> Call {
        self.git.call(Place::Bare(&self.path))
    }

    pub(crate) fn run(&self, call: Call) -> Result<Vec<u8>, RepoError> {
        call.run().map_err(|source| self.failed(source))
    }

    pub(crate) fn failed(&self, source: GitError) -> RepoError {
        RepoError::Git { place: self.path.clone(), source }
    }

    /// Opened anew each time: a repository may not be shared between threads,
    /// and opening costs less than one object read from disk.
    pub(crate) fn objects(&self) -> Result<git2::Repository, RepoError> {
        git2::Repository::open_bare(&self.path)
            .map_err(|error| self.unreadable("the mirror", error))
    }

    pub(crate) fn commit<'r>(
        &self,
        objects: &'r git2::Repository,
        commit: &Oid,
    ) -> Result<git2::Commit<'r>, RepoError> {
        let found = git2::Oid::from_str(commit.as_str()).and_then(|id| objects.find_commit(id));
        found.map_err(|error| match absent(error) {
            Ok(()) => {
                RepoError::MissingCommit { commit: commit.clone(), repository: self.remote() }
            }
            Err(error) => self.unreadable(&format!("commit {commit}"), error),
        })
    }

    fn tree<'r>(
        &self,
        objects: &'r git2::Repository,
        commit: &Oid,
    ) -> Result<git2::Tree<'r>, RepoError> {
        let commit = self.commit(objects, commit)?;
        commit.tree().map_err(|error| self.unreadable("a tree", error))
    }

    pub(crate) fn unreadable(&self, what: &str, error: git2::Error) -> RepoError {
        RepoError::Object {
            what: what.to_owned(),
            path: self.path.clone(),
            source: Box::new(error),
        }
    }
}

/// Sorts "it is not there" from every other error.
fn absent(error: git2::Error) -> Result<(), git2::Error> {
    match error.code() {
        git2::ErrorCode::NotFound => Ok(()),
        _ => Err(error),
    }
}

/// Depth first and in stored order, by bytes: the library's own walk wants text.
fn visit(
    objects: &git2::Repository,
    tree: &git2::Tree<'_>,
    prefix: &mut Vec<u8>,
    see: &mut impl FnMut(i32, &[u8], git2::Oid),
) -> Result<(), git2::Error> {
    for entry in tree {
        let length = prefix.len();
        prefix.extend_from_slice(entry.name_bytes());
        if entry.filemode_raw() == MODE_TREE {
            prefix.push(b'/');
            visit(objects, &objects.find_tree(entry.id())?, prefix, see)?;
        } else {
            see(entry.filemode_raw(), prefix, entry.id());
        }
        prefix.truncate(length);
    }
    Ok(())
}
