//! Who may ask for what, and what every answer carries.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Actor, Consistency, Entry, Fault, GitHub, Kind, Right, When};
use super::client::{Client, PERMISSIONS, jwt};

const FILES: [(&str, &str); 1] = [("README.md", "# widget\n")];

fn github() -> (GitHub, u64) {
    let github = GitHub::start(&PERMISSIONS);
    let widget = github.add_repository("acme/widget", true, &FILES);
    (github, widget)
}

#[test]
fn an_app_signs_for_ten_minutes_at_most_and_with_its_own_key() {
    let (github, _) = github();
    let ask = |token: &str| Client::with(&github, token).get("/repos/acme/widget/installation");
    let id = github.app_id();
    assert_eq!(ask(&jwt(id, -30, 300)).is(200)["app_id"], id);
    assert!(ask(&jwt(id, -30, 3600)).is(401)["message"].as_str().unwrap().contains("too far"));
    assert!(ask(&jwt(id, -600, -5)).is(401)["message"].as_str().unwrap().contains("'exp'"));
    assert!(ask(&jwt(id, 120, 300)).is(401)["message"].as_str().unwrap().contains("'iat'"));
    ask(&jwt(id + 1, -30, 300)).is(401);
    let forged = jwt(id, -30, 300).replace(".ey", ".eY");
    ask(&forged).is(401);
    ask("ghs_nobodys").is(401);
}

#[test]
fn a_token_holds_for_an_hour_and_for_what_it_was_asked_for() {
    let (github, widget) = github();
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let reader = Client::limited(&github, &json!({ "contents": "read", "checks": "read" }));
    let run = json!({ "name": "gate", "head_sha": head });
    let refused = reader.ask("POST", "/repos/acme/widget/check-runs", &run).is(403);
    assert_eq!(refused["message"], "Resource not accessible by integration");
    reader.get("/repos/acme/widget").is(200);
    reader.get("/repos/acme/other").is(404);

    let more = json!({ "permissions": { "administration": "write" } });
    let path = format!("/app/installations/{}/access_tokens", github.installation_id());
    let app = Client::with(&github, &jwt(github.app_id(), -30, 300));
    app.ask("POST", &path, &more).is(422);

    github.suspend_installation(true);
    reader.get("/repos/acme/widget").is(403);
    github.suspend_installation(false);
    github.advance_clock(Duration::from_secs(3601));
    reader.get("/repos/acme/widget").is(401);
}

#[test]
fn a_personal_token_is_its_owner_and_makes_no_check_runs() {
    let (github, widget) = github();
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    github.set_right(widget, "mona", Right::Maintain);
    let mona = Client::with(&github, &github.personal_token("mona"));
    assert_eq!(mona.get("/user").is(200)["login"], "mona");
    let run = json!({ "name": "gate", "head_sha": head });
    mona.ask("POST", "/repos/acme/widget/check-runs", &run).is(403);
    for (right, permission, role) in [
        (Right::None, "none", "none"),
        (Right::Triage, "read", "triage"),
        (Right::Maintain, "write", "maintain"),
        (Right::Admin, "admin", "admin"),
    ] {
        github.set_right(widget, "hubot", right);
        let told = mona.get("/repos/acme/widget/collaborators/hubot/permission").is(200);
        assert_eq!((&told["permission"], &told["role_name"]), (&json!(permission), &json!(role)));
    }
    let stranger = Client::with(&github, &github.personal_token("eve"));
    stranger.get("/repos/acme/widget").is(404);
}

#[test]
fn answers_carry_limits_tags_and_where_the_other_pages_are() {
    let (github, widget) = github();
    github.set_consistency(Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 });
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    for index in 0..5 {
        github.comment_as(widget, number, "mona", &format!("word {index}"));
    }
    let client = Client::installed(&github);
    let path = "/repos/acme/widget/issues/comments?per_page=2";
    let first = client.get(path);
    let left = |response: &super::client::Response| -> u64 {
        response.header("x-ratelimit-remaining").unwrap().parse().unwrap()
    };
    let before = left(&first);
    let tag = first.header("etag").unwrap().to_owned();
    let link = first.header("link").unwrap().to_owned();
    assert!(
        link.contains(&format!(
            "/repositories/{widget}/issues/comments?per_page=2&page=2>; rel=\"next\""
        )),
        "{link}"
    );
    assert!(link.contains("page=3>; rel=\"last\""), "{link}");
    let again = client.ask_with("GET", path, &Value::Null, &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, left(&again)), (304, before));

    let mut seen = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let page = client.get(&path);
        let link = page.header("link").unwrap_or_default().to_owned();
        next = link
            .split(", ")
            .find(|link| link.ends_with("rel=\"next\""))
            .map(|link| link[1..link.find('>').unwrap()].to_owned());
        seen.extend(page.is(200).as_array().unwrap().iter().map(|comment| comment["body"].clone()));
    }
    assert_eq!(seen, ["word 0", "word 1", "word 2", "word 3", "word 4"]);
}

#[test]
fn what_is_read_lags_behind_what_was_written() {
    let (github, widget) = github();
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let client = Client::installed(&github);
    let number = github.open_pull(widget, "mona", "feature");
    let path = format!("/repos/acme/widget/pulls/{number}");
    assert_eq!(client.get("/repos/acme/widget/pulls").is(200), json!([]));
    assert_eq!(client.get(&path).is(200)["mergeable"], Value::Null);
    assert_eq!(client.get(&path).is(200)["mergeable"], true);
    assert_eq!(client.get("/repos/acme/widget/pulls").is(200).as_array().unwrap().len(), 1);

    let old = client.get(&path).is(200)["head"]["sha"].clone();
    let new = github.push_commit(widget, "feature", &[("a", "2\n")]);
    assert_eq!(client.get(&path).is(200)["head"]["sha"], old);
    assert_eq!(client.get(&path).is(200)["head"]["sha"], new);
}

#[test]
fn an_unknown_request_and_a_departure_from_the_description_are_violations() {
    let (github, _) = github();
    let client = Client::installed(&github);
    client.get("/repos/acme/widget/tests").is(404);
    client.get("/repos/acme/widget/pulls?colour=red").is(200);
    client.get("/repos/acme/widget/rulesets").is(404);
    let found = github.take_violations();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].ends_with("no operation has this method and path"), "{found:?}");
    assert!(found[1].ends_with("query colour: no such parameter"), "{found:?}");
    assert!(found[2].ends_with("the simulator doesn't serve it"), "{found:?}");
    let journal = github.journal();
    let operations: Vec<_> = journal.iter().map(|entry| entry.operation.as_str()).collect();
    let token = "POST /app/installations/{installation_id}/access_tokens";
    let rulesets = "GET /repos/{owner}/{repo}/rulesets";
    let expected =
        [token, "GET /repos/acme/widget/tests", "GET /repos/{owner}/{repo}/pulls", rulesets];
    assert_eq!(operations, expected);
    let Entry { path, actor, token, body, status, .. } = &journal[2];
    assert_eq!(
        (path.as_str(), body, *status),
        ("/repos/acme/widget/pulls?colour=red", &Value::Null, 200)
    );
    assert!(token.as_ref().is_some_and(|token| token.starts_with("Bearer ghs_")), "{token:?}");
    assert!(
        matches!(actor, Actor::Installation { permissions, .. } if permissions["contents"] == "write")
    );
    assert_eq!(journal[0].actor, Actor::App(github.app_id()));
}

#[test]
#[should_panic(expected = "violations of GitHub's description")]
fn a_violation_that_nobody_took_fails_the_test() {
    let (github, _) = github();
    let response = Client::installed(&github).get("/repos/acme/widget/tests");
    assert_eq!(response.status, 404);
}

#[test]
fn a_fault_comes_at_its_request_before_or_after_the_effect() {
    let (github, widget) = github();
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let client = Client::installed(&github);
    let path = format!("/repos/acme/widget/issues/{number}/comments");
    let operation = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
    let say = |text: &str| client.ask("POST", &path, &json!({ "body": text }));
    let plan = |nth, when, kind| github.plan(Fault { operation, nth, when, kind });
    let headers = vec![("Retry-After", "60".to_owned())];
    plan(2, When::Before, Kind::Status { status: 429, message: "slow down", headers });
    say("one").is(201);
    let refused = say("two");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));

    plan(1, When::After, Kind::Html);
    let page = say("three");
    assert_eq!((page.status, page.header("content-type")), (502, Some("text/html; charset=utf-8")));
    plan(1, When::After, Kind::Truncate);
    assert!(!say("four").whole);
    plan(1, When::Before, Kind::Drop);
    assert!(!say("five").whole);
    assert!(say("six").whole);

    client.get("/repos/acme/widget").is(200);
    let said: Vec<_> =
        client.get(&path).is(200).as_array().unwrap().iter().map(|it| it["body"].clone()).collect();
    assert_eq!(said, ["one", "three", "four", "six"]);
    assert_eq!(github.journal().iter().filter(|entry| entry.operation == operation).count(), 6);
}
