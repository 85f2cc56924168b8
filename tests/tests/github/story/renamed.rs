//! A repository that gets another name is the same one still, and another one that gets its name is
//! not (B28).

use super::operation::{LAND, MAKE_CHECK, PULLS, PUSH, REPOSITORY};
use super::stand::{OPEN, Stand};
use crate::sim::{Entry, Fault, Kind, Right, When};

/// Whether a request named the repository as it was called before, and was about it.
fn is_by_old_name(entry: &Entry) -> bool {
    entry.path.starts_with("/repos/acme/widget")
}

/// Renames the repository while a request is on its way, and lands the change that it was for.
async fn renamed_at((operation, nth): (&'static str, u64), to: &str) {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    let gate = stand.hold(operation, nth, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    stand.github.rename_repository(stand.widget, to);
    gate.open();
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.round().await;
    assert!(stand.check(number, "success"), "one check run");
    assert_eq!(stand.landings(&stand.head(number)), 1);
    let journal = stand.github.journal();
    let moved = |entry: &Entry| matches!(entry.status, 301 | 307) && is_by_old_name(entry);
    let last = journal.iter().rposition(moved).expect("GitHub led to the new name");
    let after = &journal[last + 1..];
    assert!(!after.iter().any(is_by_old_name), "the old name is used no more: {after:?}");
    let told = format!("/repos/{to}/");
    assert!(after.iter().any(|entry| entry.path.starts_with(&told)), "{after:?}");
    // The next one goes all the way by the new name.
    let next = stand.pull("mona", "feature/b", &[("b", "1\n")]);
    stand.ask(next, "mona");
    stand.until("the next lands", |stand| stand.check(next, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_while_a_candidate_is_pushed_it_lands_once() {
    renamed_at((PUSH, 1), "acme/gadget").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transferred_while_a_landing_is_staged_it_lands_once() {
    renamed_at((PUSH, 2), "globex/widget").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_while_it_lands_it_lands_once() {
    renamed_at((LAND, 1), "acme/gadget").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_run_that_was_sent_elsewhere_is_made_once() {
    renamed_at((MAKE_CHECK, 1), "acme/gadget").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_follows_when_somebody_mends_it() {
    let mut stand = Stand::new(OPEN);
    stand.serve().await;
    stand.stop().await;
    stand.github.rename_repository(stand.widget, "acme/gadget");
    for (name, branch) in [("acme/widget", "feature/a"), ("acme/gadget", "feature/b")] {
        stand.call(name);
        let number = stand.pull("mona", branch, &[(branch, "1\n")]);
        stand.serve().await;
        stand.ask(number, "mona");
        stand.until("it lands", |stand| stand.check(number, "success")).await;
        stand.stop().await;
    }
    let journal = stand.github.journal();
    let last = journal.iter().rposition(|entry| entry.operation == LAND).expect("it landed");
    assert!(!is_by_old_name(&journal[last]));
}

/// A repository of the name that ours had, with a pull request of ours' number, label and all.
fn impostor(stand: &Stand) -> u64 {
    let policy = [("README.md", "# other\n"), ("molt.toml", OPEN)];
    let other = stand.github.add_repository("acme/widget", true, &policy);
    stand.github.set_right(other, "mona", Right::Write);
    stand.github.push_commit(other, "feature/a", &[("a", "1\n")]);
    let number = stand.github.open_pull(other, "mona", "feature/a");
    stand.github.label(other, number, "mona", "molt:land");
    other
}

/// Nobody but its owner did anything there.
fn is_untouched(stand: &Stand, other: u64, before: &str) {
    assert_eq!(stand.github.git(other, &["for-each-ref"]), before);
    let head = stand.github.git(other, &["rev-parse", "feature/a"]);
    assert_eq!(stand.github.own_checks(other, &head), Vec::<serde_json::Value>::new());
    assert_eq!(stand.github.written_by(other, 1, "molt[bot]"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_does_not_begin_on_another_repository_of_that_name() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.stop().await;
    stand.github.rename_repository(stand.widget, "acme/gadget");
    let other = impostor(&stand);
    let before = stand.github.git(other, &["for-each-ref"]);
    let why = stand.refused().await;
    let told = format!("acme/widget is another repository now: its id is {other}, and ours has");
    assert!(why.contains(&told), "{why}");
    is_untouched(&stand, other, &before);
    stand.call("acme/gadget");
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
    is_untouched(&stand, other, &before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_to_another_repository_that_takes_the_name_meanwhile() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    // Between two looks at the list: nobody is led from the old name to the new one.
    let gate = stand.hold(PULLS, 1, When::Before);
    gate.arrived();
    stand.github.rename_repository(stand.widget, "acme/gadget");
    let other = impostor(&stand);
    let before = stand.github.git(other, &["for-each-ref"]);
    stand.ask(number, "mona");
    let enough = stand.times(PULLS) + 2;
    gate.open();
    stand.until("it looks again", |stand| stand.times(PULLS) >= enough).await;
    assert_eq!(stand.main(), base);
    assert_eq!(stand.checks(number).len(), 0);
    is_untouched(&stand, other, &before);
    stand.stop().await;
    stand.call("acme/gadget");
    stand.serve().await;
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
    is_untouched(&stand, other, &before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_staged_in_another_repository_that_takes_the_name_before_the_landing() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    // The last look before the landing has begun, of what is there then.
    let gate = stand.hold(REPOSITORY, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    stand.github.rename_repository(stand.widget, "acme/gadget");
    let other = impostor(&stand);
    let before = stand.github.git(other, &["for-each-ref"]);
    let enough = stand.times(REPOSITORY) + 2;
    gate.open();
    stand.until("it looks again", |stand| stand.times(REPOSITORY) >= enough).await;
    is_untouched(&stand, other, &before);
    assert_eq!(stand.main(), base);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_that_cannot_be_written_keeps_nothing_from_landing() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let gone = || Kind::Status {
        status: 410,
        message: "Issues are disabled for this repo",
        headers: Vec::new(),
    };
    for nth in 1..=20 {
        let operation = super::operation::COMMENT;
        stand.github.plan(Fault { operation, nth, when: When::Before, kind: gone() });
    }
    stand.serve().await;
    stand.comment(number, "eve", "@molt land");
    stand.until("an answer is tried", |stand| stand.times(super::operation::COMMENT) > 0).await;
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}
