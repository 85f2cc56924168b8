//! Every change of state is told as GitHub tells it, and arrives as it was planned.

use std::collections::BTreeSet;

use molt_forge::github::webhook::Dirty;
use serde_json::{Value, json};

use super::super::{Delivery, Fate, GitHub, Right};
use super::client::{Client, PERMISSIONS};
use super::receiver::Receiver;
use crate::webhooks::stand::Stand;

const PATH: &str = "/webhooks/github";
const SECRET: &str = "between us";

fn github() -> (GitHub, u64) {
    let github = GitHub::start(&PERMISSIONS);
    let widget = github.add_repository("acme/widget", true, &[("README.md", "# widget\n")]);
    (github, widget)
}

fn listened() -> (GitHub, u64, Receiver) {
    let (github, widget) = github();
    let receiver = Receiver::with(SECRET);
    github.deliver_to(receiver.address, PATH, SECRET);
    (github, widget, receiver)
}

/// What was told since so many deliveries ago.
fn since(github: &GitHub, known: usize) -> Vec<String> {
    github.deliveries().iter().skip(known).map(Delivery::name).collect()
}

#[test]
fn each_change_is_told_once_and_in_order() {
    let (github, widget, receiver) = listened();
    let tells = |change: &dyn Fn(), expected: &[&str]| {
        let known = github.deliveries().len();
        change();
        assert_eq!(since(&github, known), expected);
    };
    tells(&|| github.set_right(widget, "hubot", Right::Write), &["member.added"]);
    tells(&|| github.set_right(widget, "hubot", Right::Admin), &["member.edited"]);
    tells(&|| _ = github.push_commit(widget, "feature", &[("a", "1\n")]), &["push"]);
    tells(&|| _ = github.open_pull(widget, "mona", "feature"), &["pull_request.opened"]);
    let push = || _ = github.push_commit(widget, "feature", &[("a", "2\n")]);
    tells(&push, &["push", "pull_request.synchronize"]);
    let force = || _ = github.force_push(widget, "feature", &[("a", "3\n")]);
    tells(&force, &["push", "pull_request.synchronize"]);
    tells(&|| github.label(widget, 1, "mona", "land"), &["pull_request.labeled"]);
    tells(&|| github.label(widget, 1, "mona", "land"), &[]);
    tells(&|| github.unlabel(widget, 1, "mona", "land"), &["pull_request.unlabeled"]);
    let draft = |draft| github.set_draft(widget, 1, "mona", draft);
    tells(&|| draft(true), &["pull_request.converted_to_draft"]);
    tells(&|| draft(false), &["pull_request.ready_for_review"]);
    let auto = |method| github.set_auto_merge(widget, 1, "mona", method);
    tells(&|| auto(Some("merge")), &["pull_request.auto_merge_enabled"]);
    tells(&|| auto(None), &["pull_request.auto_merge_disabled"]);
    let title = json!({ "title": "Better", "base": "main" });
    tells(&|| github.edit_pull(widget, 1, "mona", &title), &["pull_request.edited"]);
    tells(&|| github.edit_pull(widget, 1, "mona", &title), &[]);
    tells(&|| github.close_pull(widget, 1, "mona"), &["pull_request.closed"]);
    tells(&|| github.reopen_pull(widget, 1, "mona"), &["pull_request.reopened"]);
    let all_of_a_comment = || {
        let comment = github.comment_as(widget, 1, "mona", "land");
        github.edit_comment(widget, comment, "mona", "land!");
        github.delete_comment(widget, comment, "mona");
    };
    let told = ["issue_comment.created", "issue_comment.edited", "issue_comment.deleted"];
    tells(&all_of_a_comment, &told);
    let all_of_a_review = || {
        let review = github.review(widget, 1, "hubot", "APPROVED");
        github.dismiss_review(widget, 1, "mona", review);
    };
    tells(&all_of_a_review, &["pull_request_review.submitted", "pull_request_review.dismissed"]);
    let head = github.git(widget, &["rev-parse", "feature"]);
    let all_of_a_check = || {
        let run = github.set_check_as(widget, 99, &json!({ "name": "ci", "head_sha": head }));
        let over = json!({ "status": "completed", "conclusion": "success" });
        github.update_check_as(widget, 99, run, &over);
        github.rerequest_check(widget, "mona", run);
    };
    let told = [
        "check_run.created",
        "check_run.completed",
        "check_suite.completed",
        "check_run.rerequested",
    ];
    tells(&all_of_a_check, &told);
    let over = json!({ "status": "completed", "conclusion": "failure" });
    let run = github.set_check_as(widget, 99, &json!({ "name": "late", "head_sha": head }));
    let end = || github.update_check_as(widget, 99, run, &over);
    tells(&end, &["check_run.completed", "check_suite.completed"]);
    // It is over once, whatever is said of it since, and again once it was begun again.
    tells(&end, &[]);
    let begin = json!({ "status": "in_progress" });
    tells(&|| github.update_check_as(widget, 99, run, &begin), &[]);
    tells(&end, &["check_run.completed", "check_suite.completed"]);
    tells(&|| github.set_status_as(widget, "mona", &head, ("ci", "success")), &["status"]);
    let rule = || vec![json!({ "type": "update", "ruleset_id": 1 })];
    tells(&|| github.set_rules(widget, "other", rule()), &["repository_ruleset.created"]);
    tells(&|| github.set_rules(widget, "other", rule()), &["repository_ruleset.edited"]);
    tells(&|| github.set_rules(widget, "other", Vec::new()), &["repository_ruleset.deleted"]);
    let protect = |checks: &[_]| github.protect(widget, "other", checks);
    tells(&|| protect(&[("ci", None)]), &["branch_protection_rule.created"]);
    tells(&|| protect(&[("ci", Some(1))]), &["branch_protection_rule.edited"]);
    tells(&|| protect(&[]), &["branch_protection_rule.deleted"]);
    tells(&|| github.delete_branch(widget, "feature"), &["push", "pull_request.closed"]);
    let suspended = |suspended| github.suspend_installation(suspended);
    tells(&|| suspended(true), &["installation.suspend"]);
    tells(&|| _ = github.push_commit(widget, "unheard", &[("b", "1\n")]), &[]);
    tells(&|| suspended(false), &["installation.unsuspend"]);

    let arrived = receiver.arrived();
    let sent = github.deliveries();
    assert_eq!(arrived.len(), sent.len());
    for (arrived, sent) in arrived.iter().zip(&sent) {
        assert!(arrived.genuine, "{}", sent.name());
        assert_eq!((&*arrived.event, &arrived.id), (sent.event, &sent.id));
        assert_eq!(sent.answers, [Some(202)], "{}", sent.name());
    }
}

#[test]
fn what_is_asked_for_is_told_as_well() {
    let (github, widget, _receiver) = listened();
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let client = Client::installed(&github);
    let asks = |method: &str, path: &str, body: Value, expected: &[&str]| {
        let known = github.deliveries().len();
        let answer = client.ask(method, &format!("/repos/acme/widget{path}"), &body);
        assert!(answer.status < 300, "{answer:?}");
        assert_eq!(since(&github, known), expected);
        let senders = github.deliveries().split_off(known);
        assert!(senders.iter().all(|it| it.body["sender"]["login"] == "molt[bot]"), "{path}");
        answer.body
    };
    let opened = json!({ "title": "t", "head": "feature", "base": "main" });
    asks("POST", "/pulls", opened, &["pull_request.opened"]);
    let labels = json!({ "labels": ["queued"] });
    asks("POST", "/issues/1/labels", labels, &["pull_request.labeled"]);
    asks("DELETE", "/issues/1/labels/queued", Value::Null, &["pull_request.unlabeled"]);
    let said = json!({ "body": "hello" });
    let said = asks("POST", "/issues/1/comments", said, &["issue_comment.created"]);
    let own = format!("/issues/comments/{}", said["id"]);
    asks("PATCH", &own, json!({ "body": "goodbye" }), &["issue_comment.edited"]);
    let run = json!({ "name": "gate", "head_sha": head, "conclusion": "success" });
    let told = ["check_run.created", "check_run.completed", "check_suite.completed"];
    asks("POST", "/check-runs", run, &told);
    asks("POST", &format!("/statuses/{head}"), json!({ "state": "success" }), &["status"]);
    let moved = json!({ "sha": head });
    asks("PATCH", "/git/refs/heads/main", moved, &["push", "pull_request.closed"]);
    let merged = github.deliveries().pop().expect("the last one");
    assert_eq!(merged.body["pull_request"]["merged"], true);
    let refused =
        client.ask("POST", "/repos/acme/widget/issues/1/comments", &json!({ "body": " " }));
    assert_eq!(
        (refused.status, github.deliveries().last().map(|it| &it.id)),
        (422, Some(&merged.id))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_product_takes_them_in_and_marks_what_they_name() {
    let (github, widget) = github();
    let stand = Stand::with(&[SECRET]).await;
    github.deliver_to(stand.address, PATH, SECRET);
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    github.comment_as(widget, number, "mona", "land");
    let deliveries = github.deliveries();
    assert!(deliveries.iter().all(|it| it.answers == [Some(202)]), "{deliveries:?}");
    let marks = BTreeSet::from([
        Dirty::Branch { repository: widget, branch: "feature".to_owned() },
        Dirty::Pull { repository: widget, number },
    ]);
    assert_eq!(stand.dirty(), marks);
}

#[test]
fn deliveries_are_lost_doubled_swapped_late_and_forged() {
    let (github, widget, receiver) = listened();
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    let number = github.open_pull(widget, "mona", "feature");
    let fates = [Fate::Lost, Fate::Twice, Fate::Swapped, Fate::Late, Fate::Forged];
    for (nth, fate) in (1..).zip(fates) {
        github.plan_delivery("issue_comment", nth, fate);
    }
    let known = github.deliveries().len();
    for text in ["lost", "twice", "swapped", "late", "forged"] {
        github.comment_as(widget, number, "mona", text);
    }
    let sent = github.deliveries().split_off(known);
    let [lost, twice, swapped, late, forged] = sent.as_slice() else { panic!("five: {sent:?}") };
    assert_eq!(lost.answers, []);
    assert_eq!(twice.answers, [Some(202), Some(202)]);
    assert_eq!(late.answers, []);
    assert_eq!(forged.answers, [Some(401), Some(202)]);
    let ids = |arrived: Vec<super::receiver::Arrived>| -> Vec<String> {
        arrived.into_iter().skip(known).map(|it| it.id).collect()
    };
    let order = [twice, twice, forged, forged, swapped].map(|it| it.id.clone());
    assert_eq!(ids(receiver.arrived()), order);
    github.release_deliveries();
    github.redeliver(&lost.id);
    let again = github.deliveries().split_off(known);
    assert_eq!((&again[0].answers, &again[3].answers), (&vec![Some(202)], &vec![Some(202)]));
    assert_eq!(ids(receiver.arrived())[5..], [late.id.clone(), lost.id.clone()]);
}

#[test]
fn nobody_there_is_an_answer_too() {
    let (github, widget) = github();
    let gone = Receiver::with(SECRET).address;
    github.deliver_to(gone, PATH, SECRET);
    github.push_commit(widget, "feature", &[("a", "1\n")]);
    assert_eq!(github.deliveries()[0].answers, [None]);
}
