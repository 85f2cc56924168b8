//! Who may ask, for which head, and what is answered.

use super::operation::PUSH;
use super::stand::{OPEN, Stand};
use crate::sim::When;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_asks_as_well_and_who_takes_it_off_takes_it_back() {
    let mut stand = Stand::new(OPEN);
    let base = stand.git(&["rev-parse", "main"]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.github.label(stand.widget, number, "mona", "molt:land");
    stand.until("it lands", |stand| stand.git(&["rev-parse", "main"]) != base).await;
    stand.until("it says so", |stand| stand.check(number, "success")).await;
    let next = stand.pull("mona", "feature/b", &[("b", "1\n")]);
    let ask = |stand: &Stand| stand.github.label(stand.widget, next, "mona", "molt:land");
    let take_back = |stand: &Stand| stand.github.unlabel(stand.widget, next, "mona", "molt:land");
    taken_back(&stand, next, ask, take_back).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_merge_asks_as_well_and_who_switches_it_off_takes_it_back() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    let set = |stand: &Stand, how| {
        stand.github.set_auto_merge(stand.widget, number, "mona", how);
    };
    taken_back(&stand, number, |stand| set(stand, Some("merge")), |stand| set(stand, None)).await;
    stand.stop().await;
}

/// What is asked for and taken back while it is tested does not land; asked for again it does.
async fn taken_back(stand: &Stand, number: u64, ask: impl Fn(&Stand), take_back: impl Fn(&Stand)) {
    let base = stand.main();
    let gate = stand.hold(PUSH, 1, When::Before);
    ask(stand);
    gate.arrived();
    take_back(stand);
    let told = "nobody asked for it to land";
    stand.until("it is told", |stand| stand.check_says(number, told)).await;
    gate.open();
    stand.round().await;
    assert_eq!(stand.main(), base, "it is not landed");
    ask(stand);
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_write_is_answered_in_one_comment_and_nothing_lands() {
    let mut stand = Stand::new(OPEN);
    let base = stand.git(&["rev-parse", "main"]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.comment(number, "eve", "@molt land");
    stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
    let said = stand.said(number).remove(0);
    assert!(said.contains("takes the right to write"), "{said}");
    stand.comment(number, "eve", "@molt land\n@molt approve head because");
    stand
        .until("it is answered there too", |stand| {
            stand.said(number).iter().any(|said| said.matches("nothing was done").count() == 2)
        })
        .await;
    assert_eq!(stand.said(number).len(), 1, "in the same comment");
    assert_eq!(stand.git(&["rev-parse", "main"]), base);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_moved_is_not_what_was_asked_for() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.github.set_draft(stand.widget, number, "mona", true);
    let first = stand.head(number);
    stand.comment(number, "mona", &format!("@molt land head={first}"));
    stand.until("it waits", |stand| stand.check_says(number, "it is a draft")).await;
    stand.github.force_push(stand.widget, "feature/a", &[("a", "2\n")]);
    stand.github.set_draft(stand.widget, number, "mona", false);
    stand.until("it is told", |stand| stand.check_says(number, "head-moved")).await;
    let second = stand.head(number);
    assert_ne!(first, second);
    stand.comment(number, "mona", &format!("@molt land head={second}"));
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.git(&["show", "main:a"]), "2");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_fork_nothing_runs_before_a_maintainer_looked_at_that_head() {
    let mut stand = Stand::new(OPEN);
    let base = stand.git(&["rev-parse", "main"]);
    let fork = stand.github.fork(stand.widget, "eve");
    stand.github.push_commit(fork, "patch", &[("a", "1\n")]);
    let number = stand.github.open_pull(stand.widget, "eve", "eve:patch");
    stand.serve().await;
    stand.comment(number, "mona", &format!("@molt land head={}", stand.head(number)));
    stand.until("it waits", |stand| stand.check_says(number, "approval-missing")).await;
    assert_eq!(stand.git(&["rev-parse", "main"]), base);
    assert_eq!(stand.git(&["for-each-ref", "refs/molt/train"]), "", "nothing was made of it");
    let approve = format!("@molt approve head head={} I read it", stand.head(number));
    stand.comment(number, "lead", &approve);
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_ne!(stand.git(&["rev-parse", "main"]), base);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_conflicts_is_refused_with_what_to_do() {
    let mut stand = Stand::new(OPEN);
    let first = stand.pull("mona", "feature/a", &[("README.md", "one\n")]);
    let second = stand.pull("mona", "feature/b", &[("README.md", "two\n")]);
    stand.serve().await;
    for number in [first, second] {
        stand.comment(number, "mona", &format!("@molt land head={}", stand.head(number)));
    }
    stand.until("one lands", |stand| stand.check(first, "success")).await;
    stand.until("one does not", |stand| stand.check(second, "failure")).await;
    assert!(stand.check_says(second, "conflict-base"));
    stand.until("a refusal is a comment as well", |stand| stand.said(second).len() == 1).await;
    assert_eq!(stand.said(first), Vec::<String>::new());
    stand.stop().await;
}
