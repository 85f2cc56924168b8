//! The line for a scope: who attends is served at once, who is absent is offered.

use serde_json::{Value, json};

use crate::harness::{Agent, Fleet, Host};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n";

fn fleet(spans: &[&str]) -> (Fleet, Host) {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], spans);
    let host = fleet.host("h1");
    (fleet, host)
}

/// Joins the line and leaves it to itself: exit 5, the place is kept.
fn queue(agent: &Agent, scopes: &str) -> Value {
    let scopes: Vec<&str> = scopes.split(' ').collect();
    let asked = [&["claim"], scopes.as_slice(), &["--wait", "50ms"]].concat();
    let queued = agent.json(&asked, 5);
    assert_eq!(queued["code"], "queued");
    queued["data"]["id"].clone()
}

#[test]
fn who_waits_is_served_by_the_release_itself() {
    let (fleet, host) = fleet(&[]);
    let (ann, bob, cyd) =
        (fleet.agent("ann", &host), fleet.agent("bob", &host), fleet.agent("cyd", &host));
    ann.json(&["claim", "docs"], 0);
    let waits = bob.start(&["claim", "docs", "src", "--wait", "30s", "--json"]);
    let events = &fleet.coordinator.events;
    let queued = events.wait("bob waits", |event| event["what"] == "queued");
    let second = cyd.start(&["claim", "docs", "--wait", "30s", "--json"]);
    events.wait("cyd waits", |event| event["what"] == "queued" && event["name"] == "cyd");
    ann.json(&["release"], 0);
    let granted = waits.end().exits(0).document();
    assert_eq!(granted["data"]["scopes"], json!(["docs", "src"]), "all at once");
    assert_eq!(granted["data"]["id"], queued["event"]["claim"]);

    let released = events.wait("the release", |event| event["what"] == "released");
    let claimed =
        events.wait("the grant", |event| event["what"] == "claimed" && event["name"] == "bob");
    assert_eq!(claimed["at"], released["at"], "one decision");
    bob.json(&["release", "docs"], 0);
    second.end().exits(0);
    let offered = events.all().iter().any(|entry| entry["event"]["what"] == "offered");
    assert!(!offered, "nobody was absent");
}

#[test]
fn who_went_away_keeps_the_place_and_is_offered() {
    let (fleet, host) = fleet(&["--offer", "30s"]);
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "docs"], 0);
    let place = queue(&bob, "docs");
    assert_eq!(queue(&bob, "docs"), place, "asking again is the same place");
    ann.json(&["release"], 0);
    let events = &fleet.coordinator.events;
    let offered = events.wait("bob is offered", |event| event["what"] == "offered");
    assert_eq!(offered["event"]["claim"], place);
    ann.json(&["claim", "docs"], 4);
    let taken = bob.json(&["claim", "docs"], 0);
    assert_eq!((&taken["code"], &taken["data"]["id"]), (&json!("granted"), &place));
}

#[test]
fn two_offers_that_nobody_takes_are_the_end_of_a_place() {
    let (fleet, host) = fleet(&["--offer", "300ms"]);
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "docs"], 0);
    let place = queue(&bob, "docs");
    ann.json(&["release"], 0);
    let gone =
        fleet.coordinator.events.wait("the place is given up", |event| event["what"] == "unqueued");
    assert_eq!(gone["event"]["claim"], place);
    let misses: Vec<Value> = fleet.coordinator.events.all();
    let misses = misses.iter().filter(|entry| entry["event"]["what"] == "offer_missed").count();
    assert!((1..=2).contains(&misses), "{misses} offers were missed");
    ann.json(&["claim", "docs"], 0);
    bob.json(&["claim", "docs"], 4);
}

#[test]
fn a_place_is_overtaken_three_times_at_most() {
    let (fleet, host) = fleet(&[]);
    let (ann, bob, cyd) =
        (fleet.agent("ann", &host), fleet.agent("bob", &host), fleet.agent("cyd", &host));
    ann.json(&["claim", "docs"], 0);
    queue(&bob, "docs src");
    for _ in 0..3 {
        cyd.json(&["claim", "src"], 0);
        cyd.json(&["release"], 0);
    }
    let refused = cyd.json(&["claim", "src"], 4);
    assert_eq!(refused["data"]["holder"], "bob", "what bob waits for is kept for him by now");
}
