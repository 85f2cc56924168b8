//! Commits of our own land in place of a pull request's: its head goes to them first, so that it is
//! shown as merged, or it is closed.

use serde_json::json;

use super::operation::{COMMENT, LAND};
use super::program::Program;
use super::stand::{OPEN, REBASE, SQUASH, Stand};
use crate::sim::{Entry, Fault, Kind, When};

/// How GitHub shows a pull request.
fn shows(stand: &Stand, number: u64, how: &str) -> bool {
    stand.github.shown(stand.widget, number) == how
}

/// Whether our one check run of a head says this.
fn ended(stand: &Stand, head: &str, conclusion: &str) -> bool {
    let checks = stand.github.own_checks(stand.widget, head);
    assert!(checks.len() <= 1, "one check run for a head: {checks:?}");
    checks.iter().any(|check| check["conclusion"] == conclusion)
}

/// Waits until the cancel of a head is on the board: no longer than a held request is waited for.
async fn cancelled(stand: &Stand, head: &str) {
    let record = format!("\"cancelled\":\"{head}\"");
    stand.until("the cancel is heard", |stand| stand.has_record_with(&record)).await;
}

/// Whether the last step of the fence is a withdrawal.
fn withdrawn(stand: &Stand) -> bool {
    let said = stand.git(&["for-each-ref", "--format=%(subject)", "refs/molt/fence"]);
    said.contains("withdraw")
}

/// Whether the late step of a landing that is dead has moved a head.
fn was_moved(stand: &Stand, head: &str) -> bool {
    let landing = |entry: &&Entry| {
        entry.operation == LAND && entry.body.to_string().contains("refs/heads/feature/a")
    };
    let from =
        |entry: &Entry| entry.body.to_string().contains(&format!("\"beforeOid\":\"{head}\""));
    stand.github.journal().iter().filter(landing).any(from)
}

/// The parents of a commit.
fn parents(stand: &Stand, commit: &str) -> String {
    stand.git(&["log", "-1", "--format=%P", commit])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_squashed_pull_request_is_shown_as_merged_and_told_of_on_both_heads() {
    let mut stand = Stand::new(SQUASH);
    let base = stand.main();
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.github.push_commit(stand.widget, "feature/a", &[("a", "2\n")]);
    let head = stand.head(number);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it is shown as merged", |stand| shows(stand, number, "merged")).await;
    stand.until("its last head is told", |stand| stand.check(number, "success")).await;
    stand.until("and the one before", |stand| ended(stand, &head, "success")).await;
    let landed = stand.main();
    assert_eq!(parents(&stand, &landed), base, "one commit for both");
    assert_eq!(stand.head(number), landed);
    assert_eq!(stand.git(&["rev-parse", "feature/a"]), landed);
    assert_eq!(stand.git(&["show", "main:a"]), "2");
    assert_eq!(stand.landings(&head), 1);
    assert_eq!(stand.git(&["rev-parse", "refs/molt/staged/head"]), head, "it is named still");
    assert_eq!(stand.said(number), Vec::<String>::new(), "a landing needs no comment");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebased_pull_request_is_shown_as_merged() {
    let mut stand = Stand::new(REBASE);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.github.push_commit(stand.widget, "feature/a", &[("b", "1\n")]);
    let head = stand.head(number);
    let base = stand.github.push_commit(stand.widget, "main", &[("c", "1\n")]);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it is shown as merged", |stand| shows(stand, number, "merged")).await;
    stand.until("it says so", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.git(&["rev-parse", "main~2"]), base, "both commits, on the base");
    assert_eq!(parents(&stand, "main").len(), base.len(), "no merge");
    assert_eq!(stand.git(&["diff", "--name-only", "main~2", "main~1"]), "a");
    assert_eq!(stand.landings(&head), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forks_pull_request_is_closed_with_the_commit_that_landed() {
    let mut stand = Stand::new(SQUASH);
    let fork = stand.github.fork(stand.widget, "eve");
    let head = stand.github.push_commit(fork, "patch", &[("a", "1\n")]);
    let number = stand.github.open_pull(stand.widget, "eve", "eve:patch");
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it waits for a look", |stand| stand.check_says(number, "approval-missing")).await;
    stand.comment(number, "lead", &format!("@molt approve head head={head} I read it"));
    stand.until("it is closed", |stand| shows(stand, number, "closed")).await;
    stand.round().await;
    let landed = stand.main();
    assert_eq!(stand.landings(&head), 1);
    let said = stand.said(number);
    assert!(matches!(&said[..], [one] if one.contains(&landed)), "{said:?} of {landed}");
    assert!(stand.check(number, "success"));
    assert_eq!(stand.github.git(fork, &["rev-parse", "patch"]), head, "a fork's branch is theirs");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_may_not_be_moved_stays_and_its_pull_request_is_closed() {
    let mut stand = Stand::new(SQUASH);
    let kept = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let rule = json!({ "type": "update", "ruleset_id": 1 });
    stand.github.set_rules(stand.widget, "feature/a", vec![rule]);
    let below = stand.pull("mona", "feature/b", &[("b", "1\n")]);
    stand.github.push_commit(stand.widget, "feature/c", &[("c", "1\n")]);
    stand.github.open_pull_onto(stand.widget, "mona", "feature/c", "feature/b");
    stand.git(&["branch", "release", "main"]);
    let twice = stand.pull("mona", "feature/d", &[("d", "1\n")]);
    stand.github.open_pull_onto(stand.widget, "mona", "feature/d", "release");
    stand.serve().await;
    for (number, branch) in [(kept, "feature/a"), (below, "feature/b"), (twice, "feature/d")] {
        let head = stand.head(number);
        stand.ask(number, "mona");
        stand.until("it is closed", |stand| shows(stand, number, "closed")).await;
        let said = stand.said(number);
        assert!(matches!(&said[..], [one] if one.contains(&stand.main())), "{said:?}");
        assert_eq!(stand.git(&["rev-parse", branch]), head, "{branch} stays");
        assert_eq!(stand.landings(&head), 1);
        assert!(stand.check(number, "success"));
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_moves_no_head_and_closes_nothing() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it is shown as merged", |stand| shows(stand, number, "merged")).await;
    assert_eq!(stand.git(&["rev-parse", "feature/a"]), head);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_landing_that_the_base_outran_gives_the_head_back() {
    let mut stand = Stand::new(SQUASH);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    stand.serve().await;
    let gate = stand.hold(LAND, 2, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    assert_ne!(stand.head(number), head, "it went ahead");
    stand.comment(number, "mona", "@molt cancel");
    cancelled(&stand, &head).await;
    assert_eq!(stand.github.own_checks(stand.widget, &stand.head(number)).len(), 0, "not yet");
    let pushed = stand.github.push_commit(stand.widget, "main", &[("b", "1\n")]);
    gate.open();
    stand.until("it is told", |stand| ended(stand, &head, "cancelled")).await;
    assert_eq!((stand.main(), stand.head(number)), (pushed.clone(), head.clone()));
    assert_eq!(stand.git(&["rev-parse", "refs/molt/staged/head"]), head, "it is named still");
    stand.ask(number, "mona");
    stand.until("it is shown as merged", |stand| shows(stand, number, "merged")).await;
    assert_eq!(parents(&stand, "main"), pushed);
    assert_eq!(stand.landings(&head), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_pushes_before_the_head_moves_keeps_what_they_pushed() {
    let mut stand = Stand::new(SQUASH);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (base, head) = (stand.main(), stand.head(number));
    stand.serve().await;
    let gate = stand.hold(LAND, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    let theirs = stand.github.force_push(stand.widget, "feature/a", &[("a", "2\n")]);
    stand.until("it is seen", |stand| stand.has_record_with(&theirs)).await;
    gate.open();
    stand.until("the landing is dead", withdrawn).await;
    stand.until("the old head is told", |stand| ended(stand, &head, "cancelled")).await;
    stand.round().await;
    assert_eq!(stand.git(&["rev-parse", "feature/a"]), theirs);
    assert_eq!((stand.main(), stand.landings(&head)), (base, 0), "nothing of it lands");
    assert!(shows(&stand, number, "open"));
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_pushes_between_head_and_base_keeps_what_they_pushed() {
    for outran in [false, true] {
        let mut stand = Stand::new(SQUASH);
        let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
        let head = stand.head(number);
        stand.serve().await;
        let gate = stand.hold(LAND, 2, When::Before);
        stand.ask(number, "mona");
        gate.arrived();
        let theirs = stand.github.push_commit(stand.widget, "feature/a", &[("b", "1\n")]);
        if outran {
            stand.github.push_commit(stand.widget, "main", &[("c", "1\n")]);
        }
        stand.until("it is seen", |stand| stand.has_record_with(&theirs)).await;
        gate.open();
        stand.until("the old head is told", |stand| ended(stand, &head, "cancelled")).await;
        let over = |stand: &Stand| stand.landings(&head) == 1 || withdrawn(stand);
        stand.until("it is over", over).await;
        stand.round().await;
        assert_eq!(stand.git(&["rev-parse", "feature/a"]), theirs, "{outran}");
        assert_eq!(stand.landings(&head), usize::from(!outran));
        assert_eq!(stand.git(&["ls-tree", "--name-only", "main", "b"]), "", "nobody asked for it");
        assert!(shows(&stand, number, "open"));
        stand.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_moved_for_a_landing_that_is_dead_is_brought_back() {
    let stand = Stand::new(SQUASH);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    let program = Program::start(&stand).await;
    let gate = stand.hold(LAND, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    stand.comment(number, "mona", "@molt cancel");
    cancelled(&stand, &head).await;
    program.kill();
    stand.github.push_commit(stand.widget, "main", &[("b", "1\n")]);
    let again = Program::start(&stand).await;
    stand.until("it is out", |stand| ended(stand, &head, "cancelled")).await;
    gate.open();
    stand.until("the late one moves it", |stand| was_moved(stand, &head)).await;
    stand.until("it is brought back", |stand| stand.head(number) == head).await;
    stand.round().await;
    stand.ask(number, "mona");
    stand.until("it is shown as merged", |stand| shows(stand, number, "merged")).await;
    stand.until("it says so", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&head), 1);
    assert_eq!(stand.git(&["show", "main:a"]), "1");
    again.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_may_not_be_brought_back_is_a_head_like_any_other() {
    let mut stand = Stand::new(SQUASH);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    stand.serve().await;
    let gate = stand.hold(LAND, 2, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    let moved = stand.head(number);
    let rule = json!({ "type": "update", "ruleset_id": 1 });
    stand.github.set_rules(stand.widget, "feature/a", vec![rule]);
    let pushed = stand.github.push_commit(stand.widget, "main", &[("b", "1\n")]);
    gate.open();
    stand.until("the old head is told", |stand| ended(stand, &head, "cancelled")).await;
    stand.until("the new one is", |stand| stand.check_says(number, "head-moved")).await;
    stand.round().await;
    assert_eq!((stand.main(), stand.head(number)), (pushed, moved.clone()));
    stand.ask(number, "mona");
    stand.until("it lands all the same", |stand| stand.landings(&moved) == 1).await;
    stand.until("it is closed", |stand| shows(stand, number, "closed")).await;
    assert_eq!(stand.git(&["show", "main:a"]), "1");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_landed_and_is_not_shown_as_merged_is_closed_with_the_commit() {
    let mut stand = Stand::new(SQUASH);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    stand.serve().await;
    let gate = stand.hold(LAND, 2, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    stand.git(&["update-ref", "refs/heads/feature/a", &head]);
    gate.open();
    stand.until("it is closed", |stand| shows(stand, number, "closed")).await;
    let said = stand.said(number);
    assert!(matches!(&said[..], [one] if one.contains(&stand.main())), "{said:?}");
    assert_eq!(stand.landings(&head), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_may_comment_it_is_closed_all_the_same() {
    let mut stand = Stand::new(SQUASH);
    let fork = stand.github.fork(stand.widget, "eve");
    let head = stand.github.push_commit(fork, "patch", &[("a", "1\n")]);
    let number = stand.github.open_pull(stand.widget, "eve", "eve:patch");
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it waits for a look", |stand| stand.check_says(number, "approval-missing")).await;
    let locked = Kind::Status {
        status: 403,
        message: "Unable to create comment because issue is locked.",
        headers: Vec::new(),
    };
    stand.github.plan(Fault { operation: COMMENT, nth: 1, when: When::Before, kind: locked });
    stand.comment(number, "lead", &format!("@molt approve head head={head} I read it"));
    stand.until("it is closed", |stand| shows(stand, number, "closed")).await;
    assert_eq!((stand.landings(&head), stand.times(COMMENT)), (1, 1), "it is not tried again");
    assert!(stand.check(number, "success"));
    stand.stop().await;
}
