//! What else happens while a change is on its way.

use serde_json::json;

use super::operation::{LAND, PUSH};
use super::stand::{OPEN, Stand};
use crate::sim::When;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_pushes_to_the_base_before_it_lands_has_it_tested_again_on_that() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    let gate = stand.hold(LAND, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    let pushed = stand.github.push_commit(stand.widget, "main", &[("b", "1\n")]);
    gate.open();
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.git(&["rev-parse", "main^1"]), pushed, "on top of what was pushed");
    assert_eq!(stand.git(&["rev-parse", "main^2"]), stand.head(number));
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_pushed_while_the_old_one_lands_is_no_part_of_it() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let old = stand.head(number);
    stand.serve().await;
    let gate = stand.hold(LAND, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    let new = stand.github.force_push(stand.widget, "feature/a", &[("a", "2\n")]);
    stand.round().await;
    gate.open();
    stand.until("the old one lands", |stand| stand.landings(&old) == 1).await;
    stand.until("the new one is told", |stand| stand.check_says(number, "head-moved")).await;
    stand.round().await;
    assert_eq!(stand.landings(&new), 0, "nobody asked for it");
    assert_eq!(stand.git(&["show", "main:a"]), "1");
    assert!(!stand.check(number, "success"));
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_in_the_train_leaves_it_and_opened_again_is_asked_for_anew() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    let gate = stand.hold(PUSH, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    stand.github.close_pull(stand.widget, number, "mona");
    stand.until("it is told", |stand| stand.check(number, "cancelled")).await;
    gate.open();
    stand.round().await;
    assert_eq!(stand.main(), base, "it is not landed");
    stand.github.reopen_pull(stand.widget, number, "mona");
    stand.round().await;
    assert_eq!(stand.main(), base, "nobody asked since");
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_in_the_train_leaves_it_with_its_label_on() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    let gate = stand.hold(PUSH, 1, When::Before);
    stand.github.label(stand.widget, number, "mona", "molt:land");
    gate.arrived();
    stand.comment(number, "mona", "@molt cancel");
    stand.until("it is told", |stand| stand.check(number, "cancelled")).await;
    gate.open();
    stand.round().await;
    assert_eq!(stand.main(), base, "it is not landed");
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_another_branch_by_now_is_not_landed_on_ours() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.git(&["branch", "release", "main"]);
    stand.serve().await;
    let gate = stand.hold(PUSH, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    stand.github.edit_pull(stand.widget, number, "mona", &json!({"base": "release"}));
    gate.open();
    stand.until("it is told", |stand| stand.check_says(number, "it is for release")).await;
    assert_eq!(stand.main(), base);
    stand.github.edit_pull(stand.widget, number, "mona", &json!({"base": "main"}));
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_under_our_name_is_nothing_to_us() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.github.set_status_as(stand.widget, "eve", &stand.head(number), ("molt", "failure"));
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_worth_what_its_owner_may_do_now() {
    let mut stand = Stand::new(OPEN);
    let first = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let second = stand.pull("mona", "feature/b", &[("b", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    stand.github.rename_user("mona", "lisa");
    stand.github.user("mona");
    stand.ask(first, "mona");
    stand.until("somebody else is told", |stand| stand.said(first).len() == 1).await;
    assert!(stand.said(first)[0].contains("takes the right to write"));
    assert_eq!(stand.main(), base);
    stand.ask(second, "lisa");
    stand.until("it lands", |stand| stand.check(second, "success")).await;
    assert_eq!(stand.landings(&stand.head(first)), 0);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_merge_asks_as_whoever_set_it() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.github.set_auto_merge(stand.widget, number, "eve", Some("merge"));
    let refused = "takes the right to write, who asked has none";
    stand.until("it is told", |stand| stand.summary(number).contains(refused)).await;
    stand.github.set_auto_merge(stand.widget, number, "eve", None);
    stand.github.set_auto_merge(stand.widget, number, "mona", Some("merge"));
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_fork_that_is_gone_the_head_lands_still() {
    let mut stand = Stand::new(OPEN);
    let fork = stand.github.fork(stand.widget, "eve");
    stand.github.push_commit(fork, "patch", &[("a", "1\n")]);
    let number = stand.github.open_pull(stand.widget, "eve", "eve:patch");
    stand.github.delete_repository(fork);
    stand.serve().await;
    let head = stand.head(number);
    stand.ask(number, "mona");
    stand.until("it waits", |stand| stand.check_says(number, "a repository that is gone")).await;
    stand.comment(number, "lead", &format!("@molt approve head head={head} I read it"));
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
    // The description doesn't know that a fork can be gone; GitHub's answers do.
    let found = stand.github.take_violations();
    assert!(found.iter().all(|it| it.contains("/head/")), "{found:?}");
}
