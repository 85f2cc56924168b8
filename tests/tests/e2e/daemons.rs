//! Hosts' daemons and supervisors killed while a gate runs.

use std::path::PathBuf;

use serde_json::json;

use crate::harness::{
    Agent, Fleet, Host, Running, Signal, is_alive, lines, scratch, send, until, write,
};

/// A gate that says that it runs, and passes when it is told to.
const GATE: &str = "echo $$ >>COUNT; while [ ! -e COUNT.go ]; do sleep 0.02; done";

/// Fields are dropped in this order: the fleet's folder last.
struct Scene {
    agent: Agent,
    host: Host,
    count: PathBuf,
    fleet: Fleet,
}

impl Scene {
    /// A change whose gate is under way on the host.
    fn new() -> (Self, Running) {
        let scratch = scratch();
        let count = scratch.path().join("count");
        let run = GATE.replace("COUNT", count.to_str().expect("a path of text"));
        let policy = format!(
            "version = 1\n[scope.src]\npaths = [\"src/**\"]\n[gate.lint]\nrun = \"{run}\"\n\
             timeout = \"1m\"\n[merge]\nrequired = [\"lint\", \"scope\"]\n"
        );
        let fleet = Fleet::within(scratch, &[("molt.toml", &policy)], &["--heartbeat", "300ms"]);
        let mut host = fleet.host("h1");
        host.serve(2);
        let agent = fleet.agent("ann", &host);
        agent.run(&["claim", "src"]).exits(0);
        agent.commit(&[("src/a", "a\n")], "add a");
        let submitted = agent.start(&["submit", "--wait", "35s"]);
        let scene = Self { fleet, host, agent, count };
        until("the gate runs", || (scene.runs() == 1).then_some(()));
        (scene, submitted)
    }

    fn runs(&self) -> usize {
        lines(&self.count).len()
    }

    fn go(&self) {
        write(&self.fleet.path(""), "count.go", "");
    }

    /// How many events of this kind there were.
    fn count(&self, what: &str) -> usize {
        let events = self.fleet.coordinator.events.all();
        events.iter().filter(|entry| entry["event"]["what"] == what).count()
    }
}

#[test]
fn a_daemon_that_was_killed_is_followed_by_one_that_adopts_the_run() {
    let (mut scene, submitted) = Scene::new();
    let (supervisor, child) = scene.host.run_under_way("job");
    scene.host.kill_daemon();
    assert!(is_alive(supervisor) && is_alive(child), "the run goes on without a daemon");
    scene.host.serve(2);
    assert_eq!(scene.host.run_under_way("job"), (supervisor, child), "it is the same run");
    scene.go();
    submitted.end().exits(0);
    assert_eq!(scene.runs(), 1, "it was run once");
    assert_eq!((scene.count("job_assigned"), scene.count("job_finished")), (1, 1));
    scene.fleet.verify();
}

#[test]
fn a_run_that_ended_while_no_daemon_was_there_is_told_by_the_next_one() {
    let (mut scene, submitted) = Scene::new();
    let (supervisor, _) = scene.host.run_under_way("job");
    scene.host.kill_daemon();
    scene.go();
    until("the run ends", || (!is_alive(supervisor)).then_some(()));
    scene.host.serve(2);
    submitted.end().exits(0);
    assert_eq!(scene.runs(), 1, "it was run once");
}

#[test]
fn a_supervisor_that_was_killed_takes_its_run_along_and_the_gate_is_run_again() {
    let (scene, submitted) = Scene::new();
    let (supervisor, child) = scene.host.run_under_way("job");
    send(supervisor, Signal::SIGKILL);
    until("the gate runs again", || (scene.runs() == 2).then_some(()));
    assert!(!is_alive(child), "nothing of the first run is left");
    let returned = scene
        .fleet
        .coordinator
        .events
        .wait("the first run is given up", |event| event["what"] == "job_returned");
    assert_eq!(returned["event"]["gate"], "lint");
    scene.go();
    submitted.end().exits(0);
    assert_eq!(scene.runs(), 2);
    let queue = scene.agent.json(&["queue"], 0);
    let cars = queue["data"]["cars"].as_array().expect("a list of cars");
    assert_eq!(cars.iter().filter(|car| car["phase"] == "open").count(), 0, "{queue}");
    scene.fleet.verify();
}

#[test]
fn a_change_whose_runs_were_all_interrupted_is_put_in_again_and_lands() {
    let (scene, submitted) = Scene::new();
    for attempt in 1..=3 {
        until("the gate runs", || (scene.runs() == attempt).then_some(()));
        let run = lines(&scene.count).pop().and_then(|pid| pid.parse().ok());
        send(run.expect("its process number"), Signal::SIGKILL);
    }
    submitted.end().exits(7);
    let ejected =
        scene.fleet.coordinator.events.wait("it is out", |event| event["what"] == "ejected");
    let car = ejected["event"]["car"].as_str().expect("a change").to_owned();
    let base = scene.fleet.remote.base();
    let stopped = scene.agent.json(&["gate", "show", &car], 7);
    assert!(stopped["data"]["remedy"].as_str().is_some_and(|it| !it.is_empty()), "{stopped}");

    scene.go();
    let again = scene.agent.json(&["gate", "retry", &car], 0);
    assert_eq!((&again["code"], &again["data"]["id"]), (&json!("submitted"), &json!(car)));
    let landed = scene.agent.json(&["gate", "wait", &car, "--wait", "30s"], 0);
    assert_eq!(landed["code"], "landed");
    assert_eq!(landed["data"]["commit"], scene.fleet.remote.base());
    assert_ne!(scene.fleet.remote.base(), base);
    assert_eq!((scene.runs(), scene.count("retried")), (4, 1));
    // What landed is not put in once more.
    scene.agent.json(&["gate", "retry", &car], 2);
    scene.fleet.verify();
}

#[test]
fn a_gate_that_outlasts_its_limit_is_a_timeout_and_leaves_nothing() {
    let policy = "version = 1\n[scope.src]\npaths = [\"src/**\"]\n[gate.lint]\n\
                  run = \"trap '' TERM; sleep 600 & while :; do sleep 0.05; done\"\n\
                  timeout = \"1s\"\n[merge]\nrequired = [\"lint\", \"scope\"]\n";
    let fleet = Fleet::new(&[("molt.toml", policy)], &["--heartbeat", "300ms"]);
    let mut host = fleet.host("h1");
    host.serve(1);
    let agent = fleet.agent("ann", &host);
    agent.run(&["claim", "src"]).exits(0);
    agent.commit(&[("src/a", "a\n")], "add a");
    let submitted = agent.start(&["submit", "--wait", "35s", "--json"]);
    let (supervisor, child) = host.run_under_way("job");
    let ejected = submitted.end().exits(7).document();
    assert_eq!(ejected["code"], "gate-timeout");
    until("nothing of it is left", || (!is_alive(supervisor) && !is_alive(child)).then_some(()));
    assert_eq!(fleet.remote.history().len(), 1);
}
