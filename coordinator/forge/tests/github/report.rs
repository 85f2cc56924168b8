//! What is said once, whatever happens in between.

use molt_forge::github::{Annotation, CheckReport, CommentReport, Ourselves, Outcome, Slug};
use serde_json::{Value, json};

use crate::script::{Asked, Reply, say, served};

fn place() -> Slug {
    "acme/widget".parse().unwrap()
}

fn report(annotations: usize) -> CheckReport {
    let annotation = |line| Annotation { path: "a.rs".into(), line, message: "no".into() };
    CheckReport {
        name: "molt".into(),
        id: "car_0001".into(),
        head: "a".repeat(40).parse().unwrap(),
        outcome: Outcome::Failed,
        title: "gate-failed: test".into(),
        summary: "one test is red".into(),
        annotations: (1..).take(annotations).map(annotation).collect(),
    }
}

fn runs(runs: &Value) -> Reply {
    say(200, &json!({"total_count": 9, "check_runs": runs}))
}

fn run(id: u64, external: &str) -> Value {
    json!({"id": id, "name": "molt", "head_sha": "a", "status": "queued", "external_id": external})
}

fn methods(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| asked.method.as_str()).collect()
}

#[tokio::test]
async fn a_check_run_is_made_once_and_edited_from_then_on() {
    let replies = [runs(&json!([])), say(201, &json!({"id": 8})), say(200, &json!({"id": 8}))];
    let (client, script) = served(replies, 0).await;
    assert_eq!(client.report_check(&place(), None, &report(0)).await, Ok(8));
    assert_eq!(client.report_check(&place(), Some(8), &report(0)).await, Ok(8));
    let asked = script.asked();
    assert_eq!(methods(&asked), ["GET", "POST", "PATCH"]);
    assert_eq!(asked[1].body["head_sha"], "a".repeat(40).as_str());
    assert_eq!(asked[1].body["conclusion"], "failure");
    assert!(asked[2].path.ends_with("/check-runs/8"), "{}", asked[2].path);
}

#[tokio::test]
async fn one_whose_answer_was_lost_is_found_again() {
    let made = || runs(&json!([run(3, "car_0000"), run(8, "car_0001")]));
    let (client, script) = served([runs(&json!([])), Reply::Break, made()], 0).await;
    assert_eq!(client.report_check(&place(), None, &report(0)).await, Ok(8));
    assert_eq!(methods(&script.asked()), ["GET", "POST", "GET"]);

    let (client, script) = served([made(), say(200, &json!({"id": 8}))], 0).await;
    assert_eq!(client.report_check(&place(), None, &report(0)).await, Ok(8), "after a crash");
    assert_eq!(methods(&script.asked()), ["GET", "PATCH"]);
}

#[tokio::test]
async fn annotations_go_by_fifty() {
    let edited = || say(200, &json!({"id": 8}));
    let there = json!([{"path": "a.rs", "start_line": 1, "end_line": 1, "message": "no"}]);
    let replies = [edited(), say(200, &there), edited(), edited(), edited()];
    let (client, script) = served(replies, 0).await;
    assert_eq!(client.report_check(&place(), Some(8), &report(102)).await, Ok(8));
    let asked = script.asked();
    assert_eq!(methods(&asked), ["PATCH", "GET", "PATCH", "PATCH", "PATCH"]);
    let sent = |asked: &Asked| asked.body["output"]["annotations"].as_array().map(Vec::len);
    let sizes: Vec<Option<usize>> = asked.iter().map(sent).collect();
    assert_eq!(sizes, [None, None, Some(50), Some(50), Some(1)], "what is there is not sent again");
}

#[tokio::test]
async fn a_status_has_room_for_a_line() {
    let (client, script) = served([], 0).await;
    let long = CheckReport { title: "ü".repeat(300), ..report(0) };
    assert_eq!(client.report_status(&place(), &long).await, Ok(()));
    let asked = &script.asked()[0];
    assert!(asked.path.ends_with(&format!("/statuses/{}", "a".repeat(40))), "{}", asked.path);
    assert_eq!(asked.body["description"], "ü".repeat(140).as_str());
    assert_eq!(asked.body["state"], "failure");
}

#[tokio::test]
async fn a_comment_is_ours_by_its_author_and_its_mark() {
    let mark = "<!-- molt:car_0001 -->";
    let comment = |id: u64, user: u64, body: &str| {
        json!({
            "id": id, "user": {"id": user, "login": "x", "type": "Bot"}, "body": body,
            "created_at": "", "updated_at": "", "issue_url": "https://h/repos/a/w/issues/3",
        })
    };
    let others = json!([comment(1, 5, &format!("{mark}\nforged")), comment(2, 9, "no mark")]);
    let both = json!([comment(1, 5, mark), comment(4, 9, &format!("{mark}\nours"))]);
    let replies = [say(200, &others), Reply::Break, say(200, &both), say(200, &json!({"id": 4}))];
    let (client, script) = served(replies, 0).await;
    let place = place();
    let (us, text) = (Ourselves::Account(9), format!("{mark}\nwhy"));
    let report = CommentReport { us: &us, mark, text: &text };
    let say_it = |known| client.report_comment(&place, 3, known, report);
    assert_eq!(say_it(None).await, Ok(4), "found after its answer was lost");
    assert_eq!(say_it(Some(4)).await, Ok(4));
    let asked = script.asked();
    assert_eq!(methods(&asked), ["GET", "POST", "GET", "PATCH"]);
    assert_eq!(asked[1].body["body"], text);
}
