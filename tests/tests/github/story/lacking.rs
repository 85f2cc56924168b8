//! What the App may not do: it is told once, where people look, and in another way if there is one.

use serde_json::Value;

use super::operation::{COMMENTS, LAND, MAKE_CHECK, MOVE_REF, SET_STATUS};
use super::program::Program;
use super::stand::{MANIFEST, OPEN, Stand};

/// What is granted without one of them.
fn without(lacking: &[&str]) -> Vec<(&'static str, &'static str)> {
    MANIFEST.into_iter().filter(|(name, _)| !lacking.contains(name)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_said_in_a_check_run_is_said_in_a_status() {
    let mut granted = without(&["checks", "statuses"]);
    granted.push(("statuses", "write"));
    let mut stand = Stand::granted(OPEN, &granted).hearing();
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (base, head) = (stand.main(), stand.head(number));
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it is told", |stand| stand.status(&head) == "pending").await;
    let said = stand.github.journal().into_iter().rfind(|it| it.operation == SET_STATUS);
    let said = said.expect("it was told").body;
    let told = said["description"].as_str().unwrap_or_default();
    assert!(told.starts_with("auth-lost: the installation lacks `checks: write`"), "{said}");
    stand.round().await;
    assert_eq!(
        (stand.times(MAKE_CHECK), stand.times(SET_STATUS)),
        (0, 1),
        "told in vain, or twice"
    );
    assert_eq!(stand.main(), base);
    stand.github.grant("checks", "write");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.status(&head), "success", "GitHub wants both of one name");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_tell_in_no_way_tells_the_log_once() {
    let stand = Stand::granted(OPEN, &without(&["checks", "statuses"]));
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let program = Program::start(&stand).await;
    stand.ask(number, "mona");
    let lacks = "the installation lacks `checks: write`";
    stand.until("it is logged", |stand| stand.logged(lacks) > 0).await;
    stand.round().await;
    stand.round().await;
    assert_eq!(stand.logged(lacks), 1);
    assert_eq!(stand.logged("skipped for now"), 0);
    assert_eq!(
        (stand.times(MAKE_CHECK), stand.times(SET_STATUS), stand.times(COMMENTS)),
        (0, 0, 0)
    );
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_suspended_tells_the_log_once_and_goes_on_afterwards() {
    let stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let program = Program::start(&stand).await;
    stand.github.suspend_installation(true);
    stand.ask(number, "mona");
    stand.until("it is logged", |stand| stand.logged("the installation is suspended") > 0).await;
    let refused = |stand: &Stand| {
        stand.github.journal().iter().filter(|entry| matches!(entry.status, 401 | 403)).count()
    };
    let enough = refused(&stand) + 4;
    stand.until("it tries again", |stand| refused(stand) >= enough).await;
    assert_eq!(stand.logged("the installation is suspended"), 1);
    assert_eq!(stand.checks(number), Vec::<Value>::new());
    stand.github.suspend_installation(false);
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.logged("goes on"), 1);
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_fence_the_base_moves_alone() {
    let stand = Stand::new(OPEN).set("fencing = 'base'");
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let program = Program::start(&stand).await;
    assert_eq!(stand.logged("landings have no fence"), 1);
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!((stand.times(MOVE_REF), stand.times(LAND)), (1, 0));
    assert_eq!(stand.landings(&stand.head(number)), 1);
    program.kill();
}
