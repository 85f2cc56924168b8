//! The build host: gates' runs, once each, whatever happens to the daemon.

use std::time::Duration;

use molt_domain::gate::{Class, Gate, Reader};
use nix::sys::signal::Signal;

use crate::fleet::{Fault, gate};
use crate::place::{Machine, git, until, until_true};

/// A machine with a repository to fetch from; its commit and tree.
fn bench() -> (Machine, String, String) {
    let machine = Machine::new();
    let worktree = machine.agent("origin").worktree;
    let at = |what: &str| git(&worktree, &["rev-parse", what]);
    let (commit, tree) = (at("HEAD"), at("HEAD^{tree}"));
    machine.fleet.set_remote(worktree.display().to_string());
    (machine, commit, tree)
}

/// Runs until `go`, and writes in a journal that it began and ended.
fn journal(machine: &Machine) -> String {
    let place = machine.path("");
    let place = place.display();
    format!(
        "echo begin >> {place}/journal; while [ ! -e {place}/go ]; do sleep 0.02; done; \
         echo end >> {place}/journal"
    )
}

#[test]
fn what_a_job_found_is_told_with_the_tree_that_it_ran_on() {
    let (machine, commit, tree) = bench();
    machine.daemon(2);
    let tap = "cat source; test -n \"$MOLT_RUN_ID\" && echo 'ok 1 - a'; echo 'not ok 2 - b'; \
               echo 1..2; echo $CARGO_TARGET_DIR > target-was; exit 1";
    let red = Gate { result: Reader::Tap, ..gate(tap) };
    let report =
        "printf '<testsuite name=\"s\" tests=\"1\"><testcase name=\"t\"/></testsuite>' > r.xml";
    let green = Gate { result: Reader::Junit("r.xml".to_owned()), ..gate(report) };
    let red = machine.fleet.assign(red, (&commit, &tree));
    let green = machine.fleet.assign(green, (&commit, &tree));
    let found = until("the red one", || machine.fleet.results(red)).finding;
    assert_eq!((found.class, found.green, found.red_count), (Class::Failed, 1, 1), "{found:?}");
    assert_eq!(found.red.iter().map(String::as_str).collect::<Vec<_>>(), ["b"]);
    assert_eq!((found.commit, found.tree), (commit, tree));
    assert_eq!(found.exit, Some(1));
    assert!(found.note.contains("clean before"), "it made a file: {}", found.note);
    let log = machine.state().join(format!("logs/gates/unit/{red}-1.log"));
    let log = std::fs::read(log).unwrap();
    assert_eq!(found.log, blake3::hash(&log).to_hex().as_str());
    let found = until("the green one", || machine.fleet.results(green)).finding;
    assert_eq!((found.class, found.green), (Class::Passed, 1), "{found:?}");
}

#[test]
fn a_killed_daemon_runs_nothing_twice() {
    let (machine, commit, tree) = bench();
    let first = machine.daemon(1);
    let job = machine.fleet.assign(gate(&journal(&machine)), (&commit, &tree));
    until_true("the run", || machine.text("journal") == "begin\n");
    machine.end(first, Signal::SIGKILL);
    let second = machine.daemon(1);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(machine.text("journal"), "begin\n", "the second daemon took it over");
    machine.end(second, Signal::SIGTERM);
    // It ends while nobody is there.
    machine.touch("go");
    until_true("the end", || machine.text("journal") == "begin\nend\n");
    machine.daemon(1);
    let found = until("the result", || machine.fleet.results(job));
    assert_eq!(found.finding.class, Class::Passed, "{found:?}");
    assert_eq!(machine.text("journal"), "begin\nend\n");
}

#[test]
fn a_job_that_is_taken_back_is_stopped() {
    let (machine, commit, tree) = bench();
    let daemon = machine.daemon(1);
    let script = format!("trap 'echo told >> {}; exit 1' TERM; ", machine.path("told").display())
        + &journal(&machine);
    let job = machine.fleet.assign(gate(&script), (&commit, &tree));
    until_true("the run", || machine.text("journal") == "begin\n");
    machine.fleet.take_back(job);
    until_true("the stop", || machine.text("told") == "told\n");
    assert_eq!(machine.fleet.asked("end-job"), 0, "nobody asks for its result");

    // Also when the daemon that started it is gone.
    std::fs::remove_file(machine.path("told")).unwrap();
    std::fs::remove_file(machine.path("journal")).unwrap();
    let job = machine.fleet.assign(gate(&script), (&commit, &tree));
    until_true("the run", || machine.text("journal") == "begin\n");
    machine.end(daemon, Signal::SIGKILL);
    machine.fleet.take_back(job);
    machine.daemon(1);
    until_true("the stop", || machine.text("told") == "told\n");
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let (machine, commit, tree) = bench();
    machine.fleet.fault("end-job", Fault::Unavailable);
    machine.fleet.fault("end-job", Fault::LoseAnswer);
    machine.daemon(1);
    let job = machine.fleet.assign(gate("true"), (&commit, &tree));
    let found = until("the result", || machine.fleet.results(job));
    assert_eq!(found.finding.class, Class::Passed);
    until_true("the definite answer", || machine.fleet.asked("end-job") == 3);
}

#[test]
fn no_more_run_at_once_than_was_said() {
    let (machine, commit, tree) = bench();
    let script =
        format!("echo begin >> {0}; sleep 0.1; echo end >> {0}", machine.path("journal").display());
    let jobs: Vec<_> =
        (0..4).map(|_| machine.fleet.assign(gate(&script), (&commit, &tree))).collect();
    machine.daemon(1);
    for job in jobs {
        until("the result", || machine.fleet.results(job));
    }
    assert_eq!(machine.text("journal"), "begin\nend\n".repeat(4));
}

#[test]
fn a_limit_has_its_class_and_what_cannot_run_is_told() {
    let (machine, commit, tree) = bench();
    machine.daemon(2);
    let slow = Gate { timeout: Duration::from_millis(300), ..gate("echo 1..0; sleep 600") };
    let slow = machine.fleet.assign(slow, (&commit, &tree));
    let found = until("the timeout", || machine.fleet.results(slow)).finding;
    assert_eq!((found.class, found.exit), (Class::Timeout, None), "{found:?}");

    let absent = machine.fleet.assign(gate("true"), (&"9".repeat(40), &tree));
    let attempt =
        || machine.fleet.board(|board| board.tables().jobs.get(&absent).map(|job| job.attempt));
    // Whoever cannot fetch a commit did not judge it: another attempt is wanted.
    until_true("another attempt", || attempt().is_none_or(|attempt| attempt > 1));
    assert!(machine.fleet.results(slow).is_some());
}

#[test]
fn a_job_sees_no_secret_and_no_session() {
    let (machine, commit, tree) = bench();
    let out = machine.path("environment");
    let script = format!("env > {}", out.display());
    let mut daemon = machine.program();
    daemon.args(["daemon", "--jobs", "1"]);
    daemon.env("DEPLOY_TOKEN", "t").env("MOLT_AGENT_NAME", "n").env("CARGO_REGISTRY_TOKEN", "t");
    let mut daemon = daemon.spawn().unwrap();
    let with_env =
        Gate { env: [("PYTHONHASHSEED".to_owned(), "0".to_owned())].into(), ..gate(&script) };
    let job = machine.fleet.assign(with_env, (&commit, &tree));
    until("the result", || machine.fleet.results(job));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let environment = std::fs::read_to_string(out).unwrap();
    for name in
        ["DEPLOY_TOKEN", "CARGO_REGISTRY_TOKEN", "MOLT_AGENT_NAME", "MOLT_COORD", "MOLT_STATE"]
    {
        assert!(!environment.contains(name), "{name} in {environment}");
    }
    for name in ["PATH=", "CARGO_TARGET_DIR=", "MOLT_RUN_ID=", "PYTHONHASHSEED=0"] {
        assert!(environment.contains(name), "no {name} in {environment}");
    }
}
