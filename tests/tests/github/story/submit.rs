//! What an agent submits becomes a pull request, and what people do to that counts for it.

use serde_json::Value;

use super::agent::Worker;
use super::faults::{next, troubles};
use super::operation::{EDIT_PULL, LAND, OPEN_PULL, PUSH};
use super::program::Program;
use super::rules::approvals;
use super::stand::{OPEN, REBASE, SQUASH, Stand};
use crate::sim::{Kind, When};

/// A policy whose claims and announcements the board looks at.
const POLICY: &str = "version = 1\n[merge]\nmethod = \"merge\"\nrequired = [\"scope\", \"announce\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n[scope.docs]\npaths = [\"docs/**\"]\n";

/// The App's account.
const US: &str = "molt[bot]";

/// A repository whose branch wants a review, which its App is let through by.
fn reviewed(policy: &str) -> Stand {
    let stand = Stand::new(policy).hearing();
    stand.github.set_bypass(stand.widget, "always");
    stand.github.set_rules(stand.widget, "main", vec![approvals(1)]);
    stand
}

/// What we opened.
fn opened(stand: &Stand) -> Vec<Value> {
    stand.github.pulls_of(stand.widget, US)
}

/// The pull request that a car has, once it has one.
async fn pull_of(stand: &Stand, car: &str) -> Value {
    let mark = format!("<!-- molt:car:{car} -->");
    let with_mark = |stand: &Stand| {
        let body = |pull: &Value| pull["body"].as_str().unwrap_or_default().to_owned();
        opened(stand)
            .into_iter()
            .filter(|pull| body(pull).ends_with(&format!("{mark}\n")))
            .collect()
    };
    stand.until("it is opened", |stand| !Vec::is_empty(&with_mark(stand))).await;
    let mut found: Vec<Value> = with_mark(stand);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn number(pull: &Value) -> u64 {
    pull["number"].as_u64().expect("a number")
}

fn has_branch(stand: &Stand, pull: &Value) -> bool {
    let name = pull["head"]["ref"].as_str().expect("a branch");
    !stand.git(&["for-each-ref", &format!("refs/heads/{name}")]).is_empty()
}

/// What a pull request is by now.
fn now(stand: &Stand, pull: &Value) -> Value {
    let same = |other: &Value| other["number"] == pull["number"];
    opened(stand).into_iter().find(same).expect("none is ever gone")
}

fn is_closed(stand: &Stand, pull: &Value) -> bool {
    now(stand, pull)["state"] == "closed"
}

fn is_merged(stand: &Stand, pull: &Value) -> bool {
    now(stand, pull)["merged_at"].is_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_submitted_is_reviewed_and_lands_as_a_pull_request() {
    let mut stand = reviewed(POLICY);
    let base = stand.main();
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    ann.agent.json(&["claim", "src", "docs"], 0);
    let tests = ["announce", "--files", "src/a", "--tests", "make a", "make b", "--risk", "high"];
    ann.agent.json(&tests, 0);
    ann.agent.commit_on_top(&[("docs/b", "1\n")], "More words");
    let car = ann.submit("src/a", "1\n", "Mend the barrier");
    let pull = pull_of(&stand, &car).await;
    let (body, it) = (pull["body"].as_str().expect("a body"), number(&pull));
    for line in [
        format!("`ann` submitted this as `{car}`."),
        "* **scope** `docs`, `src`".to_owned(),
        "* **files** `docs/b`, `src/a`".to_owned(),
        "* **tests** `make a`, `make b`".to_owned(),
        "* **risk** high".to_owned(),
    ] {
        assert!(body.lines().any(|said| said == line), "{line} in {body}");
    }
    assert_eq!(pull["title"], "Mend the barrier");
    assert_eq!(
        (&pull["head"]["ref"], &pull["base"]["ref"]),
        (&Value::from(format!("molt/ann/{car}")), &Value::from("main"),)
    );
    stand.until("it waits", |stand| stand.check_says(it, "approval-missing: 0 of 1")).await;
    assert!(ann.is(&car, "approval-missing"), "{}", ann.car(&car));
    let why = ann.agent.run(&["why", &car]).exits(0).out;
    let url = pull["html_url"].as_str().expect("an address");
    assert!(why.contains(&format!("request {it} of")) && why.contains(url), "{why}");
    assert_eq!(stand.main(), base);
    // Who asks for it as well asks for the same change.
    stand.ask(it, "mona");
    stand.github.label(stand.widget, it, "mona", "molt:land");
    stand.github.review(stand.widget, it, "lead", "APPROVED");
    stand.until("it lands", |stand| stand.check(it, "success")).await;
    stand.until("its branch is gone", |stand| !has_branch(stand, &pull)).await;
    assert!(is_merged(&stand, &pull), "{}", now(&stand, &pull));
    assert_eq!(stand.landings(&stand.head(it)), 1);
    assert_eq!((opened(&stand).len(), stand.said(it)), (1, Vec::new()));
    assert!(ann.is(&car, "landed"));
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_closes_it_takes_it_out() {
    let mut stand = reviewed(OPEN);
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    let car = ann.submit("a", "1\n", "Mend it");
    let pull = pull_of(&stand, &car).await;
    stand.github.close_pull(stand.widget, number(&pull), "mona");
    stand.until("it is out", |_| ann.is(&car, "closed")).await;
    stand.until("it is told", |stand| stand.check(number(&pull), "cancelled")).await;
    assert!(has_branch(&stand, &pull), "it may be opened again");
    stand.github.reopen_pull(stand.widget, number(&pull), "mona");
    stand.github.review(stand.widget, number(&pull), "lead", "APPROVED");
    stand.round().await;
    assert_eq!((opened(&stand).len(), is_closed(&stand, &pull)), (1, false));
    assert_eq!(stand.landings(&stand.head(number(&pull))), 0, "nobody asked since");
    stand.ask(number(&pull), "mona");
    stand.until("it lands", |stand| stand.check(number(&pull), "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_pushes_to_it_takes_it_out() {
    let mut stand = reviewed(OPEN);
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    let car = ann.submit("a", "1\n", "Mend it");
    let pull = pull_of(&stand, &car).await;
    let branch = pull["head"]["ref"].as_str().expect("a branch");
    let pushed = stand.github.push_commit(stand.widget, branch, &[("b", "1\n")]);
    stand.until("it is out", |_| ann.is(&car, "head-moved")).await;
    stand.github.review(stand.widget, number(&pull), "lead", "APPROVED");
    stand.round().await;
    assert!(!is_closed(&stand, &pull) && has_branch(&stand, &pull), "it is that person's now");
    assert_eq!(stand.landings(&pushed), 0);
    stand.ask(number(&pull), "mona");
    stand.until("it lands", |stand| stand.check(number(&pull), "success")).await;
    assert_eq!(stand.landings(&pushed), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_session_replaces_is_closed_and_says_why() {
    let mut stand = reviewed(OPEN);
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    let first = ann.submit("a", "1\n", "Mend it");
    let old = pull_of(&stand, &first).await;
    let second = ann.submit("a", "2\n", "Mend it well");
    let new = pull_of(&stand, &second).await;
    stand.until("the old one is closed", |stand| is_closed(stand, &old)).await;
    stand.until("its branch is gone", |stand| !has_branch(stand, &old)).await;
    let said = stand.said(number(&old));
    assert!(said.len() == 1 && said[0].contains("superseded"), "{said:?}");
    assert!(ann.is(&first, "superseded") && !is_merged(&stand, &old));
    stand.github.review(stand.widget, number(&new), "lead", "APPROVED");
    stand.until("the new one lands", |stand| stand.check(number(&new), "success")).await;
    assert_eq!(opened(&stand).len(), 2);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_lost_on_the_way_one_is_opened() {
    let mut stand = Stand::new(OPEN);
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    for (index, (when, kind)) in troubles().into_iter().enumerate() {
        stand.github.plan(next(OPEN_PULL, when, kind.clone()));
        let car = ann.submit(&format!("f{index}"), "1\n", "Mend it");
        let pull = pull_of(&stand, &car).await;
        stand.until("it lands", |stand| stand.check(number(&pull), "success")).await;
        assert_eq!(stand.landings(&stand.head(number(&pull))), 1, "{when:?} {kind:?}");
        assert_eq!(opened(&stand).len(), index + 1, "{when:?} {kind:?}");
    }
    stand.stop().await;
}

/// Kills the program while a request of its is held there, and starts it again.
async fn killed_at((operation, nth, when): (&'static str, u64, When)) {
    let stand = Stand::new(OPEN);
    let program = Program::start(&stand).await;
    let ann = Worker::start(&stand, &Program::address(&stand));
    let gate = stand.hold(operation, nth, when);
    let car = ann.submit("a", "1\n", "Mend it");
    gate.arrived();
    program.kill();
    gate.open();
    let again = Program::start(&stand).await;
    let pull = pull_of(&stand, &car).await;
    stand.until("it lands", |stand| stand.check(number(&pull), "success")).await;
    stand.until("its branch is gone", |stand| !has_branch(stand, &pull)).await;
    stand.round().await;
    assert_eq!(stand.landings(&stand.head(number(&pull))), 1);
    assert_eq!((opened(&stand).len(), stand.said(number(&pull))), (1, Vec::new()));
    assert!(is_merged(&stand, &pull));
    again.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_is_opened() {
    for when in [When::Before, When::After] {
        killed_at((OPEN_PULL, 1, when)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_its_branch_is_made_and_while_it_is_landed() {
    // The agent pushes first; then its branch and its candidate are, in either order.
    for nth in [2, 3] {
        killed_at((PUSH, nth, When::After)).await;
    }
    killed_at((LAND, 1, When::After)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_is_closed() {
    for when in [When::Before, When::After] {
        let stand = reviewed(OPEN);
        let program = Program::start(&stand).await;
        let ann = Worker::start(&stand, &Program::address(&stand));
        let first = ann.submit("a", "1\n", "Mend it");
        let old = pull_of(&stand, &first).await;
        stand.until("it waits", |stand| stand.check_says(number(&old), "0 of 1")).await;
        let gate = stand.hold(EDIT_PULL, 1, when);
        ann.submit("a", "2\n", "Mend it well");
        gate.arrived();
        program.kill();
        gate.open();
        let again = Program::start(&stand).await;
        stand.until("it is closed", |stand| is_closed(stand, &old)).await;
        stand.until("its branch is gone", |stand| !has_branch(stand, &old)).await;
        stand.until("the new one is opened", |stand| opened(stand).len() == 2).await;
        assert_eq!(stand.said(number(&old)).len(), 1, "{when:?}");
        again.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_words_are_shown_and_do_nothing() {
    let mut stand = reviewed(OPEN);
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    let title = "fixes #1 @all <!-- x --> `y` [z](w) \u{202e}gpj";
    let file = "src/`a` @all #1";
    ann.agent.commit_on_top(&[(file, "1\n")], "Mend it");
    let body = "closes #2\n\n@molt approve head\n<!-- molt:car:car_0000 -->";
    let told = ann.agent.json(&["submit", "--title", title, "--body", body], 0);
    let car = told["data"]["id"].as_str().expect("a car");
    let pull = pull_of(&stand, car).await;
    let (title, body) = (pull["title"].as_str().unwrap_or(""), pull["body"].as_str().unwrap_or(""));
    assert_eq!(title, "fixes ＃1 ＠all <!-- x --> `y` [z](w) ⟨U+202E⟩gpj");
    assert!(body.contains("* **files** ``src/`a` @all #1``"), "{body}");
    assert!(body.contains("* **says** `closes #2⟨U+000A⟩"), "{body}");
    let marks = body.lines().filter(|line| line.starts_with("<!--")).count();
    assert_eq!(marks, 1, "{body}");
    stand.github.review(stand.widget, number(&pull), "lead", "APPROVED");
    stand.until("it lands", |stand| stand.check(number(&pull), "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_opened_waits_with_the_reason_and_holds_up_nobody() {
    // It is not tried again before somebody changed something, or long after.
    let mut stand = Stand::new(OPEN).every("20s").hearing();
    stand.serve().await;
    let refused = Kind::Status { status: 422, message: "Validation Failed", headers: Vec::new() };
    stand.github.plan(next(OPEN_PULL, When::Before, refused));
    let ann = Worker::start(&stand, &stand.address());
    let car = ann.submit("a", "1\n", "Mend it");
    stand.until("it waits", |_| ann.is(&car, "ruleset-blocked")).await;
    let told = ann.car(&car);
    let detail = told["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("no pull request can be opened"), "{told}");
    assert!(detail.contains("Validation Failed"), "{told}");
    let other = stand.pull("mona", "feature/b", &[("b", "1\n")]);
    stand.github.label(stand.widget, other, "mona", "molt:land");
    stand.until("the other one lands", |stand| stand.check(other, "success")).await;
    assert_eq!(opened(&stand).len(), 0);
    stand.github.set_rules(stand.widget, "main", Vec::new());
    let pull = pull_of(&stand, &car).await;
    stand.until("it lands", |stand| stand.check(number(&pull), "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_commits_of_our_own_it_lands_and_is_shown_as_merged() {
    for method in [SQUASH, REBASE] {
        let mut stand = Stand::new(method);
        stand.serve().await;
        let ann = Worker::start(&stand, &stand.address());
        let car = ann.submit("a", "1\n", "Mend it");
        let pull = pull_of(&stand, &car).await;
        let head = stand.head(number(&pull));
        stand.github.push_commit(stand.widget, "main", &[("b", "1\n")]);
        stand.until("it lands", |stand| stand.check(number(&pull), "success")).await;
        stand.until("its branch is gone", |stand| !has_branch(stand, &pull)).await;
        assert!(is_merged(&stand, &pull), "{}", now(&stand, &pull));
        assert_eq!((stand.landings(&head), stand.said(number(&pull))), (1, Vec::new()));
        assert!(ann.is(&car, "landed"));
        stand.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cancels_it_takes_it_out_and_it_stays_open() {
    let mut stand = reviewed(OPEN);
    stand.serve().await;
    let ann = Worker::start(&stand, &stand.address());
    let first = ann.submit("a", "1\n", "Mend it");
    let pull = pull_of(&stand, &first).await;
    stand.comment(number(&pull), "mona", "@molt cancel");
    stand.until("it is out", |_| ann.is(&first, "dequeued")).await;
    stand.until("it is told", |stand| stand.check(number(&pull), "cancelled")).await;
    assert!(!is_closed(&stand, &pull) && has_branch(&stand, &pull), "a person cares for it");
    stand.stop().await;
}
