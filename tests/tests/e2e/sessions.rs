//! Who is one agent: shells come and go, programs live.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Fleet, Root, command, is_alive, lines, until};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n";

/// Runs a verb in a shell of `program`; its document and the number of the shell.
fn verb(program: &mut Root, agent: &Path, out: &Path, arguments: &str) -> (Value, String) {
    let (agent, file) = (agent.display(), out.display());
    program.shell(&format!("echo $$ >'{file}.pid'; '{agent}' {arguments} --json >'{file}'"));
    let text = std::fs::read_to_string(out).expect("what the verb said");
    let shell = lines(&out.with_extension("json.pid")).remove(0);
    (serde_json::from_str(&text).expect("a document"), shell)
}

#[test]
fn five_shells_of_one_program_are_one_living_session() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let worktree = fleet.remote.clone_into(&fleet.path("work"));
    let mut program = Root::start("ann", &host, &worktree);
    let (agent, out) = (host.command(&[]).get_program().to_owned(), fleet.path("said.json"));
    let asked = ["claim docs", "claim src", "release src", "claim docs", "status"];
    let mut shells = Vec::new();
    let mut last = Value::Null;
    for arguments in asked {
        let (document, shell) = verb(&mut program, Path::new(&agent), &out, arguments);
        assert_eq!(document["ok"], true, "{arguments}: {document}");
        shells.push(shell);
        last = document;
    }
    shells.sort();
    shells.dedup();
    assert_eq!(shells.len(), asked.len(), "each verb had a shell of its own");
    for shell in shells {
        assert!(!is_alive(shell.parse().expect("a number")), "shell {shell} is gone");
    }
    let session = &last["data"]["session"];
    assert_eq!((&session["name"], &session["state"]), (&json!("ann"), &json!("live")));
    assert_eq!(session["epoch"], 1);
    let joins = |events: Vec<Value>| {
        events.iter().filter(|entry| entry["event"]["what"] == "joined").count()
    };
    fleet.coordinator.events.wait("src was released", |event| event["what"] == "released");
    assert_eq!(joins(fleet.coordinator.events.all()), 1);

    program.kill();
    let lost = fleet.coordinator.events.wait("its end is seen", |event| event["what"] == "lost");
    assert_eq!(lost["event"]["cause"], "root_dead");
    assert_eq!(lost["event"]["session"], session["id"]);
}

#[test]
fn two_programs_in_one_worktree_are_two_sessions() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let worktree = fleet.remote.clone_into(&fleet.path("work"));
    let mut one = Root::start("ann", &host, &worktree);
    let mut two = Root::start("ann", &host, &worktree);
    let agent = host.command(&[]).get_program().to_owned();
    let (agent, out) = (Path::new(&agent), fleet.path("said.json"));
    let (granted, _) = verb(&mut one, agent, &out, "claim docs");
    let (refused, _) = verb(&mut two, agent, &out, "claim docs");
    assert_eq!((&granted["code"], &refused["code"]), (&json!("granted"), &json!("scope_held")));
    assert_eq!(refused["data"]["holder"], "ann");
    let names = [&mut one, &mut two].map(|program| {
        let (status, _) = verb(program, agent, &out, "status");
        status["data"]["session"]["name"].clone()
    });
    assert_eq!(names, [json!("ann"), json!("ann#2")]);
    until("both are renewed", || {
        let status = fleet.coordinator.status();
        (status["sessions"] == 2).then_some(())
    });

    one.kill();
    let lost = fleet.coordinator.events.wait("one is seen dead", |event| event["what"] == "lost");
    assert_eq!(lost["event"]["name"], "ann");
    let (status, _) = verb(&mut two, agent, &out, "status");
    assert_eq!(status["data"]["session"]["state"], "live", "the other goes on");
}

#[test]
fn a_session_whose_program_died_is_resumed_by_the_next_one() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let mut ann = fleet.agent("ann", &host);
    let granted = ann.json(&["claim", "docs"], 0);
    ann.root.kill();
    fleet.coordinator.events.wait("its end is seen", |event| event["what"] == "lost");
    let mut next = Root::start("ann", &host, ann.worktree());
    let agent = command(ann.command(&[]).get_program(), Path::new("/"));
    let agent = Path::new(agent.get_program());
    let out = fleet.path("said.json");
    let (resumed, _) = verb(&mut next, agent, &out, "resume");
    assert_eq!(resumed["ok"], true, "{resumed}");
    let (status, _) = verb(&mut next, agent, &out, "status");
    assert_eq!(status["data"]["session"]["epoch"], 2);
    assert_eq!(status["data"]["claims"][0]["id"], granted["data"]["id"], "the same claim");
    assert_eq!(status["data"]["claims"][0]["fence"], granted["data"]["fence"]);
}
