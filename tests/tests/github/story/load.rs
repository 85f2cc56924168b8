//! Many at once, and what that costs at GitHub.

use std::collections::BTreeMap;
use std::time::Duration;

use super::stand::{OPEN, Stand};
use crate::sim::Entry;

/// Pull requests that are asked for at once.
const PULLS: u64 = 20;

/// Changes of anything at GitHub that one landing may take.
const CHANGES: u64 = 8;

/// Landings in an hour that GitHub's limits have to have room for, and what they are: points a
/// minute, and requests an hour.
const LANDINGS: u64 = 300;
const POINTS_A_MINUTE: u64 = 900;
const CONTENT_AN_HOUR: u64 = 500;

/// What may be waited for all of them: most of it is git.
const PATIENCE: Duration = Duration::from_secs(600);

fn is_change(entry: &&Entry) -> bool {
    !entry.operation.starts_with("GET ") && !entry.operation.ends_with("access_tokens")
}

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
    let mut changes: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in journal.iter().filter(is_change) {
        *changes.entry(&entry.operation).or_default() += 1;
    }
    let sum: u64 = changes.values().sum();
    let reads = journal.iter().filter(|it| it.operation.starts_with("GET ")).count() as u64;
    println!("{PULLS} landings: {changes:?}, {reads} reads, {:?}", stand.github.load());
    assert!(sum <= CHANGES * PULLS, "{sum} changes for {PULLS} landings: {changes:?}");
    let load = stand.github.load();
    assert_eq!(load.refused, 0, "{load:?}");
    assert!(load.points_a_minute <= POINTS_A_MINUTE, "{load:?}");
    let points = (5 * sum + reads) * LANDINGS / PULLS / 60;
    assert!(points <= POINTS_A_MINUTE / 2, "{points} points a minute at {LANDINGS} an hour");
    let content = load.content_an_hour * LANDINGS / PULLS;
    assert!(content <= CONTENT_AN_HOUR / 2, "{content} posts an hour at {LANDINGS} an hour");
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
