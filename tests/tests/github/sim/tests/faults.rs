//! What goes wrong as a test plans it: limits, old answers, slow ones, and git's own protocol.

use std::sync::mpsc;

use serde_json::{Value, json};

use super::super::git::program;
use super::super::{Consistency, Fault, Gate, GitHub, Kind, Right, When};
use super::client::{Client, PERMISSIONS};

const REF: &str = "GET /repos/{owner}/{repo}/git/ref/{ref}";
const MAIN: &str = "/repos/acme/widget/git/ref/heads/main";
const COMMENTS: &str = "GET /repos/{owner}/{repo}/issues/comments";
const COMMENT: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";

fn github() -> (GitHub, u64) {
    let github = GitHub::start(&PERMISSIONS);
    github.set_consistency(Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 });
    let widget = github.add_repository("acme/widget", false, &[("README.md", "# widget\n")]);
    (github, widget)
}

fn plan(github: &GitHub, operation: &'static str, when: When, kind: Kind) {
    github.plan(Fault { operation, nth: 1, when, kind });
}

#[test]
fn limits_are_said_in_githubs_ways() {
    let (github, _) = github();
    let client = Client::installed(&github);
    let meet = |kind| {
        plan(&github, REF, When::Before, kind);
        client.get(MAIN)
    };
    for status in [403, 429] {
        let primary = meet(Kind::primary_limit(status, 1_800_000_000));
        assert_eq!((primary.status, primary.header("x-ratelimit-remaining")), (status, Some("0")));
        assert_eq!(primary.header("x-ratelimit-reset"), Some("1800000000"));
        let secondary = meet(Kind::secondary_limit(status, Some(7)));
        assert_eq!((secondary.status, secondary.header("retry-after")), (status, Some("7")));
        let words = secondary.body["message"].as_str().expect("words").to_owned();
        assert!(words.contains("secondary rate limit"), "{words}");
        let silent = meet(Kind::secondary_limit(status, None));
        assert_eq!((silent.status, silent.header("retry-after")), (status, None));
    }
    client.get(MAIN).is(200);
}

#[test]
fn a_read_is_as_old_as_it_was_planned() {
    let (github, widget) = github();
    let client = Client::installed(&github);
    let tips: Vec<_> = ["1\n", "2\n", "3\n"]
        .iter()
        .map(|text| github.push_commit(widget, "main", &[("a", text)]))
        .collect();
    for (changes, tip) in [(0, &tips[2]), (1, &tips[1]), (2, &tips[0])] {
        plan(&github, REF, When::Before, Kind::Stale { changes });
        assert_eq!(client.get(MAIN).is(200)["object"]["sha"], **tip, "{changes} changes ago");
        assert_eq!(client.get(MAIN).is(200)["object"]["sha"], tips[2]);
    }
    github.push_commit(widget, "feature", &[("b", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let first = github.comment_as(widget, number, "mona", "one");
    github.edit_comment(widget, first, "mona", "one, better");
    github.comment_as(widget, number, "mona", "two");
    for (changes, texts) in [
        (1, json!(["one, better"])),
        (2, json!(["one"])),
        (3, json!([])),
        (0, json!(["one, better", "two"])),
    ] {
        plan(&github, COMMENTS, When::Before, Kind::Stale { changes });
        let list = client.get("/repos/acme/widget/issues/comments").is(200);
        let said: Value =
            list.as_array().expect("a list").iter().map(|it| it["body"].clone()).collect();
        assert_eq!(said, texts, "{changes} changes ago");
    }
}

#[test]
fn an_answer_waits_until_its_gate_opens() {
    let (github, widget) = github();
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let client = Client::installed(&github);
    let path = format!("/repos/acme/widget/issues/{number}/comments");
    for (when, effect) in [(When::Before, 0), (When::After, 2)] {
        let gate = Gate::default();
        plan(&github, COMMENT, when, Kind::Held(gate.clone()));
        let (done, answered) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let answer = client.ask("POST", &path, &json!({ "body": "slow" }));
                done.send(answer.status).expect("the test listens");
            });
            gate.arrived();
            assert_eq!(client.get(&path).is(200).as_array().map(Vec::len), Some(effect));
            assert!(answered.try_recv().is_err(), "it is held");
            gate.open();
            assert_eq!(answered.recv(), Ok(201));
        });
    }
    assert_eq!(client.get(&path).is(200).as_array().map(Vec::len), Some(2));
}

#[test]
fn a_push_can_lose_its_answer_before_and_after_it_moved_something() {
    let (github, widget) = github();
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let old = github.git(widget, &["rev-parse", "main"]);
    github.set_right(widget, "mona", Right::Write);
    let token = github.personal_token("mona");
    let url = github.url().replace("http://", &format!("http://x-access-token:{token}@"));
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let git = |arguments: &[&str]| {
        let mut command = program();
        command.env("GIT_TERMINAL_PROMPT", "0").arg("-C").arg(scratch.path()).args(arguments);
        command.output().expect("git is there").status.success()
    };
    let url = format!("{url}/acme/widget.git");
    assert!(git(&["init", "--quiet"]));
    assert!(git(&["fetch", "--quiet", &url, "feature"]));
    let push = || git(&["push", "--quiet", &url, "FETCH_HEAD:refs/heads/main"]);
    let main = || github.git(widget, &["rev-parse", "main"]);
    for kind in [Kind::Html, Kind::Drop, Kind::Truncate] {
        plan(&github, "git-receive-pack", When::Before, kind);
        assert!(!push());
        assert_eq!(main(), old);
    }
    plan(&github, "git-receive-pack", When::After, Kind::Drop);
    assert!(!push());
    assert_eq!(main(), head);
    assert!(push(), "and again");
    plan(&github, "git-upload-pack", When::Before, Kind::Html);
    assert!(!git(&["ls-remote", &url]));
    assert!(git(&["ls-remote", &url]));
}
