//! What no test has to look for itself: each guard sees what it is there for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::super::GitHub;
use super::super::answer::{REFUSALS, Source};
use super::client::{Client, PERMISSIONS};
use super::landing::QUERY;

fn github() -> (GitHub, u64) {
    let github = GitHub::start(&PERMISSIONS);
    let widget = github.add_repository("acme/widget", false, &[("README.md", "# widget\n")]);
    (github, widget)
}

#[test]
fn a_base_that_is_moved_back_is_seen_and_a_test_may_do_so() {
    let (github, widget) = github();
    let old = github.git(widget, &["rev-parse", "main"]);
    let new = github.push_commit(widget, "main", &[("a", "1\n")]);
    let client = Client::installed(&github);
    let main = "/repos/acme/widget/git/refs/heads/main";
    client.ask("PATCH", main, &json!({ "sha": old, "force": true })).is(200);
    let found = github.take_violations();
    let [found] = found.as_slice() else { panic!("one: {found:?}") };
    assert!(found.contains("molt[bot]") && found.contains(&new), "{found}");
    client.ask("DELETE", main, &Value::Null).is(204);
    assert_eq!(github.take_violations().len(), 1, "a base that is gone");
    github.git(widget, &["update-ref", "refs/heads/main", &new]);
    github.git(widget, &["update-ref", "refs/heads/main", &old]);
    assert_eq!(github.take_violations(), [""; 0]);
}

#[test]
#[should_panic(expected = "violations of GitHub's description")]
fn a_rewind_that_nobody_took_fails_the_test() {
    let (github, widget) = github();
    let old = github.git(widget, &["rev-parse", "main"]);
    github.push_commit(widget, "main", &[("a", "1\n")]);
    let body = json!({ "sha": old, "force": true });
    let client = Client::installed(&github);
    assert_eq!(client.ask("PATCH", "/repos/acme/widget/git/refs/heads/main", &body).status, 200);
}

#[test]
#[should_panic(expected = "merged and lost since")]
fn what_was_merged_and_is_not_in_its_base_any_more_fails_the_test() {
    let (github, widget) = github();
    let old = github.git(widget, &["rev-parse", "main"]);
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    github.open_pull(widget, "mona", "feature");
    github.git(widget, &["update-ref", "refs/heads/main", &head]);
    github.git(widget, &["update-ref", "refs/heads/main", &old]);
}

#[test]
#[should_panic(expected = "git of acme/widget")]
fn a_repository_that_git_finds_broken_fails_the_test() {
    let (github, widget) = github();
    let blob = github.git(widget, &["rev-parse", "main:README.md"]);
    let dir = github.world().state.repository(widget).git.dir.clone();
    let object = dir.join("objects").join(&blob[..2]).join(&blob[2..]);
    assert!(fs::remove_file(object).is_ok());
}

#[test]
#[should_panic(expected = "webhook pull-request-opened")]
fn an_event_that_github_would_not_send_fails_the_test() {
    let (github, _) = github();
    let event = super::super::events::Event {
        name: "pull_request",
        action: Some("opened".to_owned()),
        body: json!({ "action": "opened", "number": "one" }),
    };
    github.world().change(|state| state.events.push(event));
}

#[test]
fn heads_of_pull_requests_are_not_for_those_who_ask_to_make_or_move() {
    let (github, widget) = github();
    let base = github.git(widget, &["rev-parse", "main"]);
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let client = Client::installed(&github);
    let (refs, shown) = ("/repos/acme/widget/git/refs", format!("pull/{number}/head"));
    let made = json!({ "ref": "refs/pull/9/head", "sha": base });
    let own = format!("{refs}/{shown}");
    client.ask("POST", refs, &made).is(422);
    client.ask("PATCH", &own, &json!({ "sha": base, "force": true })).is(422);
    client.ask("DELETE", &own, &Value::Null).is(422);
    let node = client.get("/repos/acme/widget").is(200)["node_id"].clone();
    for name in ["refs/pull/9/head".to_owned(), format!("refs/{shown}")] {
        let update = json!({ "name": name, "afterOid": base, "force": true });
        let input = json!({ "repositoryId": node, "refUpdates": [update] });
        let asked = json!({ "query": QUERY, "variables": { "input": input } });
        let told = client.ask("POST", "/graphql", &asked).is(200);
        assert_eq!(told["errors"][0]["type"], "UNPROCESSABLE", "{name}: {told}");
    }
    let listed =
        github.git(widget, &["for-each-ref", "--format=%(objectname) %(refname)", "refs/pull"]);
    assert_eq!(listed, format!("{head} refs/{shown}"));
}

/// Literal texts that answers and refusals are made of outside of their one table.
fn strays(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file").path());
    let mut found = Vec::new();
    for file in files.filter(|file| file.is_file() && !file.ends_with("answer.rs")) {
        let text = fs::read_to_string(&file).expect("source is text");
        let words = REFUSALS.iter().map(|refusal| refusal.message);
        let words = words.filter(|words| text.contains(&format!("\"{words}\"")));
        found.extend(words.map(|words| format!("{}: {words}", file.display())));
    }
    found
}

#[test]
fn githubs_words_are_in_one_table_each_with_its_source() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/github/sim");
    assert_eq!(strays(&here), [""; 0]);
    let words: BTreeSet<_> = REFUSALS.iter().map(|refusal| refusal.message).collect();
    assert_eq!(words.len(), REFUSALS.len(), "one of them is there twice");
    for source in [Source::Recorded, Source::Documented, Source::Quoted] {
        assert!(REFUSALS.iter().any(|refusal| refusal.source == source), "{source:?}");
    }

    let planted = tempfile::tempdir().expect("a scratch folder");
    let file = planted.path().join("pulls.rs");
    fs::write(&file, "const WORDS: &str = \"Not Found\";\n").expect("it is ours");
    assert_eq!(strays(planted.path()).len(), 1);
}
