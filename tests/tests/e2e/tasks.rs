//! Tasks: handed out by need and scope, back when whoever had one dies.

use serde_json::{Value, json};

use crate::harness::{Agent, Fleet};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n";

fn id(document: &Value) -> String {
    document["data"]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn tasks_are_handed_out_by_need_scope_and_priority() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let first = id(&ann.json(&["task", "add", "write it", "--scope", "src"], 0));
    let second = id(&ann.json(&["task", "add", "tell it", "--scope", "docs", "--need", &first], 0));
    let beside = id(&ann.json(&["task", "add", "more of it", "--scope", "src"], 0));

    let shown = || ann.json(&["task", "show", &second], 0)["data"]["needed"].clone();
    let needed = |state| json!([{ "id": first, "title": "write it", "state": state }]);
    assert_eq!(shown(), needed("ready"));

    let taken = ann.json(&["next"], 0);
    assert_eq!(id(&taken), first);
    assert_eq!(shown(), needed("taken"));
    assert_eq!(taken["data"]["claim"]["scopes"], json!(["src"]), "with its scopes");
    assert_eq!(id(&ann.json(&["next"], 0)), first, "asking again is the same one");
    let nothing = bob.json(&["next"], 12);
    assert_eq!(nothing["code"], "nothing_ready");
    let reasons = nothing["data"]["reasons"].to_string();
    assert!(reasons.contains(&first) && reasons.contains(&beside), "{reasons}");

    let waits = bob.start(&["next", "--wait", "30s", "--json"]);
    ann.json(&["task", "done", &first], 0);
    let next = waits.end().exits(0).document();
    let other = ann.json(&["next"], 0);
    let mut taken = [id(&next), id(&other)];
    taken.sort();
    assert_eq!(taken, [second, beside], "both are ready now, and each has one holder");
}

#[test]
fn a_task_outlives_the_agent_that_was_killed_over_it() {
    let spans = ["--heartbeat", "300ms", "--grace", "1s"];
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &spans);
    let host = fleet.host("h1");
    let (mut ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let task = id(&bob.json(&["task", "add", "write it", "--scope", "src"], 0));
    let taken = ann.json(&["next"], 0);
    assert_eq!(id(&taken), task);
    let waits = bob.start(&["next", "--wait", "30s", "--json"]);

    ann.root.kill();
    let events = &fleet.coordinator.events;
    let lost = events.wait("ann is lost", |event| event["what"] == "lost");
    assert_eq!(
        (&lost["event"]["name"], &lost["event"]["cause"]),
        (&json!("ann"), &json!("root_dead"))
    );
    let returned = events.wait("its task is open again", |event| event["what"] == "task_returned");
    assert_eq!(
        (&returned["event"]["task"], &returned["event"]["losses"]),
        (&json!(task), &json!(1))
    );
    let (lost_at, returned_at) = (lost["at"].as_u64(), returned["at"].as_u64());
    assert!(returned_at >= lost_at.map(|at| at + 1000), "not before the grace was over");

    let again = waits.end().exits(0).document();
    assert_eq!(id(&again), task);
    let fence = |document: &Value| document["data"]["claim"]["fence"].as_str().map(str::to_owned);
    assert_ne!(fence(&again), fence(&taken), "under a fence of its own");
    assert_eq!(again["data"]["losses"], 1);
}

#[test]
fn a_person_opens_again_what_waits_for_one() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let task = id(&bob.json(&["task", "add", "write it", "--scope", "src"], 0));
    let reopen = |reason: &str| {
        fleet.coordinator.run(&["tasks", "reopen", &task, "--reason", reason, "--json"])
    };
    assert_eq!(reopen("why not").exits(9).document()["code"], "stale");
    ann.json(&["next"], 0);
    ann.json(&["task", "block", "--reason", "which form is meant?"], 0);
    bob.json(&["next"], 12);
    let why = bob.json(&["why", &task], 0)["data"].to_string();
    assert!(why.contains(&format!("molt-coordinator tasks reopen {task}")), "{why}");

    let waits = bob.start(&["next", "--wait", "30s", "--json"]);
    assert_eq!(reopen("that of the manual").exits(0).document()["code"], "reopened");
    let opened =
        fleet.coordinator.events.wait("it is open", |event| event["what"] == "task_reopened");
    assert_eq!(opened["event"]["reason"], "that of the manual");
    let taken = waits.end().exits(0).document();
    assert_eq!(id(&taken), task);
    let reopened = taken["data"]["reopened"].as_str().expect("who, and why");
    assert!(reopened.ends_with(": that of the manual"), "{reopened}");
    assert_eq!(taken["data"]["left"].as_str().map(str::len), Some(0));
    assert_eq!(taken["data"]["report"], "which form is meant?");

    // Three times lost is too often, and a person's word begins the count anew.
    let lose = |agent: &Agent| {
        let session = agent.json(&["status"], 0)["data"]["session"]["id"].clone();
        let session = session.as_str().expect("a session").to_owned();
        fleet.coordinator.run(&["revoke", &session, "--reason", "it was silent"]).exits(0);
    };
    lose(&bob);
    for name in ["cyd", "dan"] {
        let agent = fleet.agent(name, &host);
        assert_eq!(id(&agent.json(&["next"], 0)), task);
        lose(&agent);
    }
    let shown = ann.json(&["task", "show", &task], 0)["data"].clone();
    assert_eq!((&shown["state"], &shown["losses"]), (&json!("blocked"), &json!(3)));
    reopen("the host was mended").exits(0);
    let taken = ann.json(&["next"], 0);
    assert_eq!((id(&taken), &taken["data"]["losses"]), (task, &json!(0)));
    fleet.verify();
}

#[test]
fn dealt_work_is_taken_share_by_share_and_says_whose_it_is() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let add =
        |title: &str, scope: &str| id(&ann.json(&["task", "add", title, "--scope", scope], 0));
    let (docs, more) = (add("tell it", "docs"), add("tell more", "docs"));
    let src = add("write it", "src");

    let coordinator = &fleet.coordinator;
    let plan = |more: &[&str]| coordinator.run(&[&["scopes", "plan", "--json"], more].concat());
    plan(&[]).exits(3);
    let digest = coordinator.digest();
    let would = plan(&["--agents", "2", "--dry-run"]).exits(0).document();
    assert_eq!(would["code"], "would-plan");
    assert_eq!(coordinator.digest(), digest, "a dry run changes nothing");
    let made = plan(&["--agents", "2"]).exits(0).document();
    assert_eq!(made["data"]["shares"], would["data"]["shares"], "as it was said");
    assert_eq!(made["data"]["shares"][0]["tasks"], json!([docs, more]));

    assert_eq!(id(&ann.json(&["next"], 0)), docs);
    let taken = bob.json(&["next"], 0);
    assert_eq!((id(&taken), &taken["data"]["share"]), (src.clone(), &json!("2 of 2, bob's")));
    bob.json(&["task", "done", &src], 0);
    ann.json(&["release"], 0);
    ann.json(&["leave"], 0);
    let helped = bob.json(&["next"], 0);
    assert_eq!(id(&helped), docs, "nothing of its own is left");
    assert_eq!(helped["data"]["share"], json!("1 of 2, nobody's"));
    let why = bob.json(&["why", &more], 0)["data"].to_string();
    assert!(why.contains("share 1 of 2"), "{why}");
    plan(&["--drop"]).exits(0);
    plan(&[]).exits(3);
}
