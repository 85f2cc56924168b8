//! `why`: the facts that decided. One fact changed, the text changes.

use crate::harness::{Agent, Fleet, Host};

const POLICY: &str = r#"version = 1
[scope.docs]
paths = ["docs/**"]
[scope.src]
paths = ["src/**"]
[gate.lint]
run = "! grep -rn TABS src"
timeout = "1m"
[merge]
required = ["lint", "scope", "announce"]
"#;

/// Why a command is refused, without what differs from time to time.
fn because(agent: &Agent, arguments: &[&str]) -> String {
    let refused = agent.run(&[arguments, &["--json"]].concat());
    assert_ne!(refused.code, 0, "{arguments:?} was not refused: {}", refused.out);
    let document = refused.document();
    let id = document["data"]["why"].as_str();
    why(agent, id.unwrap_or_else(|| panic!("no id to ask about: {document}")))
}

fn why(agent: &Agent, id: &str) -> String {
    let told = agent.run(&["why", id]).exits(0).out;
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    assert!(lines.len() > 1, "{told}");
    let passing = ["why ", "seen ", "since ", "when ", "head ", "next "];
    let lasting = lines.iter().filter(|line| !passing.iter().any(|word| line.starts_with(word)));
    let lasting = lasting.map(|line| line.split(" was refused, ").next().unwrap_or(line));
    lasting.collect::<Vec<_>>().join("\n")
}

/// Why the change that is checked out is not landed.
fn ejected(agent: &Agent) -> String {
    let document = agent.json(&["submit", "--wait", "30s"], 7);
    why(agent, document["data"]["id"].as_str().expect("a car"))
}

/// That another fact gives another text, which names it.
#[track_caller]
fn changes(before: &str, after: &str, fact: &str) {
    assert_ne!(before, after, "the same text for another fact");
    assert!(after.contains(fact), "`{fact}` is not in:\n{after}");
    assert!(!before.contains(fact), "`{fact}` was there before:\n{before}");
}

fn fleet() -> (Fleet, Host) {
    let files = [("molt.toml", POLICY), ("docs/a.md", "a\n"), ("src/a", "a\n")];
    let fleet = Fleet::new(&files, &["--heartbeat", "300ms"]);
    let mut host = fleet.host("h1");
    host.serve(1);
    (fleet, host)
}

#[test]
fn a_claim_that_is_refused_says_by_what() {
    let (fleet, host) = fleet();
    let [ann, bob, cyd, dan] = ["ann", "bob", "cyd", "dan"].map(|name| fleet.agent(name, &host));
    let both = ["claim", "docs", "src"];
    ann.json(&["claim", "docs"], 0);
    let by_ann = because(&bob, &both);
    ann.json(&["release"], 0);
    ann.json(&["claim", "docs", "--max", "1h"], 0);
    changes(&by_ann, &because(&bob, &both), "ends     at board time");
    ann.json(&["release"], 0);
    cyd.json(&["claim", "docs"], 0);
    let by_cyd = because(&bob, &both);
    changes(&by_ann, &by_cyd, "by cyd");
    dan.json(&["claim", "docs", "--wait", "50ms"], 5);
    let in_line = because(&bob, &both);
    changes(&by_cyd, &in_line, "ahead    1");
    ann.json(&["claim", "src"], 0);
    let not_free = because(&bob, &both);
    changes(&not_free, &in_line, "free     src");
}

#[test]
fn a_circle_says_who_waits_for_whom() {
    let (fleet, host) = fleet();
    let [ann, bob, cyd] = ["ann", "bob", "cyd"].map(|name| fleet.agent(name, &host));
    ann.json(&["claim", "docs"], 0);
    bob.json(&["claim", "src"], 0);
    ann.json(&["claim", "src", "--wait", "50ms"], 5);
    let of_two = because(&bob, &["claim", "docs", "--wait", "1s"]);
    assert!(of_two.contains("circle"), "{of_two}");
    bob.json(&["release"], 0);
    let served = ann.json(&["claim", "src"], 0);
    assert_eq!(served["code"], "granted");
    ann.json(&["release", "src"], 0);
    cyd.json(&["claim", "src"], 0);
    ann.json(&["claim", "src", "--wait", "50ms"], 5);
    let of_others = because(&cyd, &["claim", "docs", "--wait", "1s"]);
    changes(&of_two, &of_others, "cyd");
}

#[test]
fn a_task_that_is_not_to_be_had_says_why() {
    let (fleet, host) = fleet();
    let [ann, bob] = ["ann", "bob"].map(|name| fleet.agent(name, &host));
    let none = because(&bob, &["next"]);
    let id = |agent: &Agent, arguments: &[&str]| {
        let document = agent.json(arguments, 0);
        document["data"]["id"].as_str().expect("an id").to_owned()
    };
    let first = id(&ann, &["task", "add", "first", "--scope", "src"]);
    ann.json(&["next"], 0);
    let second = id(&ann, &["task", "add", "second", "--need", &first]);
    let needs = because(&bob, &["next"]);
    changes(&none, &needs, &format!("task     {second}"));
    let third = id(&ann, &["task", "add", "third", "--scope", "src"]);
    changes(&needs, &because(&bob, &["next"]), &format!("task     {third}"));
    let taken = because(&bob, &["task", "done", &first]);
    assert!(taken.contains("is taken by ann"), "{taken}");
    ann.json(&["task", "done"], 0);
    changes(&taken, &because(&bob, &["task", "done", &first]), "it is not taken");
}

#[test]
fn a_session_that_may_not_go_on_says_why() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "docs"], 0);
    ann.json(&["leave", "--park", "1h"], 0);
    let parked = ann.json(&["claim", "src"], 6)["data"]["message"].to_string();
    let sessions = ann.json(&["status", "--fleet"], 0);
    let session = sessions["data"]["sessions"][0]["id"].as_str().expect("a session").to_owned();
    fleet.coordinator.run(&["revoke", &session, "--reason", "not needed"]).exits(0);
    let ended = ann.json(&["claim", "src"], 6)["data"]["message"].to_string();
    assert!(parked.contains("it is parked"), "{parked}");
    changes(&parked, &ended, "it ended");
}

#[test]
fn a_change_that_does_not_land_says_why() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "docs"], 0);
    ann.commit(&[("src/b", "TABS\n")], "change b");
    let escape = ejected(&ann);
    assert!(escape.contains("scope-escape"), "{escape}");
    ann.json(&["claim", "src"], 0);
    ann.commit(&[("src/b", "TABS\n"), ("src/c", "c\n")], "change b and c");
    let silent = ejected(&ann);
    changes(&escape, &silent, "announcement-missing");
    ann.json(&["announce", "--files", "src/b"], 0);
    ann.commit(&[("src/b", "TABS\n"), ("src/d", "d\n")], "change b and d");
    let red = ejected(&ann);
    changes(&silent, &red, "gate-failed: lint failed");
    fleet.remote.push(&[("src/a", "pushed\n")], "by hand");
    ann.commit_on_top(&[("src/a", "mine\n")], "change a");
    changes(&red, &ejected(&ann), "conflict-base: src/a");
    ann.commit(&[("src/b", "mended\n")], "mend b");
    ann.json(&["submit", "--wait", "30s"], 0);
}
