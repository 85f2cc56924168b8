//! GitHub in trouble: whatever is lost on the way, a change lands once and is told of once.

use std::time::Duration;

use super::operation::{
    ALL_COMMENTS, CHECKS, COMMENT, COMMENTS, EDIT_CHECK, EDIT_COMMENT, LAND, MAKE_CHECK, PULL,
    PULLS, PUSH,
};
use super::rules::approvals;
use super::stand::{OPEN, SQUASH, Stand};
use crate::sim::{Entry, Fault, Kind, When};

/// An operation that goes wrong at its next request.
pub(super) fn next(operation: &'static str, when: When, kind: Kind) -> Fault {
    Fault { operation, nth: 1, when, kind }
}

/// What can become of a write and of its answer.
pub(super) fn troubles() -> Vec<(When, Kind)> {
    vec![
        (When::Before, Kind::Drop),
        (When::After, Kind::Drop),
        (When::Before, Kind::Html),
        (When::After, Kind::Html),
        (When::After, Kind::Truncate),
        (When::Before, Kind::secondary_limit(429, Some(1))),
        (When::Before, Kind::secondary_limit(403, Some(1))),
    ]
}

/// With an operation gone wrong in each way, one change after another lands once, and is told of
/// in one check run.
async fn lands_once(operation: &'static str) {
    lands_once_at(Stand::new(OPEN), operation).await;
}

async fn lands_once_at(mut stand: Stand, operation: &'static str) {
    stand.serve().await;
    for (index, (when, kind)) in troubles().into_iter().enumerate() {
        let name = format!("f{index}");
        let number = stand.pull("mona", &name, &[(&name, "1\n")]);
        let head = stand.head(number);
        stand.github.plan(next(operation, when, kind.clone()));
        stand.ask(number, "mona");
        stand.until("it lands", |stand| stand.check(number, "success")).await;
        assert_eq!(stand.landings(&head), 1, "{when:?} {kind:?}");
        let merged = |stand: &Stand| stand.github.shown(stand.widget, number) == "merged";
        stand.until("it is shown as merged", merged).await;
        assert_eq!(stand.said(number), Vec::<String>::new(), "{when:?} {kind:?}");
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_run_is_made_once() {
    lands_once(MAKE_CHECK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_run_is_edited_to_its_end() {
    lands_once(EDIT_CHECK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_landed_once() {
    lands_once(LAND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_is_moved_once() {
    lands_once_at(Stand::new(SQUASH), LAND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_is_not_pushed_is_pushed_again() {
    lands_once(PUSH).await;
}

/// With an operation gone wrong in each way, there is one answer to each comment in one comment.
async fn answers_once(operation: &'static str) {
    let mut stand = Stand::new(OPEN);
    stand.serve().await;
    for (index, (when, kind)) in troubles().into_iter().enumerate() {
        let name = format!("f{index}");
        let number = stand.pull("mona", &name, &[(&name, "1\n")]);
        stand.github.plan(next(operation, when, kind.clone()));
        for asked in 1..=2 {
            stand.ask(number, "eve");
            let answered = |stand: &Stand| {
                let said = stand.said(number);
                assert!(said.len() <= 1, "one comment with {when:?} {kind:?}: {said:?}");
                said.iter().any(|it| it.matches("nothing was done").count() == asked)
            };
            stand.until("it is answered", answered).await;
        }
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_is_made_once() {
    answers_once(COMMENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_is_edited_to_its_end() {
    answers_once(EDIT_COMMENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_has_not_yet_what_was_made_makes_no_second_one() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.github.plan(next(MAKE_CHECK, When::After, Kind::Drop));
    // The first look is before it is made, the second one after it.
    let stale = Kind::Stale { changes: 1 };
    stand.github.plan(Fault { operation: CHECKS, nth: 2, when: When::After, kind: stale.clone() });
    stand.github.plan(next(COMMENT, When::After, Kind::Drop));
    stand.github.plan(Fault { operation: COMMENTS, nth: 2, when: When::After, kind: stale });
    stand.ask(number, "eve");
    stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.said(number).len(), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_lists_delay_and_decide_nothing() {
    let mut stand = Stand::new(OPEN);
    stand.serve().await;
    for operation in [PULLS, PULL, ALL_COMMENTS] {
        let name = operation.rsplit('/').next().unwrap_or_default().trim_matches(['{', '}']);
        let number = stand.pull("mona", name, &[(name, "1\n")]);
        stand.ask(number, "mona");
        stand.github.plan(next(operation, When::After, Kind::Stale { changes: 1 }));
        stand.until("it lands", |stand| stand.check(number, "success")).await;
        assert_eq!(stand.landings(&stand.head(number)), 1, "{operation}");
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_lags_by_default_is_no_trouble() {
    let mut stand = Stand::new(OPEN);
    stand.github.set_consistency(crate::sim::Consistency::default());
    let first = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let second = stand.pull("mona", "feature/b", &[("b", "1\n")]);
    stand.serve().await;
    stand.ask(first, "mona");
    stand.ask(second, "eve");
    stand.until("it lands", |stand| stand.check(first, "success")).await;
    stand.until("it is answered", |stand| stand.said(second).len() == 1).await;
    stand.ask(second, "mona");
    stand.until("it lands too", |stand| stand.check(second, "success")).await;
    assert_eq!(stand.landings(&stand.head(second)), 1);
    stand.stop().await;
}

/// With the next check run refused for a limit that is over in so many seconds, nothing is asked
/// until then, by whoever leads next neither.
async fn obeys(limit: impl FnOnce(u64) -> Kind) {
    let seconds = 8;
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    let now = stand.github.journal().last().map_or(0, |entry| entry.at);
    stand.github.plan(next(MAKE_CHECK, When::Before, limit(now + seconds)));
    stand.ask(number, "mona");
    let refused = |entry: &Entry| entry.status == 403;
    stand.until("it is refused", |it| it.github.journal().iter().any(refused)).await;
    stand.until("it is noted", |stand| stand.has_record_with("\"cooldown\":")).await;
    stand.stop().await;
    stand.serve().await;
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    let journal = stand.github.journal();
    let at = journal.iter().position(refused).expect("it was refused");
    // Seconds are cut, on both sides.
    let soon = |entry: &&Entry| entry.at + 2 < now + seconds;
    let soon: Vec<&Entry> = journal[at + 1..].iter().filter(soon).collect();
    assert!(soon.is_empty(), "asked too soon after {now}: {soon:?}");
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_to_hear_nothing_hears_nothing_and_from_the_next_one_neither() {
    obeys(|_| Kind::secondary_limit(403, Some(8))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_that_is_used_up_is_waited_for() {
    obeys(|until| Kind::primary_limit(403, until)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_has_ended_is_made_anew() {
    let mut stand = Stand::new(OPEN);
    let first = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let second = stand.pull("mona", "feature/b", &[("b", "1\n")]);
    stand.serve().await;
    stand.ask(first, "mona");
    stand.until("it lands", |stand| stand.check(first, "success")).await;
    stand.github.advance_clock(Duration::from_hours(2));
    stand.ask(second, "mona");
    stand.until("it lands too", |stand| stand.check(second, "success")).await;
    let refused = |entry: &Entry| entry.status == 401;
    assert!(stand.github.journal().iter().any(refused), "the old one was used");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_github_does_not_let_us_say_is_not_tried_in_each_round() {
    let mut stand = Stand::new(OPEN).every("2s");
    stand.github.set_bypass(stand.widget, "always");
    stand.github.set_rules(stand.widget, "main", vec![approvals(1)]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    for nth in 1..=20 {
        let kind = Kind::Status { status: 422, message: "Validation Failed", headers: Vec::new() };
        stand.github.plan(Fault { operation: MAKE_CHECK, nth, when: When::Before, kind });
    }
    stand.ask(number, "mona");
    stand.until("it is tried", |stand| stand.times(MAKE_CHECK) == 1).await;
    stand.round().await;
    assert_eq!(stand.times(MAKE_CHECK), 1, "it waits as it did before");
    stand.github.review(stand.widget, number, "lead", "APPROVED");
    stand.until("it lands all the same", |stand| stand.landings(&stand.head(number)) == 1).await;
    stand.stop().await;
}
