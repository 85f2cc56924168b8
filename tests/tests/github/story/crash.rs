//! The program killed in the middle of each thing that it does at GitHub, and started again on what
//! it left: a change lands once, and is told of once.

use super::operation::{COMMENT, EDIT_CHECK, EDIT_COMMENT, LAND, MAKE_CHECK, PUSH};
use super::program::Program;
use super::stand::{OPEN, SQUASH, Stand};
use crate::sim::When;

/// Kills the program while a request of its is held there, and starts it again.
async fn killed_at(stand: &Stand, (operation, nth, when): (&'static str, u64, When), who: &str) {
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    let program = Program::start(stand).await;
    let gate = stand.hold(operation, nth, when);
    stand.ask(number, who);
    if operation == EDIT_COMMENT {
        stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
        stand.ask(number, who);
    }
    gate.arrived();
    program.kill();
    // What was sent may arrive after its sender is gone.
    gate.open();
    let again = Program::start(stand).await;
    if who == "eve" {
        stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
        stand.ask(number, "mona");
    }
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.round().await;
    assert!(stand.check(number, "success"), "one check run");
    assert_eq!(stand.landings(&head), 1);
    assert_eq!(stand.github.shown(stand.widget, number), "merged");
    assert_eq!(stand.said(number).len(), usize::from(who == "eve"));
    again.kill();
}

/// As [`killed_at`], before and after the request has its effect.
async fn killed_around(operation: &'static str, nth: u64, who: &str) {
    for when in [When::Before, When::After] {
        killed_at(&Stand::new(OPEN), (operation, nth, when), who).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_check_run_is_made() {
    killed_around(MAKE_CHECK, 1, "mona").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_check_run_is_edited() {
    killed_around(EDIT_CHECK, 1, "mona").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_comment_is_made() {
    killed_around(COMMENT, 1, "eve").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_comment_is_edited() {
    killed_around(EDIT_COMMENT, 1, "eve").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_candidate_is_pushed() {
    killed_around(PUSH, 1, "mona").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_landing_is_staged() {
    killed_around(PUSH, 2, "mona").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_lands() {
    killed_around(LAND, 1, "mona").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_head_is_moved_ahead_of_the_base() {
    for when in [When::Before, When::After] {
        killed_at(&Stand::new(SQUASH), (LAND, 1, when), "mona").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_the_heads_move_and_the_bases() {
    for when in [When::Before, When::After] {
        killed_at(&Stand::new(SQUASH), (LAND, 2, when), "mona").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_landing_that_arrives_after_the_next_one_has_landed_it_moves_nothing() {
    let stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let program = Program::start(&stand).await;
    let gate = stand.hold(LAND, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    program.kill();
    let again = Program::start(&stand).await;
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    let landed = stand.main();
    let asked = |stand: &Stand| {
        stand.github.journal().iter().filter(|entry| entry.operation == LAND).count()
    };
    let before = asked(&stand);
    gate.open();
    stand.until("the late one is answered", |stand| asked(stand) > before).await;
    assert_eq!(stand.main(), landed);
    assert_eq!(stand.landings(&stand.head(number)), 1);
    again.kill();
}
