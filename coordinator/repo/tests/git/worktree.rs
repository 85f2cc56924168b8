//! Checkouts that are switched in place, and the fingerprints of their content.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use molt_repo::{Checkout, Oid, RepoError, fingerprint};

use crate::fixture::{Fixture, set_mode, write};

const MAIN: &str = "refs/heads/main";

fn checkout(fixture: &Fixture, kept: &[&str]) -> Checkout {
    let kept = kept.iter().map(|name| name.parse().unwrap()).collect();
    Checkout::prepare(fixture.git.clone(), fixture.path("slot"), &fixture.url(), kept).unwrap()
}

fn print(fixture: &Fixture, folder: &Path) -> String {
    fingerprint(&fixture.git, folder).unwrap()
}

#[test]
fn a_switch_makes_exactly_the_commit_and_keeps_what_was_asked_for() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "target\n*.o\n");
    let first = fixture.commit("ignore");
    let slot = checkout(&fixture, &["target", "runtime/target"]);
    slot.switch(&first, MAIN).unwrap();
    let root = slot.path();
    for (path, text) in [
        ("a", "changed\n"),
        ("b.o", "ignored\n"),
        ("junk/x", "untracked\n"),
        ("target/cache", "kept\n"),
        ("runtime/target/cache", "kept\n"),
        ("runtime/junk", "untracked\n"),
    ] {
        write(root, path, text);
    }
    fixture.git.call(molt_repo::Place::Within(&root.join("junk"))).arg("init").run().unwrap();
    fs::remove_file(root.join("b")).unwrap();
    let untouched = fs::metadata(root.join("src/lib.rs")).unwrap().modified().unwrap();

    fixture.write("a", "second\n");
    let second = fixture.commit("second");
    slot.switch(&second, MAIN).unwrap();
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "second\n");
    assert!(root.join("b").exists());
    for gone in ["b.o", "junk", "runtime/junk"] {
        assert!(!root.join(gone).exists(), "{gone} is still there");
    }
    for kept in ["target/cache", "runtime/target/cache"] {
        assert!(root.join(kept).exists(), "{kept} is gone");
    }
    let state = slot.tree_state().unwrap();
    assert_eq!((state.commit, state.dirty), (second, None), "kept folders make nothing dirty");
    assert_eq!(fs::metadata(root.join("src/lib.rs")).unwrap().modified().unwrap(), untouched);
    slot.switch(&first, MAIN).unwrap();
    assert_eq!(slot.tree_state().unwrap().commit, first, "an old commit needs no ref");
}

#[test]
fn what_a_job_left_in_the_repository_does_not_outlive_it() {
    let fixture = Fixture::new();
    let first = fixture.head();
    checkout(&fixture, &[]).switch(&first, MAIN).unwrap();
    let git = fixture.path("slot/.git");
    fs::write(git.join("index.lock"), "").unwrap();
    fs::write(git.join("info/exclude"), "*\n").unwrap();
    fs::write(git.join("info/attributes"), "* eol=crlf\n").unwrap();
    fs::write(git.join("config"), "[core]\n\tworktree = /\n[broken\n").unwrap();
    write(&fixture.path("slot"), "hidden", "by the exclude file\n");

    fixture.write("a", "second\n");
    let second = fixture.commit("second");
    let slot = checkout(&fixture, &[]);
    assert!(slot.tree_state().unwrap().dirty.is_some(), "the exclude file still counts");
    slot.switch(&second, MAIN).unwrap();
    assert_eq!(fs::read(slot.path().join("a")).unwrap(), b"second\n");
    assert_eq!(slot.tree_state().unwrap().dirty, None);
}

#[test]
fn files_that_git_was_told_to_overlook_are_looked_at() {
    let fixture = Fixture::new();
    let first = fixture.head();
    let slot = checkout(&fixture, &[]);
    slot.switch(&first, MAIN).unwrap();
    let clean = slot.fingerprint().unwrap();
    for (flag, path) in [("--assume-unchanged", "a"), ("--skip-worktree", "b")] {
        let call = fixture.git.call(molt_repo::Place::Tree(slot.path()));
        call.args(["update-index", flag, path]).run().unwrap();
        write(slot.path(), path, "tampered\n");
        assert!(slot.tree_state().unwrap().dirty.is_some(), "{flag} hides a change");
        assert_ne!(slot.fingerprint().unwrap(), clean, "{flag} hides a change");
        slot.switch(&first, MAIN).unwrap();
        assert_eq!(slot.tree_state().unwrap().dirty, None, "{flag} outlives a switch");
        assert_ne!(fs::read(slot.path().join(path)).unwrap(), b"tampered\n");
        assert_eq!(slot.fingerprint().unwrap(), clean);
    }
}

#[test]
fn commits_refs_and_folders_that_are_not_there_are_told_apart() {
    let fixture = Fixture::new();
    let slot = checkout(&fixture, &[]);
    let error = slot.tree_state().unwrap_err();
    assert!(matches!(error, RepoError::NoCommits { .. }), "{error}");
    let nowhere: Oid = "1".repeat(40).parse().unwrap();
    for reference in [MAIN, "refs/heads/nowhere"] {
        let error = slot.switch(&nowhere, reference).unwrap_err();
        assert!(matches!(error, RepoError::MissingCommit { .. }), "{error}");
    }
    let unfetched = fixture.commit_index("second");
    fs::rename(fixture.work(), fixture.path("moved")).unwrap();
    let error = slot.switch(&unfetched, MAIN).unwrap_err();
    assert!(matches!(error, RepoError::RemoteGone { .. }), "{error}");

    let plain = fixture.path("plain");
    write(&plain, "precious", "mine\n");
    let error = Checkout::prepare(fixture.git.clone(), &plain, "x", vec![]).unwrap_err();
    assert!(matches!(error, RepoError::NotACheckout { .. }), "{error}");
    let error = fingerprint(&fixture.git, &plain).unwrap_err();
    assert!(matches!(error, RepoError::NotAWorkTree { .. }), "{error}");
}

#[test]
fn the_same_content_has_the_same_fingerprint_wherever_and_whenever() {
    let fixture = Fixture::new();
    let head = fixture.head();
    let slot = checkout(&fixture, &[]);
    slot.switch(&head, MAIN).unwrap();
    let here = print(&fixture, &fixture.work());
    assert_eq!(here, slot.fingerprint().unwrap(), "the place counts");
    assert_eq!(here, print(&fixture, &fixture.work().join("src")), "the subfolder counts");
    let old = UNIX_EPOCH + Duration::from_secs(86_400);
    File::options().append(true).open(fixture.work().join("a")).unwrap().set_modified(old).unwrap();
    assert_eq!(here, print(&fixture, &fixture.work()), "the time counts");

    fixture.write("a", "edited\n");
    fixture.write("new", "untracked\n");
    fs::remove_file(fixture.work().join("b")).unwrap();
    let edited = print(&fixture, &fixture.work());
    assert_ne!(edited, here);
    fixture.run(["add", "--all"]);
    assert_eq!(print(&fixture, &fixture.work()), edited, "staging counts");
    fixture.commit("the same content");
    assert_eq!(print(&fixture, &fixture.work()), edited, "committing counts");
    fixture.write("a", "one\ntwo\nthree\n");
    fixture.write("b", "bee\n");
    fs::remove_file(fixture.work().join("new")).unwrap();
    assert_eq!(print(&fixture, &fixture.work()), here, "the way there counts");
}

#[test]
fn every_kind_of_difference_has_its_own_fingerprint() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "*.o\n");
    let head = fixture.commit("ignore");
    let slot = checkout(&fixture, &[]);
    let root = slot.path().to_owned();
    let at = |path: &str| root.join(path);
    let steps: [(&str, &dyn Fn()); 9] = [
        ("clean", &|| ()),
        ("modified", &|| write(&root, "a", "two\n")),
        ("modified to the same size", &|| write(&root, "a", "six\n")),
        ("deleted", &|| fs::remove_file(at("a")).unwrap()),
        ("executable", &|| set_mode(&at("a"), 0o755)),
        ("untracked", &|| write(&root, "x", "1\n")),
        ("untracked elsewhere", &|| write(&root, "new/x", "1\n")),
        ("link", &|| symlink("a", at("x")).unwrap()),
        ("link elsewhere", &|| symlink("b", at("x")).unwrap()),
    ];
    let (mut prints, mut digests) = (Vec::new(), Vec::new());
    for (step, act) in steps {
        slot.switch(&head, MAIN).unwrap();
        act();
        let state = slot.tree_state().unwrap();
        assert_eq!(state.dirty.is_none(), step == "clean", "{step}");
        assert!(!digests.contains(&state.dirty), "{step} looks like another difference");
        digests.push(state.dirty);
        let print = slot.fingerprint().unwrap();
        assert!(!prints.contains(&print), "{step} has another's fingerprint");
        prints.push(print);
        write(&root, "ignored.o", step);
        assert_eq!(slot.fingerprint().unwrap(), prints[prints.len() - 1], "ignored files count");
    }
}

#[test]
fn a_tree_without_commits_and_a_nested_repository_have_fingerprints() {
    let fixture = Fixture::empty();
    let empty = print(&fixture, &fixture.work());
    fixture.write("a", "1\n");
    let untracked = print(&fixture, &fixture.work());
    assert_ne!(empty, untracked);
    fixture.commit("first");
    assert_eq!(print(&fixture, &fixture.work()), untracked, "the first commit counts");

    let nested = fixture.work().join("nested");
    write(&nested, "x", "1\n");
    fixture.git.call(molt_repo::Place::Within(&nested)).args(["init", "--quiet"]).run().unwrap();
    let one = print(&fixture, &fixture.work());
    assert_ne!(one, untracked);
    write(&nested, "x", "2\n");
    assert_ne!(print(&fixture, &fixture.work()), one, "a nested change is hidden");
}
