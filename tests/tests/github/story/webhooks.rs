//! Webhooks hasten what happens without them as well, however they arrive.

use super::stand::{OPEN, Stand};
use crate::sim::{Bug, Fate};

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

/// What becomes of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Post {
    /// They arrive.
    Sound,
    /// The first ones of each event go so.
    Planned(Fate),
    /// None is sent, ever.
    Silent,
}

/// What people see at the end.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// The titles of check runs, without ids.
    titles: Vec<String>,
    comments: Vec<usize>,
    landings: Vec<usize>,
}

/// That it ends as it does where webhooks arrive as they should.
async fn ends_the_same(post: Post) {
    let (as_usual, so) = tokio::join!(ending(Post::Sound), ending(post));
    assert_eq!(so, as_usual, "{post:?}");
}

/// A title whose ids are dots.
fn without_ids(title: &str) -> String {
    let is_id = |word: &&str| word.len() >= 7 && word.bytes().all(|it| it.is_ascii_hexdigit());
    let words = title.split(' ').map(|word| if is_id(&word) { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// One lands by a command and one by its label, and one conflicts, whatever becomes of webhooks.
async fn ending(post: Post) -> Seen {
    let mut stand = Stand::new(OPEN).hearing();
    let first = stand.pull("mona", "feature/a", &[("a", "1\n"), ("b", "1\n")]);
    let second = stand.pull("mona", "feature/b", &[("c", "1\n")]);
    let third = stand.pull("mona", "feature/c", &[("b", "2\n")]);
    if post == Post::Silent {
        stand.github.seed(Bug::SilentHooks);
    }
    stand.serve().await;
    if let Post::Planned(fate) = post {
        for (event, nth) in EVENTS.into_iter().flat_map(|it| (1..=PLANNED).map(move |n| (it, n))) {
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
        assert!(stand.check(number, conclusion), "{number} with {post:?}");
    }
    let answers: Vec<Option<u16>> = delivered.into_iter().flat_map(|it| it.answers).collect();
    assert_eq!(answers.is_empty(), post == Post::Silent, "{answers:?}");
    let forged = answers.contains(&Some(401));
    let by_stranger = post == Post::Planned(Fate::Forged);
    assert_eq!(forged, by_stranger, "who does not know the secret is not heard");
    let numbers = [first, second, third];
    let title = |number| {
        let checks = stand.checks(number);
        without_ids(checks[0]["output"]["title"].as_str().unwrap_or_default())
    };
    let seen = Seen {
        titles: numbers.into_iter().map(title).collect(),
        comments: numbers.map(|number| stand.said(number).len()).into(),
        landings: numbers.map(|number| stand.landings(&stand.head(number))).into(),
    };
    assert_eq!((&seen.comments[..], &seen.landings[..]), (&[0, 0, 1][..], &[1, 1, 0][..]));
    stand.stop().await;
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_webhook_lost_it_ends_the_same() {
    ends_the_same(Post::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_lost_it_ends_the_same() {
    ends_the_same(Post::Planned(Fate::Lost)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_twice_it_ends_the_same() {
    ends_the_same(Post::Planned(Fate::Twice)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_out_of_order_it_ends_the_same() {
    ends_the_same(Post::Planned(Fate::Swapped)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_too_late_it_ends_the_same() {
    ends_the_same(Post::Planned(Fate::Late)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_webhooks_forged_it_ends_the_same() {
    ends_the_same(Post::Planned(Fate::Forged)).await;
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
