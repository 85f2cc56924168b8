//! Many at once, and what that costs at GitHub.

use std::time::Duration;

use super::agent::Worker;
use super::overriding::gated;
use super::stand::{OPEN, SQUASH, Stand};
use crate::sim::{Entry, repeated};

/// Pull requests that are asked for at once.
const PULLS: u64 = 20;

/// Changes of anything at GitHub that one landing may take.
const CHANGES: u64 = 8;

/// And pushes by git: a candidate, what is staged, and that both are retired, beside a branch that is
/// made and deleted.
const PUSHES: usize = 5;

/// Landings in an hour that GitHub's limits have to have room for, and what they are: points a
/// minute, and requests an hour.
const LANDINGS: u64 = 300;
const HOUR: u64 = 3600;
const POINTS_A_MINUTE: u64 = 900;
const CONTENT_AN_HOUR: u64 = 500;

/// What may be waited for all of them: most of it is git.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once_all_land_and_github_hardly_notices() {
    let mut stand = Stand::new(OPEN);
    let open = |n: u64| stand.pull("mona", &format!("b{n}"), &[(&format!("f{n}"), "1\n")]);
    let numbers: Vec<u64> = (0..PULLS).map(open).collect();
    stand.serve().await;
    for number in &numbers {
        stand.github.label(stand.widget, *number, "mona", "molt:land");
    }
    for number in &numbers {
        let landed = |stand: &Stand| stand.check(*number, "success");
        stand.until_within(PATIENCE, "it lands", landed).await;
    }
    for number in &numbers {
        assert_eq!(stand.landings(&stand.head(*number)), 1, "{number}");
        assert_eq!(stand.said(*number), Vec::<String>::new(), "{number}");
    }
    let journal = stand.github.journal();
    let changes = stand.changes();
    let sum = changes.values().sum::<usize>() as u64;
    let reads = journal.iter().filter(|it| it.operation.starts_with("GET ")).count() as u64;
    println!("{PULLS} landings: {changes:?}, {reads} reads, {:?}", stand.github.load());
    assert!(sum <= CHANGES * PULLS, "{sum} changes for {PULLS} landings: {changes:?}");
    let load = stand.github.load();
    assert_eq!(load.refused, 0, "{load:?}");
    assert!(load.points_a_minute <= POINTS_A_MINUTE, "{load:?}");
    let points = (5 * sum + reads) * LANDINGS / PULLS / 60;
    assert!(points <= POINTS_A_MINUTE / 2, "{points} points a minute at {LANDINGS} an hour");
    let an_hour = repeated(&journal, LANDINGS / PULLS, HOUR * PULLS / LANDINGS);
    assert_eq!(an_hour.refused, 0, "{LANDINGS} landings an hour: {an_hour:?}");
    let content = load.content_an_hour * LANDINGS / PULLS;
    assert!(content <= CONTENT_AN_HOUR / 2, "{content} posts an hour at {LANDINGS} an hour");
    stand.stop().await;
}

/// What one landing has changed at GitHub, which is all that was changed there.
#[expect(clippy::print_stdout, reason = "what a landing costs is told where somebody looks")]
fn few(stand: &Stand, kind: &str) {
    let (changes, pushes) = (stand.changes(), stand.github.pushes());
    let pushes = pushes.iter().filter(|by| *by == "molt[bot]").count();
    println!("{kind}: {changes:?}, and {pushes} pushes");
    let sum = changes.values().sum::<usize>() as u64;
    assert!(sum <= CHANGES, "{kind}: {sum} changes: {changes:?}");
    assert!(pushes <= PUSHES, "{kind}: {pushes} pushes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_landing_of_each_kind_changes_little() {
    for (policy, kind) in [(OPEN, "a merge"), (SQUASH, "a squash")] {
        let mut stand = Stand::new(policy);
        let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
        stand.serve().await;
        stand.ask(number, "mona");
        stand.until("it lands", |stand| stand.check(number, "success")).await;
        stand.round().await;
        few(&stand, kind);
        stand.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_landing_of_what_an_agent_submits_changes_little() {
    let mut stand = Stand::new(OPEN);
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    let car = ann.submit("a", "1\n", "Mend it");
    stand.until("it lands", |_| ann.is(&car, "landed")).await;
    let of_branch = ["for-each-ref", "refs/heads/molt"];
    stand.until("its branch is gone", |stand| stand.git(&of_branch).is_empty()).await;
    stand.round().await;
    few(&stand, "what an agent submits");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_landing_that_gates_ran_for_changes_little() {
    let (mut stand, host) = gated().await;
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.round().await;
    few(&stand, "a gated merge");
    drop(host);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn landings_one_by_one_are_within_githubs_limits() {
    let mut stand = Stand::new(OPEN);
    let first = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let second = stand.pull("mona", "feature/b", &[("b", "1\n")]);
    stand.serve().await;
    stand.ask(first, "mona");
    stand.until("it lands", |stand| stand.check(first, "success")).await;
    stand.round().await;
    // What is done once, as it begins, is done by now.
    let before = stand.github.journal().len();
    stand.ask(second, "mona");
    stand.until("it lands too", |stand| stand.check(second, "success")).await;
    stand.round().await;
    let landing = stand.github.journal().split_off(before);
    let paid = landing.iter().filter(|entry| entry.status != 304).count();
    println!("a landing by itself: {paid} requests that count, {} in all", landing.len());
    let load = repeated(&landing, LANDINGS, HOUR / LANDINGS);
    assert_eq!(load.refused, 0, "{load:?}");
    let more = repeated(&landing, 4 * LANDINGS, HOUR / LANDINGS / 4);
    assert!(more.refused > 0, "there are no limits: {more:?}");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_in_which_nothing_changes_cost_nothing() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.round().await;
    let before = stand.github.journal().len();
    stand.round().await;
    let journal = stand.github.journal().split_off(before);
    let paid: Vec<&Entry> = journal.iter().filter(|entry| entry.status != 304).collect();
    assert!(paid.is_empty(), "{paid:?}");
    assert!(journal.len() >= 4, "two lists a round: {journal:?}");
    stand.stop().await;
}
