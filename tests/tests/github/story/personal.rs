//! The coordinator as a person, by a personal token: no check runs, and our own word is no command.

use super::stand::{OPEN, Stand};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_tells_by_statuses_and_hears_others_alone() {
    let mut stand = Stand::new(OPEN).by_person("robot");
    let base = stand.main();
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let head = stand.head(number);
    stand.serve().await;
    stand.comment(number, "robot", &format!("@molt land head={head}"));
    stand.round().await;
    assert_eq!(stand.status(&head), "", "our own word is no command");
    assert_eq!(stand.main(), base);
    assert_eq!(stand.said(number), Vec::<String>::new());
    stand.ask(number, "mona");
    stand.until("it says so", |stand| stand.status(&head) == "success").await;
    assert_eq!(stand.landings(&head), 1);
    assert!(stand.checks(number).is_empty(), "an App alone has check runs");
    let tried = stand.github.journal().into_iter().any(|it| it.operation.contains("check-runs"));
    assert!(!tried, "nor are they asked for in vain");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_answers_in_one_comment_too() {
    let mut stand = Stand::new(OPEN).by_person("robot");
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.ask(number, "eve");
    stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
    stand.ask(number, "eve");
    let twice = |stand: &Stand| stand.said(number)[0].matches("nothing was done").count() == 2;
    stand.until("it is answered there too", twice).await;
    assert_eq!(stand.said(number).len(), 1);
    stand.stop().await;
}
