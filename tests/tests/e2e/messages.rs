//! What agents tell each other: sent, announced, and told by the coordinator.

use serde_json::{Value, json};

use crate::harness::{Agent, Fleet, Host};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.runtime]\npaths = [\"runtime/*.c\"]\nrisk = \"high\"\n\
                      [scope.\"runtime/gc\"]\npaths = [\"runtime/gc/**\"]\n\
                      [scope.\"runtime/jit\"]\npaths = [\"runtime/jit/**\"]\n";

fn fleet(spans: &[&str]) -> (Fleet, Host) {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], spans);
    let host = fleet.host("h1");
    (fleet, host)
}

/// The texts of an inbox's document.
fn texts(inbox: &Value) -> Vec<&str> {
    let messages = inbox["data"]["messages"].as_array().expect("messages");
    messages.iter().map(|message| message["text"].as_str().expect("a text")).collect()
}

fn unread(agent: &Agent) -> u64 {
    agent.json(&["status"], 0)["data"]["unread"].as_u64().expect("a count")
}

#[test]
fn a_message_waits_until_it_is_taken_and_is_taken_once() {
    let (fleet, host) = fleet(&[]);
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    bob.json(&["claim", "docs"], 0);
    let nothing = bob.json(&["inbox"], 12);
    assert_eq!((&nothing["code"], &nothing["ok"]), (&json!("nothing_new"), &json!(false)));

    let sent = ann.json(&["send", "bob", "leave the index to me"], 0);
    assert_eq!(sent["data"]["inboxes"], 1);
    ann.json(&["send", "docs", "and the cover"], 0);
    assert_eq!(unread(&bob), 2);
    for peek in 0..2 {
        let peeked = bob.json(&["inbox", "--peek"], 0);
        assert_eq!(texts(&peeked), ["leave the index to me", "and the cover"], "look {peek}");
    }
    let said = bob.run(&["inbox"]).exits(0);
    let id = sent["data"]["id"].as_str().expect("an id");
    assert!(
        said.out.starts_with(&format!("said     {id}  ann  leave the index to me\n")),
        "{}",
        said.out
    );
    bob.json(&["inbox"], 12);
    assert_eq!(unread(&bob), 0);
    let again = bob.json(&["inbox", "--since", id], 0);
    assert_eq!(texts(&again), ["and the cover"], "what was taken is kept for a while");
    bob.json(&["inbox"], 12);

    let unknown = ann.json(&["send", "bbo", "x"], 3);
    assert_eq!(unknown["data"]["nearest"], "bob");
    ann.json(&["send", "runtime", "x"], 3);
    ann.json(&["send", "ann", "x"], 2);
    let facts = ann.json(&["why", id], 0)["data"]["facts"].to_string();
    assert!(facts.contains("taken by bob"), "{facts}");
    fleet.verify();
}

#[test]
fn whoever_waits_is_told_at_once_and_nothing_new_ends_the_wait() {
    let (fleet, host) = fleet(&[]);
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    bob.json(&["join"], 0);
    let nothing = bob.json(&["inbox", "--wait", "100ms"], 12);
    assert_eq!(nothing["code"], "nothing_new");
    let waits = bob.start(&["inbox", "--wait", "60s", "--json"]);
    ann.json(&["send", "bob", "it is yours"], 0);
    assert_eq!(texts(&waits.end().exits(0).document()), ["it is yours"]);
}

#[test]
fn an_announcement_reaches_the_neighbours_and_a_risky_one_is_read_first() {
    let (fleet, host) = fleet(&[]);
    let (ann, bob, cyd, dan) = (
        fleet.agent("ann", &host),
        fleet.agent("bob", &host),
        fleet.agent("cyd", &host),
        fleet.agent("dan", &host),
    );
    ann.json(&["claim", "runtime/gc"], 0);
    bob.json(&["claim", "runtime/jit"], 0);
    cyd.json(&["claim", "docs"], 0);
    dan.json(&["join"], 0);
    ann.json(&["announce", "--files", "runtime/gc/mark.c", "--note", "the barrier"], 0);
    let told = bob.json(&["inbox", "--peek"], 0);
    assert_eq!(texts(&told), ["runtime/gc: runtime/gc/mark.c (the barrier)"]);
    assert_eq!(told["data"]["messages"][0]["risky"], false);
    cyd.json(&["inbox"], 12);

    // A file of a scope that is risky, and of one that somebody else holds.
    let files = ["announce", "--files", "runtime/vm.c", "docs/**"];
    ann.json(&[files.as_slice(), &["--tests", "make test"]].concat(), 0);
    ann.json(&["send", "bob", "see above"], 0);
    let prime = bob.run(&["prime"]).exits(0).out;
    assert!(prime.contains("\ninbox    3 unread  molt-agent inbox\nRISKY    ann  "), "{prime}");
    let told = cyd.run(&["inbox"]).exits(0).out;
    assert!(told.starts_with("RISKY    msg_"), "{told}");
    assert!(told.contains("runtime/vm.c docs/**  tests: make test\n"), "{told}");
    dan.json(&["inbox"], 12);
    ann.json(&["announce", "--files", "runtime//vm.c"], 2);
}

#[test]
fn the_coordinator_tells_of_what_somebody_lost_without_asking() {
    let (fleet, host) = fleet(&["--offer", "300ms"]);
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "docs"], 0);
    let place = bob.json(&["claim", "docs", "--wait", "50ms"], 5);
    let place = place["data"]["id"].as_str().expect("a claim").to_owned();
    ann.json(&["release"], 0);
    fleet.coordinator.events.wait("the place is given up", |event| event["what"] == "unqueued");
    let told = bob.json(&["inbox", "--wait", "30s"], 0);
    assert_eq!(texts(&told), [format!("{place} left the line of docs: two offers went by")]);
    assert_eq!(
        (&told["data"]["messages"][0]["kind"], &told["data"]["messages"][0]["about"]),
        (&json!("noted"), &json!(place))
    );

    let held = ann.json(&["claim", "docs"], 0);
    let held = held["data"]["id"].as_str().expect("a claim");
    fleet.coordinator.run(&["revoke", held, "--reason", "freeze"]).exits(0);
    let told = ann.run(&["inbox"]).exits(0).out;
    assert!(told.contains(&format!("coordinator  {held} on docs was revoked: freeze\n")), "{told}");
}

#[test]
fn messages_and_cursors_survive_the_coordinator() {
    let (mut fleet, host) = fleet(&[]);
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    bob.json(&["join"], 0);
    ann.json(&["send", "bob", "one"], 0);
    bob.json(&["inbox"], 0);
    ann.json(&["send", "bob", "two"], 0);
    fleet.coordinator.kill();
    fleet.coordinator.start();
    assert_eq!(texts(&bob.json(&["inbox"], 0)), ["two"]);
    bob.json(&["inbox"], 12);
}
