//! Tasks: handed out by need and scope, back when whoever had one dies.

use serde_json::{Value, json};

use crate::harness::Fleet;

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

    let taken = ann.json(&["next"], 0);
    assert_eq!(id(&taken), first);
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
