//! What happens to pull requests while somebody reads them: people, forks, other Apps, branches.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Consistency, GitHub, Right};
use super::client::{Client, PERMISSIONS};

const NOW: Consistency = Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 };

fn github() -> (GitHub, u64) {
    let github = GitHub::start(&PERMISSIONS);
    github.set_consistency(NOW);
    github.stop_clock();
    let widget = github.add_repository("acme/widget", false, &[("README.md", "# widget\n")]);
    (github, widget)
}

fn pull(client: &Client<'_>, number: u64) -> Value {
    client.get(&format!("/repos/acme/widget/pulls/{number}")).is(200)
}

#[test]
fn people_change_a_pull_request_and_it_shows() {
    let (github, widget) = github();
    let fork = github.fork(widget, "mona");
    github.push_commit(fork, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "mona:feature");
    let client = Client::installed(&github);
    let opened = pull(&client, number)["updated_at"].clone();
    let shows = |what: &str, change: &dyn Fn(), field: &str, value: Value| {
        let before = pull(&client, number)["updated_at"].clone();
        github.advance_clock(Duration::from_secs(1));
        change();
        let after = pull(&client, number);
        assert_eq!(after.pointer(field), Some(&value), "{what}");
        assert!(after["updated_at"].as_str() > before.as_str(), "{what} is a change");
    };
    shows("a draft", &|| github.set_draft(widget, number, "mona", true), "/draft", json!(true));
    shows("ready", &|| github.set_draft(widget, number, "mona", false), "/draft", json!(false));
    let label = || github.label(widget, number, "hubot", "land");
    shows("a label", &label, "/labels/0/name", json!("land"));
    let unlabel = || github.unlabel(widget, number, "hubot", "land");
    shows("no label", &unlabel, "/labels", json!([]));
    let on = || github.set_auto_merge(widget, number, "hubot", Some("squash"));
    shows("auto-merge", &on, "/auto_merge/merge_method", json!("squash"));
    let off = || github.set_auto_merge(widget, number, "hubot", None);
    shows("no auto-merge", &off, "/auto_merge", Value::Null);
    shows("closed", &|| github.close_pull(widget, number, "hubot"), "/state", json!("closed"));
    shows("open", &|| github.reopen_pull(widget, number, "hubot"), "/state", json!("open"));
    let title = json!({ "title": "Better" });
    let edit = || github.edit_pull(widget, number, "mona", &title);
    shows("a title", &edit, "/title", json!("Better"));
    let say = || _ = github.comment_as(widget, number, "eve", "nice");
    shows("a comment", &say, "/comments", json!(1));
    let other = github.force_push(fork, "feature", &[("a", "2\n")]);
    let shown = pull(&client, number);
    assert_eq!(shown["head"]["sha"], other);
    assert_eq!(github.git(widget, &["rev-parse", &format!("refs/pull/{number}/head")]), other);
    assert_eq!(shown["created_at"], opened);
}

#[test]
fn a_pull_request_ends_with_its_branch_and_outlives_its_fork() {
    let (github, widget) = github();
    let fork = github.fork(widget, "mona");
    let head = github.push_commit(fork, "feature", &[("a", "1\n")]);
    let of_fork = github.open_pull(widget, "mona", "mona:feature");
    github.push_commit(widget, "feature", &[("b", "1\n")]);
    let own = github.open_pull(widget, "mona", "feature");
    let client = Client::installed(&github);
    github.delete_branch(widget, "feature");
    assert_eq!(pull(&client, own)["state"], "closed");
    assert_eq!(pull(&client, of_fork)["state"], "open", "another branch of the same name");
    let path = format!("/repos/acme/widget/pulls/{own}");
    client.ask("PATCH", &path, &json!({ "state": "open" })).is(422);

    github.delete_repository(fork);
    let shown = pull(&client, of_fork);
    assert_eq!((&shown["state"], &shown["head"]["sha"]), (&json!("open"), &json!(head)));
    assert_eq!(shown["head"]["repo"], Value::Null);
    let kept = github.git(widget, &["rev-parse", &format!("refs/pull/{of_fork}/head")]);
    assert_eq!(kept, head);
    // The description doesn't know that a fork can be gone; GitHub's answers do.
    assert!(github.take_violations().iter().all(|it| it.contains(": response /head/")));
}

#[test]
fn a_head_that_was_rewritten_while_closed_is_not_opened_again() {
    let (github, widget) = github();
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let client = Client::installed(&github);
    let path = format!("/repos/acme/widget/pulls/{number}");
    github.close_pull(widget, number, "mona");
    let further = github.push_commit(widget, "feature", &[("a", "2\n")]);
    assert_ne!(pull(&client, number)["head"]["sha"], further, "a closed one doesn't follow");
    client.ask("PATCH", &path, &json!({ "state": "open" })).is(200);
    assert_eq!(pull(&client, number)["head"]["sha"], further);
    github.close_pull(widget, number, "mona");
    github.force_push(widget, "feature", &[("a", "3\n")]);
    client.ask("PATCH", &path, &json!({ "state": "open" })).is(422);
}

#[test]
fn what_arrives_in_its_base_is_merged_by_whoever_moved_it() {
    let (github, widget) = github();
    let client = Client::installed(&github);
    let head = github.push_commit(widget, "one", &[("a", "1\n")]);
    let first = github.open_pull(widget, "mona", "one");
    let other = github.push_commit(widget, "two", &[("b", "1\n")]);
    let second = github.open_pull(widget, "mona", "two");
    github.set_auto_merge(widget, second, "mona", Some("merge"));
    let tried = pull(&client, second)["merge_commit_sha"].clone();
    assert!(tried.is_string() && tried != head, "a merge that is nowhere: {tried}");
    let main = "/repos/acme/widget/git/refs/heads/main";
    client.ask("PATCH", main, &json!({ "sha": head })).is(200);
    let merged = pull(&client, first);
    assert_eq!(
        (&merged["merged"], &merged["merged_by"]["login"]),
        (&json!(true), &json!("molt[bot]"))
    );
    assert_eq!(merged["merge_commit_sha"], head);
    assert_eq!(pull(&client, second)["merged"], false);

    let tree = github.git(widget, &["merge-tree", "--write-tree", &head, &other]);
    let both = ["commit-tree", &tree, "-p", &head, "-p", &other, "-m", "Merge"];
    let both = github.git(widget, &both);
    github.git(widget, &["update-ref", "refs/heads/main", &both]);
    let merged = pull(&client, second);
    assert_eq!((&merged["state"], &merged["merged"]), (&json!("closed"), &json!(true)));
    assert_eq!((&merged["merge_commit_sha"], &merged["auto_merge"]), (&json!(both), &Value::Null));
    let path = format!("/repos/acme/widget/pulls/{second}");
    client.ask("PATCH", &path, &json!({ "state": "open" })).is(422);
}

#[test]
fn whether_it_merges_is_unknown_again_once_its_base_moved() {
    let (github, widget) = github();
    github.set_consistency(Consistency { mergeable_null_reads: 1, ..NOW });
    github.push_commit(widget, "feature", &[("README.md", "mine\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let client = Client::installed(&github);
    let asked = || pull(&client, number)["mergeable"].clone();
    assert_eq!([asked(), asked()], [Value::Null, json!(true)]);
    github.push_commit(widget, "main", &[("README.md", "theirs\n")]);
    assert_eq!([asked(), asked()], [Value::Null, json!(false)]);
}

#[test]
fn comments_are_edited_deleted_and_asked_for_since() {
    let (github, widget) = github();
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let first = github.comment_as(widget, number, "mona", "one");
    let second = github.comment_as(widget, number, "eve", "two");
    let client = Client::installed(&github);
    github.advance_clock(Duration::from_secs(10));
    let all = "/repos/acme/widget/issues/comments?sort=updated&direction=asc";
    let before = client.get(all);
    let tag = before.header("etag").expect("every list has one").to_owned();
    let unchanged = |path: &str| {
        client.ask_with("GET", path, &Value::Null, &format!("If-None-Match: {tag}\r\n")).status
    };
    assert_eq!(unchanged(all), 304);
    github.edit_comment(widget, first, "mona", "one, better");
    assert_eq!(unchanged(all), 200);
    let ids = |path: &str| -> Vec<u64> {
        let list = client.get(path).is(200);
        let ids = list.as_array().expect("a list").iter();
        ids.map(|comment| comment["id"].as_u64().expect("a number")).collect()
    };
    assert_eq!(ids(all), [second, first], "by when they changed");
    let edited = client.get(&format!("/repos/acme/widget/issues/comments/{first}")).is(200);
    let since = edited["updated_at"].as_str().expect("a moment").to_owned();
    assert_ne!(edited["created_at"], edited["updated_at"]);
    assert_eq!(ids(&format!("{all}&since={since}")), [first], "the moment itself counts");
    github.delete_comment(widget, first, "mona");
    assert_eq!(ids(all), [second]);
}

#[test]
fn an_account_keeps_its_id_under_another_name() {
    let (github, widget) = github();
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    github.set_right(widget, "mona", Right::Maintain);
    github.comment_as(widget, number, "mona", "land");
    let client = Client::installed(&github);
    let right =
        |login: &str| client.get(&format!("/repos/acme/widget/collaborators/{login}/permission"));
    let id = github.user("mona");
    assert_eq!(right("mona").is(200)["user"]["id"], id);
    github.rename_user("mona", "lisa");
    right("mona").is(404);
    let known = right("lisa").is(200);
    assert_eq!((&known["user"]["id"], &known["role_name"]), (&json!(id), &json!("maintain")));
    let said = client.get("/repos/acme/widget/issues/comments").is(200);
    assert_eq!((&said[0]["user"]["login"], &said[0]["user"]["id"]), (&json!("lisa"), &json!(id)));
}

#[test]
fn reviews_checks_and_statuses_come_from_others_and_of_other_commits() {
    let (github, widget) = github();
    let old = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let head = github.push_commit(widget, "feature", &[("a", "2\n")]);
    github.review_of((widget, number), "hubot", "APPROVED", &old);
    let given = github.review(widget, number, "hubot", "APPROVED");
    github.dismiss_review(widget, number, "mona", given);
    let client = Client::installed(&github);
    let told = client.get(&format!("/repos/acme/widget/pulls/{number}/reviews")).is(200);
    let states: Vec<_> = told
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| (&it["state"], &it["commit_id"]))
        .collect();
    let (old, now) = (json!(old), json!(head));
    assert_eq!(states, [(&json!("APPROVED"), &old), (&json!("DISMISSED"), &now)]);

    let run = github.set_check_as(widget, 99, &json!({ "name": "ci", "head_sha": head }));
    let over = json!({ "status": "completed", "conclusion": "failure" });
    github.update_check_as(widget, 99, run, &over);
    let runs = client.get(&format!("/repos/acme/widget/commits/{head}/check-runs")).is(200);
    let run = &runs["check_runs"][0];
    assert_eq!((&run["app"]["id"], &run["conclusion"]), (&json!(99), &json!("failure")));
    github.set_status_as(widget, "eve", &head, ("ci", "success"));
    let status = client.get(&format!("/repos/acme/widget/commits/{head}/status")).is(200);
    assert_eq!((&status["state"], &status["total_count"]), (&json!("success"), &json!(1)));
}

#[test]
fn a_protected_branch_tells_what_it_requires() {
    let (github, widget) = github();
    let client = Client::installed(&github);
    let branch = || client.get("/repos/acme/widget/branches/main").is(200);
    let required = || branch()["protection"]["required_status_checks"].clone();
    assert_eq!((&branch()["protected"], &required()["contexts"]), (&json!(false), &json!([])));
    github.protect(widget, "main", &[("gate", Some(4711)), ("lint", None)]);
    assert_eq!(
        (&branch()["protected"], &required()["contexts"]),
        (&json!(true), &json!(["gate", "lint"]))
    );
    assert_eq!(required()["checks"][0], json!({ "context": "gate", "app_id": 4711 }));
    github.protect(widget, "main", &[]);
    assert_eq!(branch()["protected"], false);
}

#[test]
fn what_github_would_not_open_is_not_opened() {
    let (github, widget) = github();
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    github.git(widget, &["update-ref", "refs/heads/empty", "refs/heads/main"]);
    let client = Client::installed(&github);
    let open = |head: &str, base: &str| {
        let body = json!({ "title": "t", "head": head, "base": base });
        client.ask("POST", "/repos/acme/widget/pulls", &body)
    };
    open("empty", "main").is(422);
    open("none", "main").is(422);
    open("feature", "none").is(422);
    open("feature", "main").is(201);
    open("feature", "main").is(422);
    let onto = github.open_pull_onto(widget, "mona", "feature", "empty");
    assert_eq!(pull(&client, onto)["base"]["ref"], "empty");
}
