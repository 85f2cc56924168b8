//! What each commit of a history changed.

use molt_repo::{TreePath, changes};

use crate::fixture::Fixture;

fn texts(commits: &[Vec<TreePath>]) -> Vec<Vec<&str>> {
    commits.iter().map(|paths| paths.iter().filter_map(TreePath::as_text).collect()).collect()
}

#[test]
fn commits_come_newest_first_with_both_sides_of_a_rename_and_without_merges() {
    let fixture = Fixture::new();
    let first = fixture.head();
    fixture.branch("side", &first);
    fixture.write("src/lib.rs", "fn side() {}\n");
    fixture.commit("side");
    fixture.run(["checkout", "--quiet", "main"]);
    fixture.run(["mv", "a", "z"]);
    fixture.commit("rename");
    fixture.run(["merge", "--quiet", "--no-ff", "-m", "join", "side"]);
    let history = changes(&fixture.work(), 10).unwrap();
    let mut seen = texts(&history);
    let last = seen.pop();
    assert_eq!(last, Some(vec!["a", "b", "src/lib.rs"]), "the first commit is compared with none");
    seen.sort();
    assert_eq!(seen, [vec!["a", "z"], vec!["src/lib.rs"]]);
    assert_eq!(changes(&fixture.work(), 10).unwrap(), history, "one order for one history");
    assert_eq!(changes(&fixture.work().join("src"), 1).unwrap().len(), 1, "bounded, from inside");
}

#[test]
fn no_commits_are_no_history_and_no_repository_is_an_error() {
    let fixture = Fixture::empty();
    assert_eq!(changes(&fixture.work(), 10).unwrap(), [] as [Vec<TreePath>; 0]);
    let nowhere = changes(&fixture.path("nowhere"), 10).unwrap_err();
    assert!(nowhere.to_string().contains("the history"), "{nowhere}");
}

#[test]
fn a_shallow_clone_ends_where_it_was_cut() {
    let fixture = Fixture::new();
    for text in ["1", "2", "3"] {
        fixture.write("b", text);
        fixture.commit(text);
    }
    let (from, to) = (format!("file://{}", fixture.url()), fixture.path("shallow"));
    let to = to.to_str().unwrap();
    fixture.run(["clone", "--quiet", "--depth", "2", from.as_str(), to]);
    let history = changes(to.as_ref(), 10).unwrap();
    assert_eq!(texts(&history)[0], ["b"]);
    assert!(history.len() <= 2, "{history:?}");
}
