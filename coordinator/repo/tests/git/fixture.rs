//! A repository to work on and a mirror of it, in a folder that goes away.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use molt_repo::{Git, Mirror, Oid, Place};
use tempfile::TempDir;

pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) git: Git,
}

impl Fixture {
    /// A working repository with an unborn `main`.
    pub(crate) fn empty() -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap(), git: Git::find().unwrap() };
        fs::create_dir(fixture.work()).unwrap();
        fixture.run(["init", "--quiet", "--initial-branch=main"]);
        fixture
    }

    /// The same with one commit of the files `a`, `b` and `src/lib.rs`.
    pub(crate) fn new() -> Self {
        let fixture = Self::empty();
        fixture.write("a", "one\ntwo\nthree\n");
        fixture.write("b", "bee\n");
        fixture.write("src/lib.rs", "fn main() {}\n");
        fixture.commit("first");
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    pub(crate) fn url(&self) -> String {
        self.work().to_str().unwrap().to_owned()
    }

    pub(crate) fn run<const N: usize>(&self, args: [&str; N]) -> String {
        let date = "@1700000000 +0000";
        let call = self.git.call(Place::Within(&self.work())).args(args);
        let call = ["AUTHOR", "COMMITTER"].into_iter().fold(call, |call, who| {
            call.env(&format!("GIT_{who}_NAME"), "Somebody")
                .env(&format!("GIT_{who}_EMAIL"), "somebody@example.org")
                .env(&format!("GIT_{who}_DATE"), date)
        });
        String::from_utf8(call.run().unwrap()).unwrap().trim().to_owned()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        write(&self.work(), path, text);
    }

    /// Commits everything that is in the folder.
    pub(crate) fn commit(&self, message: &str) -> Oid {
        self.run(["add", "--all"]);
        self.commit_index(message)
    }

    /// Commits what is staged.
    pub(crate) fn commit_index(&self, message: &str) -> Oid {
        self.run(["commit", "--quiet", "--allow-empty", "-m", message]);
        self.head()
    }

    pub(crate) fn head(&self) -> Oid {
        self.run(["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Goes to a new branch at `start`.
    pub(crate) fn branch(&self, name: &str, start: &Oid) {
        self.run(["checkout", "--quiet", "-b", name, start.as_str()]);
    }

    /// The mirror, up to date.
    pub(crate) fn mirror(&self) -> Mirror {
        let mirror = Mirror::open(self.git.clone(), self.path("mirror.git"), &self.url()).unwrap();
        mirror.fetch().unwrap();
        mirror
    }
}

pub(crate) fn write(root: &Path, path: &str, text: &str) {
    write_bytes(root, path.as_bytes(), text);
}

pub(crate) fn write_bytes(root: &Path, path: &[u8], text: &str) {
    let path = root.join(OsStr::from_bytes(path));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
