//! The program killed in the middle of each thing that it does at GitHub, and started again on what
//! it left: a change lands once, and is told of once.

use std::collections::BTreeSet;

use super::failing;
use super::host::Host;
use super::operation::{
    ANNOTATE, COMMENT, EDIT_CHECK, EDIT_COMMENT, EDIT_PULL, END_CHECK, LAND, MAKE_CHECK, MOVE_REF,
    PUSH, SET_STATUS, TOKEN,
};
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
    stand.until("it lands", |stand| stand.is_green(number)).await;
    stand.round().await;
    assert!(stand.is_green(number), "one check run");
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
async fn killed_while_it_is_told_that_it_landed() {
    killed_around(END_CHECK, 1, "mona").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_candidate_is_retired() {
    killed_around(PUSH, 3, "mona").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_base_moves_alone() {
    for when in [When::Before, When::After] {
        let stand = Stand::new(OPEN).set("fencing = 'base'");
        killed_at(&stand, (MOVE_REF, 1, when), "mona").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_person_sets_a_status() {
    for (nth, when) in [(1, When::Before), (1, When::After), (2, When::Before), (2, When::After)] {
        let stand = Stand::new(OPEN).by_person("robot");
        killed_at(&stand, (SET_STATUS, nth, when), "mona").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_token_is_made() {
    for when in [When::Before, When::After] {
        let stand = Stand::new(OPEN);
        let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
        let program = Program::start(&stand).await;
        let gate = stand.hold(TOKEN, 1, when);
        stand.github.forget_tokens();
        stand.ask(number, "mona");
        gate.arrived();
        program.kill();
        gate.open();
        let again = Program::start(&stand).await;
        stand.until("it lands", |stand| stand.check(number, "success")).await;
        assert_eq!(stand.landings(&stand.head(number)), 1);
        assert_eq!(stand.said(number), Vec::<String>::new());
        again.kill();
    }
}

/// The base is found elsewhere, so that the fence's step and then the head's are made once more.
async fn killed_on_the_way_back((nth, when): (u64, When)) {
    let stand = Stand::new(SQUASH);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    let program = Program::start(&stand).await;
    let landing = stand.hold(LAND, 2, When::Before);
    let gate = stand.hold(LAND, nth, when);
    stand.ask(number, "mona");
    landing.arrived();
    let pushed = stand.github.push_commit(stand.widget, "main", &[("b", "1\n")]);
    landing.open();
    gate.arrived();
    program.kill();
    gate.open();
    let again = Program::start(&stand).await;
    let merged = |stand: &Stand| stand.github.shown(stand.widget, number) == "merged";
    stand.until("it is shown as merged", merged).await;
    stand.until("it is told", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.git(&["rev-parse", "main^"]), pushed, "on top of what was pushed");
    assert_eq!(stand.landings(&head), 1);
    let checks = stand.github.own_checks(stand.widget, &head);
    assert_eq!((checks.len(), stand.said(number)), (1, Vec::new()), "{checks:?}");
    again.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_landing_is_withdrawn() {
    for when in [When::Before, When::After] {
        killed_on_the_way_back((3, when)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_head_is_moved_back() {
    for when in [When::Before, When::After] {
        killed_on_the_way_back((4, when)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_what_landed_without_its_head_is_closed() {
    for when in [When::Before, When::After] {
        let stand = Stand::new(SQUASH);
        let fork = stand.github.fork(stand.widget, "eve");
        let head = stand.github.push_commit(fork, "patch", &[("a", "1\n")]);
        let number = stand.github.open_pull(stand.widget, "eve", "eve:patch");
        let program = Program::start(&stand).await;
        let gate = stand.hold(EDIT_PULL, 1, when);
        stand.ask(number, "mona");
        stand.comment(number, "lead", &format!("@molt approve head head={head} I read it"));
        gate.arrived();
        program.kill();
        gate.open();
        let again = Program::start(&stand).await;
        let closed = |stand: &Stand| stand.github.shown(stand.widget, number) == "closed";
        stand.until("it is closed", closed).await;
        stand.until("it is told", |stand| stand.check(number, "success")).await;
        stand.round().await;
        assert!(stand.check(number, "success"), "one check run");
        assert_eq!((stand.landings(&head), stand.said(number).len()), (1, 1));
        again.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_lines_are_annotated() {
    for (nth, when) in [(1, When::Before), (1, When::After), (2, When::Before), (2, When::After)] {
        let stand = Stand::new(failing::POLICY);
        let files = [("test.sh", failing::TEST), ("cases", "ok\n")];
        stand.github.push_commit(stand.widget, "main", &files);
        let cases = format!("ok\n{}", "no\n".repeat(60));
        let number = stand.pull("mona", "feature/a", &[("cases", &cases)]);
        let base = stand.main();
        let program = Program::start(&stand).await;
        let host = Host::of(&stand, &Program::address(&stand));
        let gate = stand.hold(ANNOTATE, nth, when);
        let head = stand.head(number);
        stand.comment(number, "lead", &format!("@molt approve head head={head} I read it"));
        stand.ask(number, "mona");
        gate.arrived();
        program.kill();
        drop(host);
        gate.open();
        let again = Program::start(&stand).await;
        stand.until("it is told", |stand| stand.check(number, "failure")).await;
        let all = |stand: &Stand| failing::annotations(stand, number).len() >= 60;
        stand.until("each line is told", all).await;
        stand.round().await;
        let said = failing::annotations(&stand, number);
        let lines: BTreeSet<Option<u64>> =
            said.iter().map(|it| it["start_line"].as_u64()).collect();
        assert_eq!((said.len(), lines.len()), (60, 60), "each once: {nth} {when:?}");
        assert!(stand.check(number, "failure"), "one check run");
        assert_eq!((stand.main(), stand.said(number).len()), (base, 1));
        again.kill();
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
