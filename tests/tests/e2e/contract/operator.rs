//! The story of `molt-coordinator`: what each of its commands is asked, in this order.

use super::row::{Step, say};
use super::world::World;
use crate::harness::git;

/// Commands that never refuse.
pub(super) const ALWAYS: &[(&str, &str)] = &[];

/// Commands whose success is shown elsewhere.
pub(super) const ELSEWHERE: &[(&str, &str)] =
    &[("demo", "see readme and demo"), ("restore", "see transfer"), ("migrate", "see transfer")];

const OP: &str = "op";

pub(super) const STORY: &[Step] = &[
    say(OP, "status", 0),
    say(OP, "status --repo mian", 3),
    say(OP, "stats", 2).means("status"),
    say(OP, "status --repos", 2).means("--repo"),
    Step::Do(worked),
    say(OP, "approve {car} --reason 'read it' --dry-run", 0),
    say(OP, "approve {car} --reason 'read it'", 0),
    say(OP, "approve car_zzzz --reason 'read it'", 3),
    Step::Do(landed),
    say(OP, "revoke {clm} --reason 'its host was sold' --dry-run", 0),
    say(OP, "revoke {clm} --reason 'its host was sold'", 0),
    say(OP, "revoke clm_zzzz --reason 'its host was sold'", 3),
    say(OP, "tokens list", 0),
    say(OP, "tokens issue --role viewer --name board --expires 30d", 0),
    say(OP, "tokens issue --role veiwer --name board", 2).means("viewer"),
    say(OP, "tokens list", 0),
    say(OP, "tokens list --coordinator 127.0.0.1:1", 10),
    say(OP, "tokens revoke {tok} --reason 'it leaked' --dry-run", 0),
    say(OP, "tokens revoke {tok} --reason 'it leaked'", 0),
    say(OP, "tokens revoke tok_zzzz --reason 'it leaked'", 3),
    say(OP, "events tail --after 0", 143).served(has_said_something),
    say(OP, "events tail --coordinator 127.0.0.1:1", 10).passes(),
    say(OP, "audit export audit.jsonl", 0),
    say(OP, "audit export audit.jsonl", 10),
    say(OP, "audit verify audit.jsonl", 0),
    Step::Do(forged),
    say(OP, "audit verify forged.jsonl", 9),
    say(OP, "format show", 0),
    say(OP, "format show --coordinator 127.0.0.1:1", 10),
    say(OP, "format raise --reason 'all run it' --dry-run", 0),
    say(OP, "format raise --reason 'all run it'", 0),
    say(OP, "format raise --reason 'all run it' --coordinator 127.0.0.1:1", 10),
    say(OP, "scopes plan --agents 2 --dry-run", 0),
    say(OP, "scopes plan --agents 2", 0),
    say(OP, "scopes plan", 0),
    say(OP, "scopes plan --drop", 0),
    say(OP, "scopes plan --agents 2 --coordinator 127.0.0.1:1", 10),
    Step::Do(blocked),
    say(OP, "tasks reopen {tsk} --reason 'as in the manual' --dry-run", 0),
    say(OP, "tasks reopen {tsk} --reason 'as in the manual'", 0),
    say(OP, "tasks reopen {tsk} --reason 'as in the manual'", 9),
    say(OP, "tasks reopen tsk_zzzz --reason 'as in the manual'", 3),
    say(OP, "init tree", 0),
    say(OP, "init tree", 2),
    say(OP, "policy check --file tree/molt.toml", 0),
    say(OP, "policy check --file faulty.toml", 2),
    say(OP, "certs dev --out certs --client agent=ann --dry-run", 0),
    say(OP, "certs dev --out certs --client agent=ann", 0),
    say(OP, "certs dev --out certs --client agent=ann", 2),
    say(OP, "backup --data data fleet.backup --dry-run", 0),
    say(OP, "backup --data data fleet.backup", 0),
    say(OP, "backup --data data fleet.backup", 9),
    say(OP, "doctor --data data", 0),
    say(OP, "doctor --config faulty.toml", 2),
    say(OP, "restore --data data --reason 'the disk broke' fleet.backup", 4),
    say(OP, "migrate --data data --to nothing.toml --reason 'to etcd'", 2),
    say(OP, "serve --data data --remote R.git --check-config", 0).passes(),
    say(OP, "serve --data data --remote nowhere --listen 127.0.0.1:0", 10).passes(),
    say(OP, "demo --no-such-flag", 2).passes(),
    say(OP, "man tokens issue", 0),
    say(OP, "man tokens isue", 3).means("issue"),
    say(OP, "completions zsh", 0),
    say(OP, "completions zhs", 2).means("zsh"),
    say(OP, "schema", 0),
    say(OP, "schema status", 0),
    say(OP, "schema stauts", 3).means("status"),
];

/// A claim, and a change that takes a person.
fn worked(world: &mut World<'_>) {
    let ann = world.agent("ann");
    ann.run(&["task", "add", "plan it", "--scope", "src/vm"]).exits(0);
    ann.run(&["claim", "docs"]).exits(0);
    let claim = ann.json(&["claim", "tools"], 0);
    let id = claim["data"]["id"].as_str().expect("a claim").to_owned();
    ann.commit(&[("tools/x", "y\n")], "change a tool");
    let car = ann.json(&["submit", "--wait", "30s"], 7);
    let car = car["data"]["id"].as_str().expect("a change").to_owned();
    world.know([id, car]);
    world.file("faulty.toml", "version = 1\n[scope.docs]\npaths = [\"docs/**\"\n");
    let tree = world.fleet.path("tree");
    world.file("tree/src/a.c", "one\n");
    git(&tree, &["init", "--quiet"]);
    git(&tree, &["add", "--all"]);
}

/// Work that an agent could not go on with.
fn blocked(world: &mut World<'_>) {
    let ann = world.agent("ann");
    let task = ann.json(&["next"], 0)["data"]["id"].as_str().expect("a task").to_owned();
    ann.run(&["task", "block", "--reason", "which form is meant?"]).exits(0);
    world.know([task]);
}

fn landed(world: &mut World<'_>) {
    let car = world.last("car").to_owned();
    let landed = |event: &serde_json::Value| event["what"] == "landed" && event["car"] == car;
    world.coordinator().events.wait("it landed", landed);
}

/// An exported audit of which one entry says something else.
fn forged(world: &mut World<'_>) {
    let audit = std::fs::read_to_string(world.fleet.path("audit.jsonl")).expect("the audit");
    assert!(audit.contains("\"ann\""), "the audit names who acted");
    world.file("forged.jsonl", &audit.replacen("\"ann\"", "\"bob\"", 1));
}

fn has_said_something(_world: &World<'_>, said: &str) -> bool {
    said.lines().count() > 2
}
