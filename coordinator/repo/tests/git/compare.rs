//! Two looks at a working tree: what counts as changed in between.

use std::fs;

use molt_repo::{Before, fingerprint};

use crate::fixture::{Fixture, set_mode};

/// A tree with every kind of file: tracked, edited, untracked, ignored.
fn tree() -> Fixture {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "*.o\ntarget\n");
    fixture.write("made/keep", "tracked, and an output\n");
    fixture.commit("more");
    fixture.write("b", "edited\n");
    fixture.write("notes", "untracked\n");
    fixture.write("a.o", "ignored\n");
    fixture
}

/// What counts as changed by `act`, with `made` and `src/gen` as outputs.
fn changed(act: impl Fn(&Fixture)) -> Vec<String> {
    let fixture = tree();
    let before = Before::look(&fixture.git, &fixture.work().join("src")).unwrap();
    let written = serde_json::to_string(&before).unwrap();
    let before: Before = serde_json::from_str(&written).unwrap();
    act(&fixture);
    let top = fixture.work().canonicalize().unwrap();
    let outputs = ["src/../made", "./src/gen", "..", "."].map(|it| top.join(it));
    let after = before.look_again(&fixture.git, &outputs).unwrap();
    after.changed.iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_there_counts_and_what_a_build_makes_does_not() {
    type Act = fn(&Fixture);
    let counts: [(&str, Act, &[&str]); 8] = [
        ("edited", |it| it.write("a", "two\n"), &["a"]),
        ("edited again", |it| it.write("b", "again\n"), &["b"]),
        ("put back", |it| it.write("b", "bee\n"), &["b"]),
        ("untracked", |it| it.write("notes", "more\n"), &["notes"]),
        ("mode", |it| set_mode(&it.work().join("a"), 0o755), &["a"]),
        ("gone", |it| fs::remove_file(it.work().join("src/lib.rs")).unwrap(), &["src/lib.rs"]),
        ("added", |it| drop((it.write("c", "new\n"), it.run(["add", "c"]))), &["c"]),
        (
            "another commit",
            |it| drop((it.write("c", "new\n"), it.write("a", "two\n"), it.commit("next"))),
            &["a", "c"],
        ),
    ];
    for (what, act, paths) in counts {
        assert_eq!(changed(act), paths, "{what}");
    }
    let does_not: [(&str, Act); 8] = [
        ("nothing", |_| ()),
        ("ignored", |it| it.write("a.o", "other\n")),
        ("made and ignored", |it| it.write("target/x", "1\n")),
        ("made and untracked", |it| it.write("report.txt", "1\n")),
        ("a tracked output", |it| it.write("made/keep", "other\n")),
        ("an untracked output", |it| it.write("src/gen/x.rs", "1\n")),
        ("written with the same", |it| it.write("a", "one\ntwo\nthree\n")),
        ("committed as it is", |it| drop(it.commit("as it is"))),
    ];
    for (what, act) in does_not {
        assert_eq!(changed(act), [""; 0], "{what}");
    }
    let fixture = tree();
    let before = Before::look(&fixture.git, &fixture.work()).unwrap();
    fs::remove_file(fixture.work().join("notes")).unwrap();
    fixture.write("a", "two\n");
    let whole = [fixture.work().canonicalize().unwrap()];
    let after = before.look_again(&fixture.git, &whole).unwrap();
    assert_eq!(after.changed.len(), 2, "the whole tree is nobody's output: {after:?}");
}

#[test]
fn both_looks_say_which_commit_and_how_it_differs() {
    let fixture = Fixture::empty();
    fixture.write("a", "1\n");
    let before = Before::look(&fixture.git, &fixture.work()).unwrap();
    assert_eq!(before.fingerprint(), fingerprint(&fixture.git, &fixture.work()).unwrap());
    assert_eq!(before.state(), None, "there is no commit yet");
    let commit = fixture.commit("first");
    fixture.write("a", "2\n");
    let after = before.look_again(&fixture.git, &[]).unwrap();
    let state = after.state.unwrap();
    assert_eq!((state.commit, state.dirty.is_some()), (commit, true));
    assert_eq!(after.changed.len(), 1);
    let again = Before::look(&fixture.git, &fixture.work()).unwrap();
    fs::rename(fixture.work().join(".git"), fixture.path("elsewhere")).unwrap();
    assert!(again.look_again(&fixture.git, &[]).is_err(), "who cannot look cannot tell");
}
