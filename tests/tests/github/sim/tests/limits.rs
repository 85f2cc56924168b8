//! How near GitHub's limits somebody comes, by the simulator's clock.

use std::time::Duration;

use serde_json::json;

use super::super::meter::Meter;
use super::super::{GitHub, Load};
use super::client::{Client, PERMISSIONS};

const COMMENT: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";

#[test]
fn content_is_refused_beyond_eighty_a_minute_until_the_minute_is_over() {
    let github = GitHub::start(&PERMISSIONS);
    github.stop_clock();
    let widget = github.add_repository("acme/widget", false, &[("README.md", "# widget\n")]);
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let client = Client::installed(&github);
    let path = format!("/repos/acme/widget/issues/{number}/comments");
    let say = || client.ask("POST", &path, &json!({ "body": "hello" }));
    for _ in 0..80 {
        say().is(201);
    }
    let refused = say();
    assert_eq!((refused.status, refused.header("retry-after")), (403, Some("60")));
    let Load { content_a_minute, refused, .. } = github.load();
    assert_eq!((content_a_minute, refused), (80, 1));
    github.advance_clock(Duration::from_secs(60));
    say().is(201);
}

#[test]
fn nothing_is_answered_once_the_hour_is_used_up() {
    let github = GitHub::start(&PERMISSIONS);
    github.stop_clock();
    github.add_repository("acme/widget", false, &[("README.md", "# widget\n")]);
    // An installation's token would be over with the hour.
    let client = Client::with(&github, &github.personal_token("mona"));
    github.limit_requests(2);
    client.get("/repos/acme/widget").is(200);
    let last = client.get("/repos/acme/widget");
    assert_eq!((last.status, last.header("x-ratelimit-remaining")), (200, Some("0")));
    let refused = client.get("/repos/acme/widget");
    assert_eq!((refused.status, refused.header("x-ratelimit-remaining")), (403, Some("0")));
    github.advance_clock(Duration::from_secs(3600));
    client.get("/repos/acme/widget").is(200);
}

/// What so many landings an hour come to, each with these requests.
fn landings(an_hour: u64, requests: &[&str]) -> Load {
    let mut meter = Meter::default();
    for landing in 0..2 * an_hour {
        for operation in requests {
            // What is refused is counted, which is what is asked here.
            drop(meter.admit("installation", operation, landing * 3600 / an_hour));
        }
    }
    meter.load()
}

#[test]
fn landings_are_within_the_limits_as_long_as_they_say_little() {
    let check = "POST /repos/{owner}/{repo}/check-runs";
    let over = "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}";
    let calm = landings(300, &[check, "POST /graphql", over, COMMENT]);
    assert_eq!(calm.refused, 0);
    assert_eq!((calm.content_a_minute, calm.content_an_hour), (5, 300));
    let chatty = landings(300, &[COMMENT, COMMENT]);
    assert!(chatty.refused > 0, "{chatty:?}");
    assert_eq!(chatty.content_an_hour, 500);
}
