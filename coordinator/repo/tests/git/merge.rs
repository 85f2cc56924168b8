//! Candidates: clean, in conflict, redone, and where there is nothing to merge.

use molt_repo::{CandidateIdentity, Merge, Method, Mirror, Oid, RepoError, TreePath};

use crate::fixture::Fixture;

pub(crate) fn identity() -> CandidateIdentity {
    CandidateIdentity {
        name: "Molt Coordinator".to_owned(),
        email: "molt@example.org".to_owned(),
        message: "Land change 7: größer\n\n".to_owned(),
        trailers: "Molt-Change: 7\n".to_owned(),
        time: 1_700_000_000,
    }
}

fn merge(mirror: &Mirror, base: &Oid, head: &Oid) -> Merge {
    mirror.merge(base, head, Method::Merge, &identity()).unwrap()
}

/// A base and a head that forked from the first commit, by what each one writes.
pub(crate) fn forked(base: &[(&str, &str)], head: &[(&str, &str)]) -> (Fixture, Oid, Oid) {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.branch("topic", &first);
    head.iter().for_each(|(path, text)| fixture.write(path, text));
    let head = fixture.commit("head");
    fixture.run(["checkout", "--quiet", "main"]);
    base.iter().for_each(|(path, text)| fixture.write(path, text));
    let base = fixture.commit("base");
    (fixture, base, head)
}

#[test]
fn a_clean_merge_has_both_parents_in_order_and_a_redo_has_the_same_id() {
    let (fixture, base, head) = forked(&[("b", "base\n")], &[("a", "head\n")]);
    let mirror = fixture.mirror();
    let Merge::Clean { commit, tree } = merge(&mirror, &base, &head) else {
        panic!("not clean");
    };
    assert_eq!(mirror.tree_of(&commit).unwrap(), tree);
    assert_eq!(mirror.first_parents(&base, &commit).unwrap(), Some(vec![commit.clone()]));
    assert!(mirror.is_ancestor(&head, &commit).unwrap());
    assert_eq!(mirror.read_file(&commit, "a").unwrap().unwrap(), b"head\n");
    assert_eq!(mirror.read_file(&commit, "b").unwrap().unwrap(), b"base\n");

    // Another mirror, another time, another machine's settings: the same object.
    let other = Mirror::open(fixture.git.clone(), fixture.path("other.git"), &fixture.url());
    let other = other.unwrap();
    other.fetch().unwrap();
    assert_eq!(merge(&other, &base, &head), Merge::Clean { commit: commit.clone(), tree });
    let later = CandidateIdentity { time: 1_700_000_001, ..identity() };
    let again = mirror.merge(&base, &head, Method::Merge, &later).unwrap();
    assert!(matches!(again, Merge::Clean { commit: other, .. } if other != commit));
}

#[test]
fn the_candidate_is_the_same_with_every_git_version() {
    // Written down once: a git that makes another object breaks redo across machines.
    let (fixture, base, head) = forked(&[("b", "base\n")], &[("a", "head\n")]);
    let Merge::Clean { commit, .. } = merge(&fixture.mirror(), &base, &head) else {
        panic!("not clean");
    };
    assert_eq!(commit.as_str(), "2af461503e33f267cffe849c325940e089ad459b");
}

#[test]
fn a_conflict_names_its_paths() {
    let (fixture, base, head) = forked(
        &[("a", "base\n"), ("src/lib.rs", "base\n"), ("b", "only base\n")],
        &[("a", "head\n"), ("src/lib.rs", "head\n")],
    );
    let paths = ["a", "src/lib.rs"].map(|path| TreePath::Text(path.to_owned())).to_vec();
    assert_eq!(merge(&fixture.mirror(), &base, &head), Merge::Conflict { paths });
}

#[test]
fn both_adding_the_same_path_otherwise_conflicts_also_where_attributes_say_union() {
    let (fixture, base, head) = forked(
        &[("new", "base\n"), (".gitattributes", "* merge=union\n")],
        &[("new", "head\n"), (".gitattributes", "* merge=union\n")],
    );
    let paths = vec![TreePath::Text("new".to_owned())];
    assert_eq!(merge(&fixture.mirror(), &base, &head), Merge::Conflict { paths });
}

#[test]
fn a_file_that_the_base_moved_takes_the_heads_change_along() {
    let (fixture, _, head) = forked(&[], &[("a", "one\ntwo\nthree\nfour\n")]);
    fixture.run(["mv", "a", "moved"]);
    let base = fixture.commit("move");
    let mirror = fixture.mirror();
    let Merge::Clean { commit, .. } = merge(&mirror, &base, &head) else { panic!("not clean") };
    assert_eq!(mirror.read_file(&commit, "a").unwrap(), None);
    let moved = mirror.read_file(&commit, "moved").unwrap().unwrap();
    assert_eq!(moved, b"one\ntwo\nthree\nfour\n");
}

#[test]
fn what_is_merged_is_up_to_date_and_fast_forward_needs_a_descendant() {
    let (fixture, base, head) = forked(&[("b", "base\n")], &[("a", "head\n")]);
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.write("c", "ahead\n");
    let ahead = fixture.commit("ahead");
    let mirror = fixture.mirror();
    assert_eq!(merge(&mirror, &ahead, &base), Merge::UpToDate);
    assert_eq!(merge(&mirror, &base, &base), Merge::UpToDate);
    let forward = |head| mirror.merge(&base, head, Method::FastForward, &identity()).unwrap();
    let tree = mirror.tree_of(&ahead).unwrap();
    assert_eq!(forward(&ahead), Merge::Clean { commit: ahead.clone(), tree });
    assert_eq!(forward(&head), Merge::Diverged);
}

#[test]
fn histories_that_share_nothing_and_commits_that_are_not_there_are_errors() {
    let fixture = Fixture::new();
    let base = fixture.head();
    fixture.run(["checkout", "--quiet", "--orphan", "alien"]);
    fixture.write("a", "alien\n");
    let alien = fixture.commit("alien");
    let mirror = fixture.mirror();
    let error = mirror.merge(&base, &alien, Method::Merge, &identity()).unwrap_err();
    assert!(matches!(error, RepoError::Unrelated { .. }), "{error}");
    let nowhere: Oid = "1".repeat(40).parse().unwrap();
    let error = mirror.merge(&base, &nowhere, Method::Merge, &identity()).unwrap_err();
    assert!(matches!(error, RepoError::MissingCommit { .. }), "{error}");
}
