//! What GitHub's own rules ask of a change, and what stands in the way of landing it at all.

use serde_json::{Value, json};

use super::operation::{LAND, PUSH};
use super::stand::{FORWARD, MANIFEST, OPEN, SQUASH, Stand};
use crate::sim::{Entry, When};

/// Another program that checks changes.
const CI: u64 = 99;

/// The most that a page holds.
const PAGE: usize = 100;

/// A rule of the ruleset that the simulator knows.
fn rule(kind: &str, parameters: Value) -> Value {
    let rule = json!({
        "type": kind, "ruleset_source_type": "Repository", "ruleset_source": "acme/widget",
        "ruleset_id": 42,
    });
    match parameters {
        Value::Null => rule,
        parameters => {
            let mut rule = rule;
            rule["parameters"] = parameters;
            rule
        }
    }
}

/// A rule that wants so many approvals.
pub(super) fn approvals(count: u32) -> Value {
    let parameters = json!({
        "required_approving_review_count": count, "dismiss_stale_reviews_on_push": false,
        "require_code_owner_review": false, "require_last_push_approval": false,
        "required_review_thread_resolution": false,
    });
    rule("pull_request", parameters)
}

/// A check run of `app` called `ci`.
fn report(stand: &Stand, number: u64, app: u64, conclusion: Option<&str>) -> u64 {
    let head = stand.head(number);
    let fields = match conclusion {
        Some(word) => {
            json!({"name": "ci", "head_sha": head, "status": "completed", "conclusion": word})
        }
        None => json!({"name": "ci", "head_sha": head, "status": "queued"}),
    };
    stand.github.set_check_as(stand.widget, app, &fields)
}

/// Waits until it is told that this is in the way, and how that is mended.
async fn blocked(stand: &Stand, number: u64, what: &str, fix: &str) {
    let told = format!("ruleset-blocked: {what}");
    stand.until(what, |stand| stand.check_says(number, &told)).await;
    assert!(stand.summary(number).contains(fix), "{}", stand.summary(number));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_counts_from_its_app_alone_and_once_it_is_green() {
    let mut stand = Stand::new(FORWARD).hearing();
    stand.github.protect(stand.widget, "main", &[("ci", Some(CI))]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it waits", |stand| stand.check_says(number, "ci has not reported")).await;
    stand.github.set_status_as(stand.widget, "eve", &stand.head(number), ("ci", "success"));
    report(&stand, number, 98, Some("success"));
    stand
        .until("it knows better", |stand| {
            stand.check_says(number, "ci was reported by others than its App 99")
        })
        .await;
    let run = report(&stand, number, CI, None);
    stand.until("it waits for it", |stand| stand.check_says(number, "ci is not decided")).await;
    let red = json!({"status": "completed", "conclusion": "failure"});
    stand.github.update_check_as(stand.widget, CI, run, &red);
    stand.until("it is red", |stand| stand.check_says(number, "gate-failed: ci is red")).await;
    assert_eq!(stand.main(), base);
    report(&stand, number, CI, Some("success"));
    stand.until("the head lands", |stand| stand.main() == stand.head(number)).await;
    stand.until("it says so", |stand| stand.check_says(number, "landed as")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_anybody_may_report_has_to_be_green_from_everybody() {
    let mut stand = Stand::new(FORWARD).hearing();
    stand.github.protect(stand.widget, "main", &[("ci", None)]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    report(&stand, number, CI, Some("neutral"));
    stand.github.set_status_as(stand.widget, "eve", &stand.head(number), ("ci", "pending"));
    stand.ask(number, "mona");
    stand.until("it waits", |stand| stand.check_says(number, "ci is not decided")).await;
    stand.github.set_status_as(stand.widget, "eve", &stand.head(number), ("ci", "success"));
    stand.until("the head lands", |stand| stand.main() == stand.head(number)).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_green_check_of_another_head_says_nothing_of_this_one() {
    let mut stand = Stand::new(FORWARD).hearing();
    stand.github.protect(stand.widget, "main", &[("ci", Some(CI))]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    report(&stand, number, CI, Some("success"));
    stand.github.push_commit(stand.widget, "feature/a", &[("a", "2\n")]);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it waits", |stand| stand.check_says(number, "ci has not reported")).await;
    report(&stand, number, CI, Some("success"));
    stand.until("the head lands", |stand| stand.main() == stand.head(number)).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviews_count_of_who_may_write_and_for_this_head() {
    let mut stand = Stand::new(OPEN).hearing();
    stand.github.set_bypass(stand.widget, "always");
    stand.github.set_rules(stand.widget, "main", vec![approvals(1)]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let widget = stand.widget;
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it waits", |stand| stand.check_says(number, "0 of 1 approvals")).await;
    stand.github.review(widget, number, "eve", "APPROVED");
    stand.github.review(widget, number, "mona", "APPROVED");
    stand.round().await;
    assert!(stand.check_says(number, "0 of 1 approvals of this head"), "of nobody who counts");
    let old = stand.head(number);
    stand.github.push_commit(widget, "feature/a", &[("a", "2\n")]);
    stand.github.review_of((widget, number), "lead", "APPROVED", &old);
    stand.ask(number, "mona");
    stand.until("it is of the old", |stand| stand.check_says(number, "1 person approved an")).await;
    let against = stand.github.review(widget, number, "lead", "CHANGES_REQUESTED");
    stand.until("it is heard", |stand| stand.check_says(number, "changes are requested")).await;
    stand.github.dismiss_review(widget, number, "mona", against);
    stand.until("it is over", |stand| stand.check_says(number, "0 of 1 approvals")).await;
    assert_eq!(stand.landings(&stand.head(number)), 0);
    stand.github.review(widget, number, "lead", "APPROVED");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_landing_could_pass_is_told_before_with_its_fix() {
    let mut stand = Stand::new(OPEN).hearing();
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (widget, base) = (stand.widget, stand.main());
    stand.github.protect(widget, "main", &[("ci", None)]);
    stand.serve().await;
    stand.ask(number, "mona");
    blocked(&stand, number, "the branch protection wants status checks", "let the App").await;
    stand.github.protect(widget, "main", &[]);
    stand.github.set_bypass(widget, "pull_requests_only");
    stand.github.set_rules(widget, "main", vec![approvals(0)]);
    let (what, fix) = ("the ruleset guard wants pull requests", "not for pull requests only");
    blocked(&stand, number, what, fix).await;
    stand.github.set_bypass(widget, "never");
    stand.github.set_rules(widget, "main", vec![rule("required_linear_history", Value::Null)]);
    blocked(&stand, number, "the ruleset guard wants linear history", "in molt.toml").await;
    assert_eq!(stand.main(), base);
    stand.github.set_rules(widget, "main", Vec::new());
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_githubs_own_queue_nothing_lands_whoever_may_pass_it_by() {
    let mut stand = Stand::new(OPEN).hearing();
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (widget, base) = (stand.widget, stand.main());
    let queue = json!({
        "check_response_timeout_minutes": 5, "grouping_strategy": "ALLGREEN",
        "max_entries_to_build": 5, "max_entries_to_merge": 5, "merge_method": "MERGE",
        "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 5,
    });
    stand.github.set_bypass(widget, "always");
    stand.github.set_rules(widget, "main", vec![rule("merge_queue", queue)]);
    stand.serve().await;
    stand.ask(number, "mona");
    blocked(&stand, number, "the ruleset guard wants merge queue", "turn the merge queue off")
        .await;
    assert_eq!(stand.main(), base);
    stand.github.set_rules(widget, "main", Vec::new());
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_take_a_right_of_their_own() {
    let mut stand = Stand::new(OPEN).hearing();
    let files = [(".github/workflows/ci.yml", "on: push\n")];
    let number = stand.pull("mona", "feature/a", &files);
    let base = stand.main();
    stand.serve().await;
    stand.ask(number, "mona");
    stand
        .until("it is told", |stand| {
            stand.check_says(number, "auth-lost: it changes .github/workflows/ci.yml")
        })
        .await;
    assert!(stand.summary(number).contains("grant the App `workflows: write`"));
    assert_eq!(stand.main(), base);
    stand.github.grant("workflows", "write");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_is_missing_is_named_and_granted_is_used_at_once() {
    let granted = MANIFEST.into_iter().filter(|(name, _)| *name != "statuses");
    let granted: Vec<(&str, &str)> = granted.collect();
    let mut stand = Stand::granted(OPEN, &granted).hearing();
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    stand.ask(number, "mona");
    let named = "auth-lost: the installation lacks `statuses: read`";
    stand.until("it is named", |stand| stand.check_says(number, named)).await;
    assert_eq!(stand.main(), base);
    stand.github.grant("statuses", "write");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_suspended_nothing_lands_and_nothing_is_lost() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    stand.github.suspend_installation(true);
    stand.ask(number, "mona");
    let refused = |stand: &Stand| stand.github.journal().iter().any(|entry| entry.status == 403);
    stand.until("it is refused", refused).await;
    assert_eq!(stand.main(), base);
    assert_eq!(stand.checks(number), Vec::<Value>::new());
    stand.github.suspend_installation(false);
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

/// Asks for a change that may land, lets `meanwhile` happen while its candidate is pushed, and
/// tells what it is not landed for.
async fn changed_before_landing(
    rules: Vec<Value>,
    meanwhile: impl FnOnce(&Stand, u64),
    told: &str,
) -> (Stand, u64) {
    let mut stand = Stand::new(OPEN).hearing();
    stand.github.set_bypass(stand.widget, "always");
    stand.github.set_rules(stand.widget, "main", rules);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.github.review(stand.widget, number, "lead", "APPROVED");
    let base = stand.main();
    stand.serve().await;
    let gate = stand.hold(PUSH, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    meanwhile(&stand, number);
    gate.open();
    stand.until("it is told", |stand| stand.check_says(number, told)).await;
    assert_eq!(stand.main(), base, "it is not landed");
    (stand, number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_that_is_taken_back_before_it_lands_counts() {
    let against = |stand: &Stand, number| {
        stand.github.review(stand.widget, number, "lead", "CHANGES_REQUESTED");
    };
    let told = "changes are requested by 1 person";
    let (mut stand, number) = changed_before_landing(vec![approvals(1)], against, told).await;
    stand.github.review(stand.widget, number, "lead", "APPROVED");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_made_before_it_lands_counts() {
    let made = |stand: &Stand, _| {
        stand.github.set_bypass(stand.widget, "never");
        let rules = vec![rule("update", json!({"update_allows_fetch_and_merge": false}))];
        stand.github.set_rules(stand.widget, "main", rules);
    };
    let told = "the ruleset guard wants no updates";
    let (mut stand, number) = changed_before_landing(Vec::new(), made, told).await;
    stand.github.set_rules(stand.widget, "main", Vec::new());
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_made_while_it_lands_is_told_and_waited_for() {
    let mut stand = Stand::new(OPEN).hearing();
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    let gate = stand.hold(LAND, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    let update = rule("update", json!({"update_allows_fetch_and_merge": false}));
    stand.github.set_rules(stand.widget, "main", vec![update]);
    gate.open();
    stand.until("it is told", |stand| stand.check_says(number, "ruleset-blocked")).await;
    stand.round().await;
    // The second moves the fence past it.
    assert_eq!((stand.main(), stand.times(LAND)), (base, 2));
    stand.github.set_rules(stand.widget, "main", Vec::new());
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declined_by_no_rule_that_is_shown_is_tried_twice_and_holds_up_nobody() {
    for method in [OPEN, SQUASH] {
        let mut stand = Stand::new(method).hearing();
        let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
        let other = stand.pull("mona", "feature/b", &[("b", "1\n")]);
        let (head, passes) = (stand.head(number), stand.head(other));
        stand.github.decline(stand.widget, &head);
        stand.serve().await;
        stand.ask(number, "mona");
        stand.ask(other, "mona");
        stand.until("it is told", |stand| stand.check_says(number, "ruleset-blocked")).await;
        stand.until("the other one lands", |stand| stand.landings(&passes) == 1).await;
        stand.round().await;
        assert_eq!((stand.landings(&head), stand.head(number)), (0, head.clone()));
        let said = stand.said(number);
        assert!(matches!(&said[..], [one] if one.contains("ruleset-blocked")), "{said:?}");
        let tries = |entry: &&Entry| {
            entry.operation == LAND && entry.body.to_string().contains("refs/heads/main")
        };
        assert_eq!(stand.github.journal().iter().filter(tries).count(), 3, "one was the other's");
        stand.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_beyond_the_first_page_counts() {
    let mut stand = Stand::new(FORWARD).hearing();
    stand.github.protect(stand.widget, "main", &[("ci", Some(CI))]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (base, head) = (stand.main(), stand.head(number));
    for n in 0..PAGE {
        let fields = json!({"name": format!("other {n}"), "head_sha": head, "status": "queued"});
        stand.github.set_check_as(stand.widget, CI, &fields);
    }
    let run = report(&stand, number, CI, Some("failure"));
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it is red", |stand| stand.check_says(number, "gate-failed: ci is red")).await;
    assert_eq!(stand.main(), base);
    let green = json!({"status": "completed", "conclusion": "skipped"});
    stand.github.update_check_as(stand.widget, CI, run, &green);
    stand.until("the head lands", |stand| stand.main() == head).await;
    stand.stop().await;
}
