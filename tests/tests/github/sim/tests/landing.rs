//! What a gate and a landing ask for: pull requests, checks, refs, and git itself.

use std::process::Output;

use serde_json::{Value, json};

use super::super::git::{ZERO, program};
use super::super::{Consistency, GitHub, Right};
use super::client::{Client, PERMISSIONS};

pub(super) const QUERY: &str =
    "mutation($input: UpdateRefsInput!) {\n  updateRefs(input: $input) { clientMutationId }\n}";

fn github() -> (GitHub, u64) {
    let github = GitHub::start(&PERMISSIONS);
    github.set_consistency(Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 });
    let widget = github.add_repository("acme/widget", false, &[("README.md", "# widget\n")]);
    (github, widget)
}

/// The git program against the simulator, as whoever has the token.
fn git(github: &GitHub, token: &str, arguments: &[&str]) -> Output {
    let url = github.url().replace("http://", &format!("http://x-access-token:{token}@"));
    let arguments = arguments.iter().map(|argument| argument.replace("URL", &url));
    let mut command = program();
    command.env("GIT_TERMINAL_PROMPT", "0").args(arguments).output().unwrap()
}

fn token(github: &GitHub) -> String {
    github.set_right(only(github), "mona", Right::Write);
    github.personal_token("mona")
}

fn only(github: &GitHub) -> u64 {
    github.world().state.named("acme", "widget").unwrap()
}

#[test]
fn a_pull_request_follows_git_until_it_arrives() {
    let (github, widget) = github();
    let fork = github.fork(widget, "mona");
    let first = github.push_commit(fork, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "mona:feature");
    let client = Client::installed(&github);
    let path = format!("/repos/acme/widget/pulls/{number}");
    let shown = client.get(&path).is(200);
    assert_eq!(shown["head"]["sha"], first);
    assert_eq!(shown["head"]["repo"]["full_name"], "mona/widget");
    assert_eq!(shown["mergeable"], true);
    let second = github.push_commit(fork, "feature", &[("README.md", "mine\n")]);
    assert_eq!(github.git(widget, &["rev-parse", &format!("refs/pull/{number}/head")]), second);
    github.push_commit(widget, "main", &[("README.md", "theirs\n")]);
    assert_eq!(client.get(&path).is(200)["mergeable"], false);
    let of_commit = client.get(&format!("/repos/acme/widget/commits/{second}/pulls")).is(200);
    assert_eq!(of_commit[0]["number"], number);

    github.push_commit(widget, "other", &[("b", "1\n")]);
    let other = client
        .ask(
            "POST",
            "/repos/acme/widget/pulls",
            &json!({ "title": "t", "head": "other", "base": "main" }),
        )
        .is(201);
    let tip = other["head"]["sha"].clone();
    let moved = client.ask(
        "PATCH",
        "/repos/acme/widget/git/refs/heads/main",
        &json!({ "sha": tip, "force": false }),
    );
    assert_eq!(moved.is(200)["object"]["sha"], tip);
    let landed = client.get(&format!("/repos/acme/widget/pulls/{}", other["number"])).is(200);
    assert_eq!((&landed["state"], &landed["merged"]), (&json!("closed"), &json!(true)));
    assert_eq!(client.get(&path).is(200)["merged"], false);
    client.ask("PATCH", &path, &json!({ "state": "closed" })).is(200);
    assert_eq!(client.get("/repos/acme/widget/pulls").is(200), json!([]));
    github.git(widget, &["fsck", "--strict"]);

    // The description doesn't know that a fork can be gone; GitHub's answers do.
    github.delete_repository(fork);
    assert_eq!(client.get(&path).is(200)["head"]["repo"], Value::Null);
    assert!(github.take_violations().iter().all(|it| it.contains(": response /head/")));
}

#[test]
fn reviews_comments_labels_and_rights_are_told() {
    let (github, widget) = github();
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    github.review(widget, number, "hubot", "APPROVED");
    let client = Client::installed(&github);
    let reviews = client.get(&format!("/repos/acme/widget/pulls/{number}/reviews")).is(200);
    assert_eq!(
        (&reviews[0]["state"], &reviews[0]["commit_id"]),
        (&json!("APPROVED"), &json!(head))
    );
    let of_pull = format!("/repos/acme/widget/issues/{number}");
    let said =
        client.ask("POST", &format!("{of_pull}/comments"), &json!({ "body": "hello" })).is(201);
    assert_eq!(said["user"]["login"], "molt[bot]");
    let own = format!("/repos/acme/widget/issues/comments/{}", said["id"]);
    client.ask("PATCH", &own, &json!({ "body": "goodbye" })).is(200);
    github.comment_as(widget, number, "mona", "@molt land");
    let since =
        "/repos/acme/widget/issues/comments?since=2020-01-01T00:00:00Z&sort=updated&direction=asc";
    let all = client.get(since).is(200);
    assert_eq!((&all[0]["body"], &all[1]["body"]), (&json!("goodbye"), &json!("@molt land")));
    let later = "/repos/acme/widget/issues/comments?since=2999-01-01T00:00:00Z";
    assert_eq!(client.get(later).is(200), json!([]));
    let labels =
        client.ask("POST", &format!("{of_pull}/labels"), &json!({ "labels": ["queued"] })).is(200);
    assert_eq!(labels[0]["name"], "queued");
    assert_eq!(
        client.ask("DELETE", &format!("{of_pull}/labels/queued"), &Value::Null).is(200),
        json!([])
    );
    client.ask("DELETE", &format!("{of_pull}/labels/queued"), &Value::Null).is(404);
    client.ask("POST", "/repos/acme/widget/issues/99/comments", &json!({ "body": "?" })).is(404);
    let rules = vec![json!({
        "type": "required_status_checks", "ruleset_id": 1, "ruleset_source": "acme/widget",
        "ruleset_source_type": "Repository",
        "parameters": {
            "strict_required_status_checks_policy": false,
            "required_status_checks": [{ "context": "gate", "integration_id": 4711 }],
        },
    })];
    github.set_rules(widget, "main", rules);
    assert_eq!(
        client.get("/repos/acme/widget/rules/branches/main").is(200)[0]["type"],
        "required_status_checks"
    );
    assert_eq!(client.get("/repos/acme/widget/branches/main").is(200)["protected"], true);
    client.get("/repos/acme/widget/branches/none").is(404);
}

#[test]
fn checks_are_of_an_app_and_statuses_of_a_context() {
    let (github, widget) = github();
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let client = Client::installed(&github);
    let runs = format!("/repos/acme/widget/commits/{head}/check-runs");
    let made = json!({ "name": "gate", "head_sha": head, "status": "in_progress", "external_id": "job-1" });
    let run = client.ask("POST", "/repos/acme/widget/check-runs", &made).is(201);
    let own = format!("/repos/acme/widget/check-runs/{}", run["id"]);
    let note = json!({ "path": "a", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no" });
    let output = json!({ "title": "1 failed", "summary": "a", "annotations": [note] });
    let over = json!({ "status": "completed", "conclusion": "failure", "output": output });
    assert_eq!(client.ask("PATCH", &own, &over).is(200)["conclusion"], "failure");
    let notes = client.get(&format!("{own}/annotations")).is(200);
    assert_eq!(notes[0]["message"], "no");
    let foreign = json!({ "name": "gate", "head_sha": head, "status": "queued" });
    let foreign = github.set_check_as(widget, 99, &foreign);
    let listed = client.get(&format!("{runs}?check_name=gate")).is(200);
    assert_eq!(listed["total_count"], 2);
    assert_eq!(
        client.get(&format!("{runs}?app_id=4711")).is(200)["check_runs"][0]["external_id"],
        "job-1"
    );
    client
        .ask(
            "PATCH",
            &format!("/repos/acme/widget/check-runs/{foreign}"),
            &json!({ "name": "mine" }),
        )
        .is(403);

    let combined = format!("/repos/acme/widget/commits/{head}/status");
    assert_eq!(client.get(&combined).is(200)["state"], "pending");
    for (state, all) in [("failure", "failure"), ("success", "success")] {
        let status = json!({ "state": state, "context": "ci", "description": "d" });
        client.ask("POST", &format!("/repos/acme/widget/statuses/{head}"), &status).is(201);
        let told = client.get(&combined).is(200);
        assert_eq!((&told["state"], &told["total_count"]), (&json!(all), &json!(1)));
    }
}

#[test]
fn a_ref_moves_forward_only_unless_it_is_forced() {
    let (github, widget) = github();
    let old = github.git(widget, &["rev-parse", "main"]);
    let new = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let client = Client::installed(&github);
    let path = "/repos/acme/widget/git/refs/heads/main";
    client.ask("PATCH", path, &json!({ "sha": new })).is(200);
    let refused = client.ask("PATCH", path, &json!({ "sha": old })).is(422);
    assert_eq!(refused["message"], "Update is not a fast forward");
    client.ask("PATCH", path, &json!({ "sha": old, "force": true })).is(200);
    assert_eq!(github.take_violations().len(), 1, "nobody should do that to a base");
    assert_eq!(client.get("/repos/acme/widget/git/ref/heads/main").is(200)["object"]["sha"], old);
    let absent = "1".repeat(40);
    client.ask("PATCH", path, &json!({ "sha": absent })).is(422);
    let fence = json!({ "ref": "refs/molt/fence", "sha": old });
    client.ask("POST", "/repos/acme/widget/git/refs", &fence).is(201);
    client.ask("POST", "/repos/acme/widget/git/refs", &fence).is(422);
    client.ask("DELETE", "/repos/acme/widget/git/refs/molt/fence", &Value::Null).is(204);
    client.get("/repos/acme/widget/git/ref/molt/fence").is(404);
}

#[test]
fn refs_move_together_or_not_at_all() {
    let (github, widget) = github();
    let old = github.git(widget, &["rev-parse", "main"]);
    let new = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let client = Client::installed(&github);
    let node = client.get("/repos/acme/widget").is(200)["node_id"].clone();
    let update = |updates: Value| {
        let input = json!({ "repositoryId": node, "refUpdates": updates });
        client
            .ask("POST", "/graphql", &json!({ "query": QUERY, "variables": { "input": input } }))
            .is(200)
    };
    let main = |before: &str, after: &str| json!({ "name": "refs/heads/main", "beforeOid": before, "afterOid": after });
    let fence = |before: &str, after: &str| json!({ "name": "refs/molt/fence", "beforeOid": before, "afterOid": after });
    assert_eq!(update(json!([main(&old, &new), fence(ZERO, &old)]))["errors"], Value::Null);
    assert_eq!(
        github.git(widget, &["rev-parse", "main", "refs/molt/fence"]),
        format!("{new}\n{old}")
    );

    // Each of these has one good half, which must not be done.
    let third = github.push_commit(widget, "feature", &[("a", "2\n")]);
    for updates in [
        json!([main(&new, &third), fence(ZERO, &new)]),
        json!([fence(&old, &new), main(&old, &third)]),
        json!([fence(&old, &new), main(&new, &old)]),
        json!([fence(&old, &new), main(&new, &"1".repeat(40))]),
    ] {
        let told = update(updates.clone());
        assert_eq!(told["errors"][0]["type"], "UNPROCESSABLE", "{updates}");
        assert_eq!(told["data"]["updateRefs"], Value::Null);
        assert_eq!(
            github.git(widget, &["rev-parse", "main", "refs/molt/fence"]),
            format!("{new}\n{old}")
        );
    }
    let forced =
        json!([{ "name": "refs/heads/main", "beforeOid": new, "afterOid": old, "force": true }]);
    assert_eq!(update(forced)["errors"], Value::Null);
    assert_eq!(github.take_violations().len(), 1, "nobody should do that to a base");
    let unguarded = json!([{ "name": "refs/heads/fresh", "afterOid": old }]);
    assert_eq!(update(unguarded)["errors"], Value::Null);

    let reader = Client::limited(&github, &json!({ "contents": "read" }));
    let input = json!({ "repositoryId": node, "refUpdates": [main(&old, &new)] });
    let told = reader
        .ask("POST", "/graphql", &json!({ "query": QUERY, "variables": { "input": input } }))
        .is(200);
    assert_eq!(told["errors"][0]["type"], "FORBIDDEN");
    for (query, field) in [(QUERY, "colour"), ("query { viewer { login } }", "force")] {
        let input = json!({ "repositoryId": node, "refUpdates": [{ "name": "refs/heads/x", "afterOid": old, field: true }] });
        client
            .ask("POST", "/graphql", &json!({ "query": query, "variables": { "input": input } }))
            .is(200);
        assert_eq!(github.take_violations().len(), 1, "{query} {field}");
    }
}

#[test]
fn git_fetches_pull_requests_and_pushes_what_the_token_may() {
    let (github, widget) = github();
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let scratch = tempfile::tempdir().unwrap();
    let here = scratch.path().to_str().unwrap();
    assert!(git(&github, "x", &["init", "--quiet", here]).status.success());
    let token = token(&github);
    let shown = format!("refs/pull/{number}/head");
    let fetched = git(&github, &token, &["-C", here, "fetch", "URL/acme/widget.git", &shown]);
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let push = |token: &str, to: &str| {
        let pushed = git(
            &github,
            token,
            &["-C", here, "push", "URL/acme/widget.git", &format!("FETCH_HEAD:{to}")],
        );
        (pushed.status.success(), String::from_utf8_lossy(&pushed.stderr).into_owned())
    };
    let hidden = push(&token, &shown.replace("head", "merge"));
    assert!(!hidden.0 && hidden.1.contains("deny updating a hidden ref"), "{}", hidden.1);
    let rule = json!({ "type": "update", "ruleset_id": 1 });
    github.set_rules(widget, "main", vec![rule]);
    let guarded = push(&token, "refs/heads/main");
    assert!(
        !guarded.0 && guarded.1.contains("GH006: Protected branch update failed"),
        "{}",
        guarded.1
    );
    github.set_rules(widget, "main", Vec::new());
    let stranger = github.personal_token("eve");
    assert!(!push(&stranger, "refs/heads/main").0);
    assert!(!push("ghs_nobodys", "refs/heads/main").0);
    assert!(push(&token, "refs/heads/main").0);
    assert_eq!(github.git(widget, &["rev-parse", "main"]), head);
    let client = Client::installed(&github);
    assert_eq!(client.get(&format!("/repos/acme/widget/pulls/{number}")).is(200)["merged"], true);
}
