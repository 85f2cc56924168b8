//! More than GitHub keeps of one thing (B15): what is not told is not taken for good, and what cannot
//! be said keeps nothing from landing.

use serde_json::json;

use super::operation::SET_STATUS;
use super::stand::{FORWARD, OPEN, Stand};

/// So many of one name GitHub keeps on a commit.
const KEPT: usize = 1_000;

/// Another program that checks changes.
const CI: u64 = 99;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_too_many_keeps_nothing_from_landing() {
    let mut stand = Stand::new(OPEN).by_person("robot");
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    for _ in 0..KEPT {
        stand.github.set_status_as(stand.widget, "robot", &head, ("molt", "pending"));
    }
    stand.serve().await;
    stand.ask(number, "mona");
    let merged = |stand: &Stand| stand.github.shown(stand.widget, number) == "merged";
    stand.until("it lands", merged).await;
    stand.round().await;
    assert_eq!(stand.status(&head), "pending", "there was room for none");
    assert_eq!(stand.landings(&head), 1);
    let tried = stand.times(SET_STATUS);
    assert!((1..=20).contains(&tried), "{tried} tries to say it");
    stand.round().await;
    assert_eq!(stand.times(SET_STATUS), tried, "and none once it is over");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_that_are_not_all_told_are_not_taken_for_green() {
    let mut stand = Stand::new(FORWARD);
    stand.github.protect(stand.widget, "main", &[("ci", Some(CI))]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (base, head) = (stand.main(), stand.head(number));
    let green =
        json!({"name": "ci", "head_sha": head, "status": "completed", "conclusion": "success"});
    for _ in 0..=KEPT {
        stand.github.set_check_as(stand.widget, CI, &green);
    }
    stand.serve().await;
    stand.ask(number, "mona");
    let cut = |stand: &Stand| stand.check_says(number, "ci was not read to the end");
    stand.until("it waits", cut).await;
    stand.round().await;
    assert_eq!((stand.main(), stand.landings(&head)), (base, 0));
    stand.stop().await;
}
