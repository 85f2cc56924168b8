//! Changed paths: renames, modes, gitlinks, deletions, names that are no text.

use std::fs;

use molt_repo::{Change, ChangedPath, Entry, Oid, TreePath};

use crate::fixture::{Fixture, set_mode, write_bytes};

fn text(path: &str) -> TreePath {
    TreePath::Text(path.to_owned())
}

/// What the mirror says about the step from the first commit to `to`.
fn changed(fixture: &Fixture, from: &Oid, to: &Oid) -> Vec<ChangedPath> {
    fixture.mirror().changed_paths(from, to).unwrap()
}

#[test]
fn added_modified_and_deleted_paths_carry_both_sides() {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.write("a", "changed\n");
    fixture.write("new", "something that resembles nothing else\n");
    fs::remove_file(fixture.work().join("b")).unwrap();
    let all = changed(&fixture, &first, &fixture.commit("second"));
    let paths: Vec<_> = all.iter().map(|changed| changed.path.clone()).collect();
    assert_eq!(paths, [text("a"), text("b"), text("new")]);
    assert!(matches!(&all[0].change, Change::Modified { old, new } if old.oid != new.oid));
    assert!(matches!(all[1].change, Change::Deleted(Entry { mode: 0o100_644, .. })));
    assert!(matches!(all[2].change, Change::Added(Entry { mode: 0o100_644, .. })));
    assert_eq!(changed(&fixture, &first, &first), []);
}

#[test]
fn a_rename_shows_on_both_sides() {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.run(["mv", "a", "elsewhere"]);
    fixture.write("elsewhere", "one\ntwo\nthree\nfour\n");
    let all = changed(&fixture, &first, &fixture.commit("move"));
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].path, text("a"));
    assert_eq!(all[0].change, Change::RenamedTo(text("elsewhere")));
    assert_eq!(all[1].path, text("elsewhere"));
    let Change::RenamedFrom { path, old, new } = &all[1].change else { panic!("{all:?}") };
    assert_eq!(*path, text("a"));
    assert_ne!(old.oid, new.oid);
}

#[test]
fn a_mode_a_kind_and_a_gitlink_are_changes() {
    let fixture = Fixture::new();
    let first = fixture.head();
    set_mode(&fixture.work().join("a"), 0o755);
    fs::remove_file(fixture.work().join("b")).unwrap();
    std::os::unix::fs::symlink("a", fixture.work().join("b")).unwrap();
    fixture.run(["add", "--all"]);
    fixture.run(["update-index", "--add", "--cacheinfo", &format!("160000,{first},sub")]);
    let second = fixture.commit_index("second");
    let all = changed(&fixture, &first, &second);
    let modes: Vec<_> = all
        .iter()
        .map(|changed| match &changed.change {
            Change::Modified { old, new } => (changed.path.to_string(), old.mode, new.mode),
            Change::Added(new) => (changed.path.to_string(), 0, new.mode),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected =
        [("a", 0o100_644, 0o100_755), ("b", 0o100_644, 0o120_000), ("sub", 0, 0o160_000)];
    assert_eq!(modes, expected.map(|(path, old, new)| (path.to_owned(), old, new)));

    fixture.run(["update-index", "--cacheinfo", &format!("160000,{second},sub")]);
    let third = fixture.commit_index("third");
    let all = changed(&fixture, &second, &third);
    assert_eq!(all.len(), 1, "a moved gitlink is one change: {all:?}");
    assert!(matches!(&all[0].change, Change::Modified { new, .. } if new.oid == second));
}

// The file systems of macOS refuse such names, so there is nothing to test there.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_no_text_stays_bytes() {
    let fixture = Fixture::new();
    let first = fixture.head();
    write_bytes(&fixture.work(), b"caf\xe9", "latin\n");
    write_bytes(&fixture.work(), "café\n\"x\"".as_bytes(), "text\n");
    let second = fixture.commit("odd names");
    let paths: Vec<_> =
        changed(&fixture, &first, &second).into_iter().map(|changed| changed.path).collect();
    assert_eq!(paths, [text("café\n\"x\""), TreePath::Bytes(b"caf\xe9".to_vec())]);
    assert!(fixture.mirror().tracked_paths(&second).unwrap().contains(&paths[1]));
}

#[test]
fn a_candidates_own_changes_are_the_cars_plus_nothing() {
    use molt_repo::{CandidateIdentity, Merge, Method};
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.branch("topic", &first);
    fixture.write("src/lib.rs", "fn other() {}\n");
    let head = fixture.commit("head");
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.write("b", "base\n");
    let base = fixture.commit("base");
    let mirror = fixture.mirror();
    let identity = CandidateIdentity {
        name: "Molt".to_owned(),
        email: "molt@example.org".to_owned(),
        message: "m".to_owned(),
        trailers: String::new(),
        time: 1,
    };
    let merged = mirror.merge(&base, &head, Method::Merge, &identity).unwrap();
    let Merge::Clean { commit, .. } = merged else { panic!("{merged:?}") };
    let fork = mirror.merge_base(&base, &head).unwrap().unwrap();
    let own = mirror.changed_paths(&fork, &head).unwrap();
    assert_eq!(own, mirror.changed_paths(&base, &commit).unwrap());
    assert_eq!(own.len(), 1);
}
