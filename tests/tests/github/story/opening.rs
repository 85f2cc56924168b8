//! Opening what agents submit, where something is in its way: it is waited for, or put aside with the
//! reason, and in no case does it hold up anybody else.

use serde_json::Value;

use super::agent::Worker;
use super::faults::next;
use super::operation::{ALL_COMMENTS, FETCH, MAKE_CHECK, OPEN_PULL, PERMISSION, PULLS};
use super::stand::{OPEN, Stand};
use crate::sim::{Entry, Fault, Kind, When};

/// A policy with a gate that nobody runs.
const GATED: &str = "version = 1\n[merge]\nmethod = \"merge\"\nrequired = [\"test\"]\n\
                     [gate.test]\nrun = \"true\"\n[scope.all]\npaths = [\"**\"]\n";

/// The most that is opened before people are heard again.
const AT_ONCE: usize = 8;

/// What we opened.
fn opened(stand: &Stand) -> Vec<Value> {
    stand.github.pulls_of(stand.widget, "molt[bot]")
}

/// Has a pull request of a person land.
async fn another_lands(stand: &Stand) {
    let other = stand.pull("mona", "feature/other", &[("other", "1\n")]);
    stand.github.label(stand.widget, other, "mona", "molt:land");
    stand.until("the other one lands", |stand| stand.check(other, "success")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_by_itself_is_waited_for_and_no_longer() {
    // What is remembered as refused is not tried again for minutes.
    let mut stand = Stand::new(OPEN).every("20s").hearing();
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    stand.github.plan(next(OPEN_PULL, When::Before, Kind::secondary_limit(429, Some(1))));
    let car = ann.submit("a", "1\n", "Mend it");
    stand.until("it lands", |_| ann.is(&car, "landed")).await;
    assert_eq!(opened(&stand).len(), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_github_answers_in_no_known_shape_holds_up_nobody() {
    let mut stand = Stand::new(OPEN).every("20s").hearing();
    stand.serve().await;
    // As often as it is sent.
    for nth in 1..=3 {
        let kind = Kind::Status { status: 201, message: "done", headers: Vec::new() };
        stand.github.plan(Fault { operation: OPEN_PULL, nth, when: When::Before, kind });
    }
    let ann = Worker::start(&stand, &stand.address());
    let car = ann.submit("a", "1\n", "Mend it");
    stand.until("it waits", |_| ann.is(&car, "closed")).await;
    let told = ann.car(&car);
    let detail = told["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("no pull request can be opened"), "{told}");
    assert!(detail.contains("the answer cannot be read"), "{told}");
    another_lands(&stand).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_board_does_not_take_holds_up_nobody() {
    let mut stand = Stand::new(OPEN).hearing();
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    // Its address becomes longer than what is kept of one.
    let gate = stand.hold(PULLS, 1, When::Before);
    gate.arrived();
    let car = ann.submit("a", "1\n", "Mend it");
    let long = format!("{}/{}", "a".repeat(200), "b".repeat(200));
    stand.github.rename_repository(stand.widget, &long);
    gate.open();
    stand.until("it waits", |_| ann.is(&car, "closed")).await;
    let told = ann.car(&car);
    assert!(told["detail"].as_str().unwrap_or_default().contains("url"), "{told}");
    another_lands(&stand).await;
    assert_eq!((opened(&stand).len(), stand.times(OPEN_PULL)), (1, 1), "once");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_heard_and_told_while_many_are_to_be_opened() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let crew = Worker::crew(&stand, &stand.address(), &names);
    let gate = stand.hold(PULLS, 1, When::Before);
    gate.arrived();
    for (worker, name) in crew.iter().zip(names) {
        worker.submit(&format!("of-{name}"), "1\n", "Mend it");
    }
    stand.ask(number, "mona");
    gate.open();
    let told = |stand: &Stand| stand.times(MAKE_CHECK) > names.len();
    stand.until("all are opened and told", told).await;
    let journal = stand.github.journal();
    let steps = journal.iter().filter(|it| [OPEN_PULL, MAKE_CHECK].contains(&&*it.operation));
    let steps: Vec<bool> = steps.map(|entry| entry.operation == OPEN_PULL).collect();
    assert!(!steps[0], "who asked before is told first");
    let most = steps.split(|opens| !opens).map(<[bool]>::len).max().unwrap_or_default();
    assert!((1..=AT_ONCE).contains(&most), "{most} opened without a word to anybody");
    assert_eq!(opened(&stand).len(), names.len());
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_pushed_is_looked_for_once_and_the_train_puts_it_out() {
    let mut stand = Stand::new(GATED).every("20s").hearing();
    stand.serve().await;
    let [ann, bob] =
        <[Worker; 2]>::try_from(Worker::crew(&stand, &stand.address(), &["ann", "bob"]))
            .unwrap_or_else(|_| panic!("two are two"));
    let first = ann.submit("a", "1\n", "Mend it");
    stand.until("the first one is tested", |_| ann.is(&first, "building")).await;
    stand.until("it is opened", |stand| opened(stand).len() == 1).await;
    // Whoever looks for the second one finds nothing any more.
    let gate = stand.hold(FETCH, 1, When::Before);
    gate.arrived();
    let car = bob.submit("b", "1\n", "Mend it too");
    let pushed = stand.git(&["for-each-ref", "--format=%(refname)", "refs/molt/changes"]);
    for name in pushed.lines() {
        stand.git(&["update-ref", "-d", name]);
    }
    gate.open();
    let looks = |stand: &Stand| {
        let is_look = |it: &&Entry| it.operation == PULLS && it.path.contains(&format!("{car}&"));
        stand.github.journal().iter().filter(is_look).count()
    };
    stand.until("it is looked for", |stand| looks(stand) > 0).await;
    for name in ["x", "y", "z"] {
        let other = stand.pull("mona", name, &[(name, "1\n")]);
        stand.github.label(stand.widget, other, "mona", "molt:land");
        stand.until("more happens", |stand| stand.check_says(other, "queued")).await;
    }
    assert_eq!(looks(&stand), 1, "and not again at whatever happens");
    assert!(bob.is(&car, "queued"), "{}", bob.car(&car));
    let number = opened(&stand)[0]["number"].as_u64().expect("a number");
    stand.github.close_pull(stand.widget, number, "mona");
    stand.until("it is out", |_| bob.is(&car, "closed")).await;
    let told = bob.car(&car);
    assert!(told["detail"].as_str().unwrap_or_default().contains("is not in"), "{told}");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_right_may_not_be_read_has_none_and_holds_up_nobody() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    for nth in 1..=40 {
        let message = "Must have push access to view collaborator permission.";
        let kind = Kind::Status { status: 403, message, headers: Vec::new() };
        stand.github.plan(Fault { operation: PERMISSION, nth, when: When::Before, kind });
    }
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
    assert!(stand.said(number)[0].contains("nothing was done"), "{:?}", stand.said(number));
    another_lands(&stand).await;
    assert_eq!(stand.landings(&stand.head(number)), 0);
    let asked = stand.times(ALL_COMMENTS);
    stand.round().await;
    assert!(stand.times(ALL_COMMENTS) > asked);
    assert!(stand.times(PERMISSION) <= 2, "each comment is heard once");
    stand.stop().await;
}
