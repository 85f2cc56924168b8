//! Webhooks hasten what happens without them as well, however they arrive.

use super::stand::{OPEN, Stand};
use crate::sim::Fate;

/// What a story is told of, one event after another.
const EVENTS: [&str; 4] = ["issue_comment", "pull_request", "push", "check_run"];

/// Deliveries of each event that go as planned.
const PLANNED: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_begins_a_round_at_once() {
    let mut stand = Stand::new(OPEN).every("1h").hearing();
    let base = stand.main();
    stand.serve().await;
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.main() != base).await;
    stand.until("it says so", |stand| stand.check(number, "success")).await;
    let delivered = stand.github.deliveries();
    assert!(delivered.iter().any(|it| it.name() == "issue_comment.created"), "{delivered:?}");
    let taken = |answer: &Option<u16>| *answer == Some(202);
    assert!(delivered.iter().flat_map(|it| &it.answers).all(taken), "{delivered:?}");
    stand.stop().await;
}

/// One lands by a command and one by its label, and one conflicts, whatever becomes of webhooks.
async fn ends_the_same(fate: Fate) {
    let mut stand = Stand::new(OPEN).hearing();
    let first = stand.pull("mona", "feature/a", &[("a", "1\n"), ("b", "1\n")]);
    let second = stand.pull("mona", "feature/b", &[("c", "1\n")]);
    let third = stand.pull("mona", "feature/c", &[("b", "2\n")]);
    stand.serve().await;
    for event in EVENTS {
        for nth in 1..=PLANNED {
            stand.github.plan_delivery(event, nth, fate);
        }
    }
    stand.ask(first, "mona");
    stand.github.label(stand.widget, second, "mona", "molt:land");
    stand.ask(third, "eve");
    stand.until("one lands", |stand| stand.check(first, "success")).await;
    stand.until("another one too", |stand| stand.check(second, "success")).await;
    stand.until("who may not is told", |stand| stand.said(third).len() == 1).await;
    stand.ask(third, "mona");
    stand.until("one does not", |stand| stand.check(third, "failure")).await;
    stand.github.release_deliveries();
    let delivered = stand.github.deliveries();
    stand.round().await;
    for (number, conclusion) in [(first, "success"), (second, "success"), (third, "failure")] {
        let landed = usize::from(conclusion == "success");
        assert_eq!(stand.landings(&stand.head(number)), landed, "{number} with {fate:?}");
        assert!(stand.check(number, conclusion), "{number} with {fate:?}");
    }
    let said = [first, second, third].map(|number| stand.said(number).len());
    assert_eq!(said, [0, 0, 1], "{fate:?}");
    for delivery in &delivered {
        let forged = delivery.answers.iter().filter(|answer| **answer == Some(401)).count();
        assert!(fate == Fate::Forged || forged == 0, "{delivery:?}");
    }
    let forged = delivered.iter().any(|it| it.answers.contains(&Some(401)));
    assert_eq!(forged, fate == Fate::Forged, "who does not know the secret is not heard");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_lost_it_ends_the_same() {
    ends_the_same(Fate::Lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_twice_it_ends_the_same() {
    ends_the_same(Fate::Twice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_out_of_order_it_ends_the_same() {
    ends_the_same(Fate::Swapped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_too_late_it_ends_the_same() {
    ends_the_same(Fate::Late).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_forged_it_ends_the_same() {
    ends_the_same(Fate::Forged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_no_webhook_tells_of_is_seen_all_the_same() {
    let mut stand = Stand::new(super::stand::FORWARD);
    stand.github.protect(stand.widget, "main", &[("ci", None)]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it waits", |stand| stand.check_says(number, "ci has not reported")).await;
    stand.github.set_status_as(stand.widget, "eve", &stand.head(number), ("ci", "success"));
    stand.until("the head lands", |stand| stand.main() == stand.head(number)).await;
    stand.stop().await;
}
