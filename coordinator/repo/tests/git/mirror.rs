//! Fetching, reading, and the errors of remotes that have nothing to give.

use std::fs;

use molt_repo::{Access, Git, GitError, Inputs, Mirror, Oid, RepoError, TreePath, Variables};

use crate::fixture::{Fixture, set_mode};

fn nowhere() -> Oid {
    "1".repeat(40).parse().unwrap()
}

#[test]
fn a_mirror_follows_branches_and_the_coordinators_refs() {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.run(["update-ref", "refs/molt/changes/7", "HEAD"]);
    fixture.run(["tag", "v1"]);
    let mirror = fixture.mirror();
    assert_eq!(mirror.branch("main").unwrap(), first);
    assert_eq!(mirror.resolve("refs/molt/changes/7").unwrap(), Some(first.clone()));
    assert_eq!(mirror.resolve("refs/tags/v1").unwrap(), None);
    assert_eq!(mirror.remote(), fixture.url());

    fixture.write("a", "rewritten\n");
    fixture.run(["commit", "--quiet", "--all", "--amend", "-m", "other"]);
    fixture.run(["update-ref", "-d", "refs/molt/changes/7"]);
    mirror.fetch().unwrap();
    assert_eq!(mirror.branch("main").unwrap(), fixture.head(), "a rewritten branch is followed");
    assert_eq!(mirror.resolve("refs/molt/changes/7").unwrap(), None, "a dropped ref goes");
    mirror.maintain().unwrap();
    assert_eq!(mirror.read_file(&first, "b").unwrap().as_deref(), Some(&b"bee\n"[..]));
}

#[test]
fn opening_again_keeps_the_mirror_and_refuses_another_remote() {
    let fixture = Fixture::new();
    let path = fixture.mirror().path().to_owned();
    let again = Mirror::open(fixture.git.clone(), &path, &fixture.url()).unwrap();
    assert_eq!(again.branch("main").unwrap(), fixture.head());
    let other = Mirror::open(fixture.git.clone(), &path, "https://me:s3cret@host/x").unwrap_err();
    assert!(matches!(other, RepoError::OtherRemote { .. }));
    assert!(!other.to_string().contains("s3cret"), "{other}");
}

#[test]
fn an_empty_repository_a_missing_branch_and_a_gone_remote_are_told_apart() {
    let empty = Fixture::empty().into_checked(|mirror| mirror.branch("main").unwrap_err());
    assert!(matches!(empty, RepoError::NoCommits { .. }), "{empty}");

    let fixture = Fixture::new();
    let mirror = fixture.mirror();
    let missing = mirror.branch("release").unwrap_err();
    assert!(matches!(&missing, RepoError::MissingBranch { branch, .. } if branch == "release"));

    fs::rename(fixture.work(), fixture.path("moved")).unwrap();
    let gone = mirror.fetch().unwrap_err();
    let RepoError::RemoteGone { source: GitError::Failed(failure), .. } = gone else {
        panic!("not gone: {gone:?}");
    };
    assert!(failure.command.starts_with("git fetch"), "{failure}");
    assert_eq!(failure.status, "exit code 128");
    assert!(failure.stderr.contains("does not appear to be a git repository"), "{failure}");
    assert_eq!(mirror.branch("main").unwrap().as_str().len(), 40, "what was fetched stays");
}

impl Fixture {
    fn into_checked<T>(self, check: impl FnOnce(Mirror) -> T) -> T {
        check(self.mirror())
    }
}

#[test]
fn files_are_read_by_commit_and_path() {
    let fixture = Fixture::new();
    std::os::unix::fs::symlink("a", fixture.work().join("link")).unwrap();
    let commit = fixture.commit("link");
    let mirror = fixture.mirror();
    let read = |path| mirror.read_file(&commit, path).unwrap();
    assert_eq!(read("src/lib.rs").as_deref(), Some(&b"fn main() {}\n"[..]));
    for not_a_file in ["src", "link", "nothing", "a/nothing"] {
        assert_eq!(read(not_a_file), None, "{not_a_file}");
    }
    let error = mirror.read_file(&nowhere(), "a").unwrap_err();
    assert!(matches!(error, RepoError::MissingCommit { ref commit, .. } if *commit == nowhere()));
    let paths: Vec<String> =
        mirror.tracked_paths(&commit).unwrap().iter().map(TreePath::to_string).collect();
    assert_eq!(paths, ["a", "b", "link", "src/lib.rs"]);
}

#[test]
fn ancestry_and_first_parents_follow_the_base() {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.branch("side", &first);
    fixture.write("side", "1\n");
    let side = fixture.commit("side");
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.write("main", "1\n");
    let second = fixture.commit("second");
    fixture.run(["merge", "--quiet", "--no-ff", "-m", "merge", "side"]);
    let merged = fixture.head();
    let mirror = fixture.mirror();
    assert!(mirror.is_ancestor(&side, &merged).unwrap());
    assert!(mirror.is_ancestor(&merged, &merged).unwrap());
    assert!(!mirror.is_ancestor(&merged, &side).unwrap());
    assert_eq!(mirror.merge_base(&side, &second).unwrap(), Some(first.clone()));
    let way = mirror.first_parents(&first, &merged).unwrap();
    assert_eq!(way, Some(vec![second, merged.clone()]));
    assert_eq!(mirror.first_parents(&merged, &merged).unwrap(), Some(vec![]));
    assert_eq!(mirror.first_parents(&side, &merged).unwrap(), None, "a second parent is no way");
}

#[test]
fn an_input_digest_sees_its_files_and_nothing_else() {
    let fixture = Fixture::new();
    let first = fixture.head();
    let digests = |commit: &Oid| {
        let mirror = fixture.mirror();
        let sources = |path: &str| path.starts_with("src/");
        let narrow = mirror.input_tree(commit, Inputs::Selected(&sources)).unwrap();
        (narrow, mirror.input_tree(commit, Inputs::Everything).unwrap())
    };
    let (narrow, everything) = digests(&first);

    fixture.write("a", "outside\n");
    let (same, other) = digests(&fixture.commit("outside"));
    assert_eq!(narrow, same, "a file outside counts");
    assert_ne!(everything, other, "everything misses a file");

    fixture.write("docs/.gitattributes", "* text\n");
    let (attributed, _) = digests(&fixture.commit("attributes"));
    assert_ne!(narrow, attributed, "an attributes file does not count");

    set_mode(&fixture.work().join("src/lib.rs"), 0o755);
    let (executable, _) = digests(&fixture.commit("mode"));
    assert_ne!(attributed, executable, "a mode does not count");

    fixture.run(["mv", "src/lib.rs", "src/main.rs"]);
    let (moved, _) = digests(&fixture.commit("move"));
    assert_ne!(executable, moved, "a path does not count");

    fixture.run(["update-index", "--add", "--cacheinfo", &format!("160000,{first},src/sub")]);
    let (with_link, _) = digests(&fixture.commit_index("gitlink"));
    assert_ne!(moved, with_link, "a gitlink does not count");
}

#[test]
fn the_same_tree_has_the_same_digest_under_another_commit() {
    let fixture = Fixture::new();
    let first = fixture.head();
    let second = fixture.commit_index("empty");
    let mirror = fixture.mirror();
    let digest = |commit, inputs| mirror.input_tree(commit, inputs).unwrap();
    assert_ne!(first, second);
    assert_eq!(digest(&first, Inputs::Everything), digest(&second, Inputs::Everything));
    let all = Inputs::Selected(&|_| true);
    assert_eq!(digest(&first, all), digest(&second, all));
}

#[test]
fn a_found_program_is_new_enough() {
    let version = Git::find().unwrap().version();
    assert!((version.major, version.minor) >= (2, 38), "{version}");
}

/// Settings that lead an address that is nowhere to `to`, where `ssh` is let in nowhere.
fn leading(to: &str) -> Variables {
    let refusal = "echo 'git@nowhere: Permission denied (publickey).' >&2; exit 255; #";
    let pairs = [
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", format!("url.{to}.insteadOf")),
        ("GIT_CONFIG_VALUE_0", "molt://nowhere/widget.git".to_owned()),
        ("GIT_SSH_COMMAND", refusal.to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

#[test]
fn a_fetch_that_was_not_let_in_is_made_once_more() {
    let fixture = Fixture::new();
    let (there, nowhere) = (fixture.url(), "ssh://nowhere/widget.git".to_owned());
    let path = fixture.path("private.git");
    let open = |access| {
        let mirror = Mirror::open(fixture.git.clone(), &path, "molt://nowhere/widget.git");
        mirror.unwrap().with_access(access)
    };
    let late = open(Access::new(move |again| Ok(leading(if again { &there } else { &nowhere }))));
    late.fetch().unwrap();
    assert_eq!(late.branch("main").unwrap(), fixture.head());

    let never = open(Access::new(|_| Ok(leading("ssh://nowhere/widget.git"))));
    let denied = never.fetch().unwrap_err();
    assert!(matches!(denied, RepoError::RemoteDenied { .. }), "{denied:?}");
    let without = open(Access::new(|_| Err("no key".into()))).fetch().unwrap_err();
    assert!(matches!(without, RepoError::NoAccess { .. }), "{without:?}");
}
