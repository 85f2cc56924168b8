//! Commits of our own on the base: all of a head as one, and each of its commits anew.

use molt_repo::{CandidateIdentity, Merge, Method, Mirror, Oid, TreePath};

use crate::fixture::Fixture;
use crate::merge::{forked, identity};

const TRAILERS: &str = "Molt-Change: 7";

fn made(mirror: &Mirror, base: &Oid, head: &Oid, method: Method) -> Merge {
    mirror.merge(base, head, method, &identity()).unwrap()
}

#[track_caller]
fn clean(merge: Merge) -> Oid {
    let Merge::Clean { commit, .. } = merge else { panic!("{merge:?}") };
    commit
}

/// What git says of a commit in a mirror.
fn shown(mirror: &Mirror, commit: &Oid, format: &str) -> String {
    let output = std::process::Command::new("git")
        .arg("--git-dir")
        .arg(mirror.path())
        .args(["show", "--no-patch", "--date=raw", &format!("--format={format}"), commit.as_str()])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn file(mirror: &Mirror, commit: &Oid, path: &str) -> String {
    String::from_utf8(mirror.read_file(commit, path).unwrap().unwrap_or_default()).unwrap()
}

/// Commits as somebody else, at another time than everybody.
fn commit_as(fixture: &Fixture, who: &str, message: &str) -> Oid {
    fixture.run(["add", "--all"]);
    let author = format!("--author={who}");
    fixture.run(["commit", "--quiet", &author, "--date=@1600000000 +0200", "-m", message]);
    fixture.head()
}

/// A base that moved on, and a head of three commits that forked before it.
fn three() -> (Fixture, Oid, Oid) {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.branch("topic", &first);
    fixture.write("a", "one\ntwo\n3\n");
    commit_as(&fixture, "Ann <ann@example.org>", "count");
    fixture.write("c", "see\n");
    commit_as(&fixture, "Bób <bob@example.org>", "see\n\nAcked-by: Cyd");
    fixture.write("d", "dee\n");
    let head = commit_as(&fixture, "Ann <ann@example.org>", "add d\n\nAcked-by: Cyd");
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.write("a", "one\ntwo\nIII\n");
    fixture.write("b", "base\n");
    let base = fixture.commit("base");
    (fixture, base, head)
}

#[test]
fn a_squash_is_one_commit_on_the_base_alone_by_the_heads_author() {
    let (fixture, base, head) = three();
    let mirror = fixture.mirror();
    // Where both changed the same line there is a conflict, as with a merge.
    let paths = vec![TreePath::Text("a".to_owned())];
    assert_eq!(made(&mirror, &base, &head, Method::Squash), Merge::Conflict { paths });
    let (fixture, base, head) = forked(&[("b", "base\n")], &[("a", "head\n"), ("c", "see\n")]);
    fixture.run(["checkout", "--quiet", "topic"]);
    fixture.run(["commit", "--quiet", "--amend", "--author=Bób <b@x>", "-m", "its own words"]);
    let (head, old) = (fixture.head(), head);
    assert_ne!(head, old);
    let mirror = fixture.mirror();
    let commit = clean(made(&mirror, &base, &head, Method::Squash));
    assert_eq!(shown(&mirror, &commit, "%P"), base.as_str());
    assert_eq!(shown(&mirror, &commit, "%an <%ae> %ad"), "Bób <b@x> 1700000000 +0000");
    let committer = "Molt Coordinator <molt@example.org> 1700000000 +0000";
    assert_eq!(shown(&mirror, &commit, "%cn <%ce> %cd"), committer);
    assert_eq!(shown(&mirror, &commit, "%B"), format!("Land change 7: größer\n\n{TRAILERS}"));
    assert_eq!(file(&mirror, &commit, "a"), "head\n");
    assert_eq!(file(&mirror, &commit, "b"), "base\n");
    assert!(!mirror.is_ancestor(&head, &commit).unwrap());
    assert_eq!(clean(made(&mirror, &base, &head, Method::Squash)), commit, "a redo");
}

#[test]
fn each_commit_is_carried_with_its_author_and_its_words() {
    let (fixture, _, head) = three();
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.write("a", "one\ntwo\nthree\n");
    let base = fixture.commit("back");
    let mirror = fixture.mirror();
    let tip = clean(made(&mirror, &base, &head, Method::Rebase));
    let way = mirror.first_parents(&base, &tip).unwrap().unwrap();
    assert_eq!(way.len(), 3);
    let told = |format: &str| way.iter().map(|it| shown(&mirror, it, format)).collect::<Vec<_>>();
    let authors = ["Ann <ann@example.org>", "Bób <bob@example.org>", "Ann <ann@example.org>"];
    let authors = authors.map(|who| format!("{who} 1600000000 +0200"));
    assert_eq!(told("%an <%ae> %ad"), authors);
    let committer = "Molt Coordinator <molt@example.org> 1700000000 +0000";
    assert_eq!(told("%cn <%ce> %cd"), [committer; 3]);
    let last = format!("add d\n\nAcked-by: Cyd\n{TRAILERS}");
    assert_eq!(told("%B"), ["count", "see\n\nAcked-by: Cyd", &last]);
    assert!(way.iter().all(|it| shown(&mirror, it, "%P").len() == 40), "one parent each");
    assert_eq!(file(&mirror, &way[0], "a"), "one\ntwo\n3\n");
    assert_eq!(mirror.read_file(&way[0], "c").unwrap(), None, "not before its turn");
    assert_eq!(file(&mirror, &tip, "b"), "base\n");
    // Another mirror makes the same objects.
    let other = Mirror::open(fixture.git.clone(), fixture.path("other.git"), &fixture.url());
    let other = other.unwrap();
    other.fetch().unwrap();
    assert_eq!(clean(made(&other, &base, &head, Method::Rebase)), tip);
    let later = CandidateIdentity { time: 1_700_000_001, ..identity() };
    assert_ne!(clean(mirror.merge(&base, &head, Method::Rebase, &later).unwrap()), tip);
}

#[test]
fn a_commit_follows_a_file_that_the_base_moved() {
    let (fixture, _, head) = forked(&[], &[("a", "one\ntwo\nthree\nfour\n")]);
    fixture.run(["mv", "a", "moved"]);
    let base = fixture.commit("move");
    let mirror = fixture.mirror();
    let tip = clean(made(&mirror, &base, &head, Method::Rebase));
    assert_eq!(file(&mirror, &tip, "moved"), "one\ntwo\nthree\nfour\n");
    assert_eq!(mirror.read_file(&tip, "a").unwrap(), None);
}

#[test]
fn what_the_base_has_already_is_left_out_and_nothing_is_no_candidate() {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.branch("topic", &first);
    fixture.write("a", "same\n");
    let picked = fixture.commit("one");
    fixture.commit("empty from the beginning");
    fixture.write("c", "more\n");
    let head = fixture.commit("two");
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.write("a", "same\n");
    let base = fixture.commit("the same by another");
    let mirror = fixture.mirror();
    let tip = clean(made(&mirror, &base, &head, Method::Rebase));
    assert_eq!(mirror.first_parents(&base, &tip).unwrap(), Some(vec![tip.clone()]));
    assert_eq!(shown(&mirror, &tip, "%s"), "two");
    for method in [Method::Squash, Method::Rebase] {
        assert_eq!(made(&mirror, &base, &picked, method), Merge::Nothing);
        assert_eq!(made(&mirror, &base, &first, method), Merge::UpToDate);
    }
}

#[test]
fn a_conflict_is_of_the_commit_that_has_it_and_a_merge_is_not_carried() {
    let (fixture, base, head) = three();
    let mirror = fixture.mirror();
    let paths = vec![TreePath::Text("a".to_owned())];
    assert_eq!(made(&mirror, &base, &head, Method::Rebase), Merge::Conflict { paths });
    fixture.run(["checkout", "--quiet", "topic"]);
    fixture.run(["merge", "--quiet", "--strategy=ours", "-m", "merge", "main"]);
    let commit = fixture.head();
    fixture.write("e", "on top\n");
    let head = fixture.commit("on top");
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.write("f", "ahead\n");
    let base = fixture.commit("ahead");
    let mirror = fixture.mirror();
    assert_eq!(made(&mirror, &base, &head, Method::Rebase), Merge::HasMerge { commit });
}

#[test]
fn more_commits_than_are_carried_are_told() {
    let fixture = Fixture::new();
    let base = fixture.head();
    fixture.branch("topic", &base);
    for n in 0..251 {
        fixture.commit_index(&format!("{n}"));
    }
    let head = fixture.head();
    let mirror = fixture.mirror();
    assert_eq!(made(&mirror, &base, &head, Method::Rebase), Merge::TooMany { limit: 250 });
}

#[test]
fn words_in_another_encoding_are_carried_byte_by_byte() {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.branch("topic", &first);
    fixture.write("c", "see\n");
    fixture.run(["add", "--all"]);
    fixture.run(["config", "i18n.commitEncoding", "ISO-8859-1"]);
    std::fs::write(fixture.path("words"), b"gr\xf6\xdfer\n").unwrap();
    let words = fixture.path("words");
    fixture.run(["commit", "--quiet", "-F", words.to_str().unwrap()]);
    let head = fixture.head();
    fixture.run(["config", "--unset", "i18n.commitEncoding"]);
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.write("b", "base\n");
    let base = fixture.commit("base");
    let mirror = fixture.mirror();
    let tip = clean(made(&mirror, &base, &head, Method::Rebase));
    assert_eq!(shown(&mirror, &tip, "%s %e"), "größer ISO-8859-1");
}
