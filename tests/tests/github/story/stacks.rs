//! Stacks of pull requests, which GitHub alone lands: they are told of, and not fought (B29).

use serde_json::json;

use super::stand::{OPEN, Stand};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_stack_is_left_to_github() {
    let mut stand = Stand::new(OPEN).hearing();
    let below = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.github.git(stand.widget, &["update-ref", "refs/heads/feature/b", "feature/a"]);
    stand.github.push_commit(stand.widget, "feature/b", &[("b", "1\n")]);
    let above = stand.github.open_pull_onto(stand.widget, "mona", "feature/b", "feature/a");
    let stack = stand.github.stack(stand.widget, &[below, above]);
    let base = stand.main();
    stand.serve().await;
    for number in [below, above] {
        stand.ask(number, "mona");
        let told = "ruleset-blocked: it is part of a stack";
        stand.until("it is told", |stand| stand.check_says(number, told)).await;
        assert!(stand.summary(number).contains("take the pull request out of its stack"));
    }
    stand.round().await;
    assert_eq!(stand.main(), base);
    let puts = stand.github.journal().into_iter().any(|it| it.operation.starts_with("PUT "));
    assert!(!puts, "GitHub's own button is nobody's to press");
    stand.github.unstack(stand.widget, stack);
    stand.ask(below, "mona");
    stand.until("it lands", |stand| stand.check(below, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_top_of_another_waits_until_it_is_not() {
    let mut stand = Stand::new(OPEN).hearing();
    let below = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.github.git(stand.widget, &["update-ref", "refs/heads/feature/b", "feature/a"]);
    stand.github.push_commit(stand.widget, "feature/b", &[("b", "1\n")]);
    let above = stand.github.open_pull_onto(stand.widget, "mona", "feature/b", "feature/a");
    let (widget, base) = (stand.widget, stand.main());
    stand.serve().await;
    stand.ask(above, "mona");
    let told = format!("ruleset-blocked: it is to land on the branch of ＃{below}");
    stand.until("it is told", |stand| stand.check_says(above, &told)).await;
    assert!(stand.summary(above).contains("land that one first"), "{}", stand.summary(above));
    assert_eq!(stand.main(), base);
    stand.ask(below, "mona");
    stand.until("the one below lands", |stand| stand.check(below, "success")).await;
    stand.github.edit_pull(widget, above, "mona", &json!({"base": "main"}));
    stand.until("it lands", |stand| stand.check(above, "success")).await;
    assert_eq!(stand.landings(&stand.head(above)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_another_branch_is_told_so_and_touched_no_more() {
    let mut stand = Stand::new(OPEN).hearing();
    stand.github.push_commit(stand.widget, "release", &[("r", "1\n")]);
    stand.github.push_commit(stand.widget, "feature/a", &[("a", "1\n")]);
    let number = stand.github.open_pull_onto(stand.widget, "mona", "feature/a", "release");
    let release = stand.git(&["rev-parse", "release"]);
    stand.serve().await;
    stand.comment(number, "mona", "For the next release.");
    stand.round().await;
    assert_eq!(stand.checks(number).len(), 0, "nobody asked us");
    stand.ask(number, "mona");
    let told = "closed: it is for release, the train's is main";
    stand.until("it is told", |stand| stand.check_says(number, told)).await;
    assert_eq!(stand.git(&["rev-parse", "release"]), release);
    stand.stop().await;
}
