//! What is asked for and may land, lands: once, as one commit, and people are told.

use super::stand::{OPEN, Stand};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_writer_asks_for_lands_and_is_told() {
    let mut stand = Stand::new(OPEN);
    let base = stand.git(&["rev-parse", "main"]);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.git(&["rev-parse", "feature/a"]);
    stand.serve().await;
    stand.comment(number, "mona", &format!("@molt land head={head}"));
    stand.until("main moves", |stand| stand.git(&["rev-parse", "main"]) != base).await;
    assert_eq!(stand.git(&["rev-parse", "main^1"]), base);
    assert_eq!(stand.git(&["rev-parse", "main^2"]), head);
    stand.until("it says so", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.said(number), Vec::<String>::new(), "a landing needs no comment");
    let changes = stand.changes();
    assert!(changes.values().sum::<usize>() <= 8, "{changes:?}");
    stand.stop().await;
}
