//! What is wrong with a GitHub on purpose, the product's own stories see: each is told twice, and with
//! the bug it ends otherwise.
//!
//! Two bugs are none of theirs: whether something merges is asked of git ([`super::rows`]), and base
//! and fence move by halves only where the fence alone is elsewhere, which the client sees.

use super::operation::LAND;
use super::stand::{FORWARD, OPEN, Stand};
use crate::sim::{Bug, When};

/// A stand with one pull request, at a GitHub that may have a bug.
struct Told {
    stand: Stand,
    number: u64,
    base: String,
}

impl Told {
    async fn of(stand: Stand, bug: Option<Bug>) -> Self {
        let mut stand = stand;
        let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
        if let Some(bug) = bug {
            stand.github.seed(bug);
        }
        let base = stand.main();
        stand.serve().await;
        Self { stand, number, base }
    }

    /// Whether the base has moved.
    fn moved(&self, stand: &Stand) -> bool {
        stand.main() != self.base
    }

    /// Ends it. What the simulator found wrong with itself is what was planted.
    async fn ended(mut self, sound: bool) -> bool {
        self.stand.stop().await;
        sound & self.stand.github.take_violations().is_empty()
    }
}

/// Somebody asks, and every webhook is taken in.
async fn hooks_are_heard(bug: Option<Bug>) -> bool {
    let told = Told::of(Stand::new(OPEN).hearing(), bug).await;
    told.stand.ask(told.number, "mona");
    told.stand.until("it lands", |stand| stand.check(told.number, "success")).await;
    let mut delivered = told.stand.github.deliveries().into_iter();
    let sound = delivered.all(|it| it.answers == [Some(202)]);
    told.ended(sound).await
}

/// Somebody sets the base back right before it moves: what they took away stays away.
async fn what_was_set_back_stays_so(bug: Option<Bug>) -> bool {
    let told = Told::of(Stand::new(OPEN), bug).await;
    let (stand, head) = (&told.stand, told.stand.head(told.number));
    stand.github.push_commit(stand.widget, "main", &[("b", "1\n")]);
    let gate = stand.hold(LAND, 1, When::Before);
    stand.ask(told.number, "mona");
    gate.arrived();
    stand.git(&["update-ref", "refs/heads/main", &told.base]);
    gate.open();
    let fence = ["for-each-ref", "--format=%(subject)", "refs/molt/fence"];
    let over = |stand: &Stand| stand.landings(&head) == 1 || stand.git(&fence).contains("withdraw");
    stand.until("it is over", over).await;
    stand.round().await;
    let sound = stand.git(&["ls-tree", "--name-only", "main", "b"]).is_empty();
    told.ended(sound).await
}

/// What lands is told of.
async fn a_landing_is_told(bug: Option<Bug>) -> bool {
    let told = Told::of(Stand::new(OPEN), bug).await;
    told.stand.ask(told.number, "mona");
    told.stand.until("it lands", |stand| told.moved(stand)).await;
    told.stand.round().await;
    let sound = told.stand.check(told.number, "success");
    told.ended(sound).await
}

/// Somebody asks who may not.
async fn a_stranger_lands_nothing(bug: Option<Bug>) -> bool {
    let told = Told::of(Stand::new(OPEN), bug).await;
    told.stand.ask(told.number, "eve");
    let answered = |stand: &Stand| !stand.said(told.number).is_empty();
    told.stand.until("it is decided", |stand| answered(stand) || told.moved(stand)).await;
    let sound = !told.moved(&told.stand);
    told.ended(sound).await
}

/// A required status is green by now.
async fn the_last_status_counts(bug: Option<Bug>) -> bool {
    let stand = Stand::new(FORWARD);
    stand.github.protect(stand.widget, "main", &[("ci", None)]);
    let told = Told::of(stand, bug).await;
    let head = told.stand.head(told.number);
    for state in ["pending", "success"] {
        told.stand.github.set_status_as(told.stand.widget, "eve", &head, ("ci", state));
    }
    told.stand.ask(told.number, "mona");
    let waits = |stand: &Stand| stand.check_says(told.number, "ci is not decided");
    told.stand.until("it is decided", |stand| waits(stand) || told.moved(stand)).await;
    let sound = told.moved(&told.stand);
    told.ended(sound).await
}

/// A required check is red, behind a page of others.
async fn the_second_page_counts(bug: Option<Bug>) -> bool {
    let stand = Stand::new(FORWARD);
    stand.github.protect(stand.widget, "main", &[("ci", Some(99))]);
    let told = Told::of(stand, bug).await;
    let (widget, head) = (told.stand.widget, told.stand.head(told.number));
    let run = |name: String, conclusion: &str| {
        let fields = serde_json::json!({
            "name": name, "head_sha": head, "status": "completed", "conclusion": conclusion,
        });
        told.stand.github.set_check_as(widget, 99, &fields);
    };
    (0..100).for_each(|n| run(format!("other {n}"), "success"));
    run("ci".to_owned(), "failure");
    told.stand.ask(told.number, "mona");
    told.stand.until("it is told", |stand| !stand.checks(told.number).is_empty()).await;
    told.stand.round().await;
    let sound = told.stand.check_says(told.number, "gate-failed: ci is red");
    told.ended(sound).await
}

/// Tells a story at a GitHub that is sound, and at one that has a bug.
async fn is_seen<T: Future<Output = bool>>(bug: Bug, story: impl Fn(Option<Bug>) -> T) {
    let (sound, spoilt) = tokio::join!(story(None), story(Some(bug)));
    assert!(sound, "{bug:?} isn't there");
    assert!(!spoilt, "{bug:?} is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_that_are_not_sent_are_seen() {
    is_seen(Bug::SilentHooks, hooks_are_heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_that_others_signed_are_seen() {
    is_seen(Bug::WrongSignature, hooks_are_heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_that_moves_from_wherever_it_stands_is_seen() {
    is_seen(Bug::UncheckedMoves, what_was_set_back_stays_so).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_runs_that_are_lost_are_seen() {
    is_seen(Bug::LostChecks, a_landing_is_told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_everybody_has_are_seen() {
    is_seen(Bug::EverybodyAdmin, a_stranger_lands_nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_stays_what_it_was_is_seen() {
    is_seen(Bug::FirstStatusCounts, the_last_status_counts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_one_page_is_seen() {
    is_seen(Bug::OnePage, the_second_page_counts).await;
}
