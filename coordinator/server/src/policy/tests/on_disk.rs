//! The commands, in real working trees.

use std::fs;
use std::path::Path;

use molt_repo::{Git, Place};
use tempfile::TempDir;

use crate::policy::{InitError, Outcome, init, run_check};

/// A working tree in which these files are tracked.
fn tree(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::find().unwrap();
    let run = |args: &[&str]| git.call(Place::Within(folder.path())).args(args).run().unwrap();
    run(&["init", "--quiet"]);
    for file in files {
        write(folder.path(), file, "x\n");
    }
    run(&["add", "--all"]);
    folder
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn init_writes_a_sound_policy_once() {
    let folder = tree(&["src/main.rs", "docs/a.md", "a\nb/x", "Makefile"]);
    let path = init(&folder.path().join("src")).unwrap();
    assert_eq!(path, folder.path().canonicalize().unwrap().join("molt.toml"));
    let (text, outcome) = run_check(&path);
    assert_eq!(text, format!("{}: sound, 4 scopes, 0 gates, 0 notes\n", path.display()));
    assert_eq!(outcome.code(), 0);

    fs::write(&path, "mine").unwrap();
    let error = init(folder.path()).unwrap_err();
    assert!(matches!(&error, InitError::Exists { path: there } if *there == path), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_file_in_a_folder_below_is_held_against_the_whole_tree() {
    let folder = tree(&["src/main.rs", "docs/a.md"]);
    write(folder.path(), "docs/other.toml", "version = 1\n[scope.docs]\npaths = ['docs/**']\n");
    let path = folder.path().join("docs/other.toml");
    let (text, outcome) = run_check(&path);
    let file = path.display();
    assert_eq!(
        text,
        format!(
            "{file}:2: note: scope: tracked files in no scope: 1, first src/main.rs\n\
             {file}: sound, 1 scope, 0 gates, 1 note\n"
        )
    );
    assert_eq!(outcome, Outcome::Sound);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_told() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tree(&["src/main.rs"]);
    fs::write(folder.path().join(OsStr::from_bytes(b"src/\xff")), "x").unwrap();
    let git = Git::find().unwrap();
    git.call(Place::Within(folder.path())).args(["add", "--all"]).run().unwrap();
    write(folder.path(), "molt.toml", "version = 1\n[scope.src]\npaths = ['src/**']\n");
    let (text, outcome) = run_check(&folder.path().join("molt.toml"));
    assert_eq!(outcome, Outcome::Sound);
    assert!(text.contains("not UTF-8 are in no scope: 1, first src/\\xff\n"), "{text}");
}

#[test]
fn a_file_outside_of_a_tree_is_checked_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("molt.toml");
    let (text, outcome) = run_check(&path);
    assert!(text.ends_with("not found: `molt-coordinator init` proposes one\n"), "{text}");
    assert_eq!(outcome.code(), 2);

    fs::write(&path, "version = 1\n[scope.a]\npaths = ['a']\n[scope.b]\npaths = ['?']\n").unwrap();
    let (text, outcome) = run_check(&path);
    assert!(text.contains(":1: note: the tracked files were not looked at: "), "{text}");
    assert!(text.contains(":4: note: scope.b: scopes `a` and `b` overlap"), "{text}");
    assert!(!text.contains("matches no tracked file"), "{text}");
    assert_eq!(outcome.code(), 0);

    fs::write(&path, b"version = 1\nx = 1\n\xff").unwrap();
    let (text, outcome) = run_check(&path);
    assert!(text.contains("molt.toml:3: the text is not UTF-8\n"), "{text}");
    assert_eq!(outcome, Outcome::Faulty);
}
