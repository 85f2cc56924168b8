//! What GitHub says of merging, which nobody here goes by: its button, whether it thinks that something
//! merges, and the merge that it tried.

use molt_forge::github::Operation;

use super::operation::{PULL, PUSH};
use super::stand::{OPEN, Stand};
use crate::sim::{Bug, Consistency, When};

/// What it says of a merge that is not to be (B05, B06, B07, B29) is therefore never heard.
#[test]
fn github_is_never_asked_to_merge() {
    for operation in Operation::ALL {
        assert_ne!(operation.method, "PUT", "{operation}");
        assert!(!operation.template.contains("merge"), "{operation}");
        assert!(!operation.template.contains("update-branch"), "{operation}");
    }
}

/// In place of a 409 of the button's (B05).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_moves_while_it_is_tested_lands_neither_as_it_was_nor_as_it_is() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (base, old) = (stand.main(), stand.head(number));
    stand.serve().await;
    let gate = stand.hold(PUSH, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    let new = stand.github.push_commit(stand.widget, "feature/a", &[("a", "2\n")]);
    gate.open();
    stand.until("it is told", |stand| stand.check_says(number, "head-moved")).await;
    stand.round().await;
    assert_eq!((stand.landings(&old), stand.landings(&new)), (0, 0));
    assert_eq!(stand.main(), base);
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&new), 1);
    stand.stop().await;
}

/// Null is neither yes nor no (B09).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_it_merges_is_asked_of_git_where_github_does_not_know() {
    let mut stand = Stand::new(OPEN);
    let never = Consistency { mergeable_null_reads: u64::MAX, list_lag: 0, head_lag: 0 };
    stand.github.set_consistency(never);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

/// And a yes may be an old one (B09); what the button would answer 405 to is refused here (B06).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_github_believes_to_merge_and_git_does_not_is_refused() {
    let mut stand = Stand::new(OPEN);
    stand.github.seed(Bug::AlwaysMergeable);
    let number = stand.pull("mona", "feature/a", &[("README.md", "# a\n")]);
    let base = stand.github.push_commit(stand.widget, "main", &[("README.md", "# main\n")]);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it is told", |stand| stand.check_says(number, "conflict-base")).await;
    assert_eq!(stand.main(), base);
    stand.stop().await;
}

/// The merge that GitHub tried is none (B11): it neither lands nor says that something has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_merge_that_github_tried_is_not_what_lands() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    // Somebody speaks of it before it is asked for, so that it is read as a whole.
    stand.comment(number, "mona", "@molt why");
    stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
    stand.round().await;
    assert_eq!(stand.main(), base, "it is taken for merged by nobody");
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    let landed = stand.git(&["log", "-1", "--format=%s", "main"]);
    assert_ne!(landed, "Try");
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

/// A head that is shown late (B10): what git has counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_github_shows_late_is_looked_up_in_git_before_it_lands() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (base, old) = (stand.main(), stand.head(number));
    stand.serve().await;
    let gate = stand.hold(PUSH, 1, When::Before);
    stand.ask(number, "mona");
    gate.arrived();
    let late = Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 1_000_000 };
    stand.github.set_consistency(late);
    let new = stand.github.push_commit(stand.widget, "feature/a", &[("a", "2\n")]);
    gate.open();
    let asked = stand.times(PULL);
    stand.until("it is about to land", |stand| stand.times(PULL) >= asked + 2).await;
    assert_eq!((stand.main(), stand.landings(&old)), (base, 0));
    let late = Consistency { head_lag: 0, ..late };
    stand.github.set_consistency(late);
    stand.until("it is told", |stand| stand.check_says(number, "head-moved")).await;
    assert_eq!((stand.landings(&old), stand.landings(&new)), (0, 0));
    stand.stop().await;
}
