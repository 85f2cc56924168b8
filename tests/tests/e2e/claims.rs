//! Claims between two agents, over the service's death.

use serde_json::{Value, json};

use crate::harness::{Fleet, until};

const POLICY: &str = r#"version = 1
[scope.runtime]
paths = ["runtime/**", "include/*.h"]
[scope.docs]
paths = ["docs/**"]
[scope.headers]
paths = ["src/**"]
"#;

fn fleet(spans: &[&str]) -> Fleet {
    Fleet::new(&[("molt.toml", POLICY), ("docs/a.md", "a\n")], spans)
}

/// What a claim's holder relies on.
fn held(claim: &Value) -> Value {
    json!({ "id": claim["id"], "scopes": claim["scopes"], "fence": claim["fence"], "state": "held" })
}

/// The claims that an agent is shown as its own.
fn own(agent: &crate::harness::Agent) -> Vec<Value> {
    let status = agent.json(&["status"], 0);
    let claims = status["data"]["claims"].as_array().expect("a list of claims").clone();
    claims.iter().map(held).collect()
}

#[test]
fn a_refusal_says_who_has_it_and_takes_nothing() {
    let fleet = fleet(&[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let joined = ann.json(&["join"], 0);
    assert_eq!((&joined["code"], &joined["data"]["name"]), (&json!("joined"), &json!("ann")));
    let granted = ann.json(&["claim", "runtime", "--why", "mend the barrier"], 0);
    assert_eq!(granted["schema"], "molt.claim/1");
    assert_eq!(granted["data"]["paths"], json!(["runtime/**", "include/*.h"]));

    let refused = bob.json(&["claim", "docs", "runtime"], 4);
    assert_eq!(refused["code"], "scope_held");
    assert_eq!(refused["data"]["holder"], "ann");
    assert_eq!(refused["data"]["free"], json!(["docs"]));
    assert_eq!(refused["data"]["obstacle"]["claim"], granted["data"]["id"]);
    let steps = refused["next"].as_array().expect("next steps");
    assert!(steps.contains(&json!("molt-agent claim docs")), "{steps:?}");
    assert_eq!(own(&bob), [] as [Value; 0], "all or nothing");

    let text = bob.run(&["claim", "docs", "runtime"]).exits(4);
    assert!(text.out.starts_with("refused  runtime  held by ann (seen "), "{}", text.out);
    assert!(text.out.contains("\nfree     docs; not taken (all or nothing)\n"), "{}", text.out);
    let again = ann.json(&["claim", "runtime"], 0);
    assert_eq!(again["code"], "held", "claiming what one has is success");
    assert_eq!(held(&again["data"]), held(&granted["data"]));

    ann.json(&["release"], 0);
    let both = bob.json(&["claim", "docs", "runtime"], 0);
    assert_eq!(both["data"]["scopes"], json!(["docs", "runtime"]));
    fleet.verify();
}

#[test]
fn an_overlap_is_shown_by_a_path_that_both_match() {
    let policy = "version = 1\n[scope.all]\npaths = [\"src/*/mod.rs\"]\n\
                  [scope.\"all/vm\"]\npaths = [\"src/vm/**\"]\n[scope.docs]\npaths = [\"docs/**\"]\n";
    let fleet = Fleet::new(&[("molt.toml", policy)], &[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.run(&["claim", "all/vm"]).exits(0);
    let refused = bob.run(&["claim", "all"]).exits(4);
    assert!(refused.out.contains("overlap  "), "{}", refused.out);
    bob.run(&["claim", "docs"]).exits(0);
}

#[test]
fn what_is_held_can_be_shared_narrowed_and_extended() {
    let policy = "version = 1\n[scope.vm]\npaths = [\"vm/*.c\"]\n[scope.\"vm/gc\"]\n\
                  paths = [\"vm/gc/**\"]\n[scope.docs]\npaths = [\"docs/**\"]\n";
    let fleet = Fleet::new(&[("molt.toml", policy)], &[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    assert_eq!(ann.json(&["claim", "docs", "--shared"], 0)["data"]["shared"], true);
    bob.json(&["claim", "docs", "--shared"], 0);
    // The guard is told at once, and not before the answer.
    let says = |agent: &crate::harness::Agent, path: &str, code: i32| {
        until("the guard knows", || (agent.run(&["check", path]).code == code).then_some(()));
    };
    says(&ann, "docs/a.md", 0);
    says(&bob, "docs/a.md", 0);
    assert_eq!(ann.json(&["claim", "docs"], 4)["data"]["holder"], "bob");
    bob.run(&["release"]).exits(0);
    assert_eq!(ann.json(&["claim", "docs"], 0)["data"]["shared"], false);

    ann.json(&["claim", "vm", "--max", "1h"], 0);
    bob.json(&["claim", "vm/gc"], 4);
    let kept = ann.json(&["narrow", "vm", "--to", "vm/gc"], 0);
    assert_eq!(
        (&kept["schema"], &kept["data"]["scopes"]),
        (&json!("molt.narrow/1"), &json!(["vm/gc"]))
    );
    bob.json(&["claim", "vm/gc"], 4);
    says(&ann, "vm/a.c", 9);
    says(&ann, "vm/gc/a.c", 0);
    let told = ann.run(&["narrow", "vm/gc", "--to", "docs"]).exits(2);
    assert!(told.err.contains("`docs` is not below `vm/gc`"), "{told:?}");
    assert_eq!(ann.json(&["extend", "--for", "2h"], 0)["data"]["scopes"], json!(["vm/gc"]));
    let missing = ann.json(&["extend", "vm", "--for", "2h"], 3);
    assert_eq!(missing["code"], "not_found");
    fleet.verify();
}

#[test]
fn a_claim_of_paths_alone_is_extended_and_handed_over() {
    let fleet = fleet(&[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    bob.run(&["join"]).exits(0);
    let before = ann.json(&["claim", "--path", "loose/*.c", "--max", "1h"], 0);
    let longer = ann.json(&["extend", "--path", "loose/*.c", "--for", "2h"], 0);
    assert_eq!(longer["data"]["globs"], json!(["loose/*.c"]));
    let misspelt = ann.json(&["handoff", "--path", "lose/*.c", "--to", "bob"], 3);
    assert_eq!(misspelt["data"]["nearest"], "loose/*.c");
    ann.json(&["handoff", "docs", "--path", "loose/*.c", "--to", "bob"], 2);
    ann.json(&["handoff", "--to", "bob"], 2);

    let offered = ann.run(&["handoff", "--path", "loose/*.c", "--to", "bob"]).exits(0);
    assert!(offered.out.contains("loose/*.c"), "{}", offered.out);
    ann.run(&["handoff", "--path", "loose/*.c", "--withdraw"]).exits(0);
    bob.json(&["accept"], 3);
    let id = before["data"]["id"].as_str().expect("an id");
    ann.run(&["handoff", id, "--to", "bob"]).exits(0);
    let after = bob.json(&["accept"], 0);
    assert_eq!(
        (&after["data"]["id"], &after["data"]["globs"]),
        (&before["data"]["id"], &json!(["loose/*.c"]))
    );
    for (agent, code) in [(&bob, 0), (&ann, 4)] {
        until("the guard knows", || {
            (agent.run(&["check", "loose/a.c"]).code == code).then_some(())
        });
    }
    ann.json(&["release", "--path", "loose/*.c"], 3);
    fleet.verify();
}

#[test]
fn a_claim_is_handed_over_and_is_the_others_from_then_on() {
    let fleet = fleet(&[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    bob.run(&["join"]).exits(0);
    let before = ann.json(&["claim", "docs", "runtime"], 0);
    let unknown = ann.json(&["handoff", "docs", "--to", "bop"], 3);
    assert_eq!(unknown["data"]["nearest"], "bob");
    assert_eq!(ann.json(&["handoff", "docs", "--to", "ann"], 2)["code"], "invalid");
    assert_eq!(bob.json(&["accept"], 3)["code"], "not_found");

    let note = "the barrier is half done";
    let offered = ann.run(&["handoff", "docs", "--to", "bob", "--note", note]).exits(0);
    assert!(offered.out.contains("the whole claim, 2 in all"), "{}", offered.out);
    let status = bob.run(&["status"]).exits(0);
    let offer = status.out.lines().find(|line| line.starts_with("offer "));
    let told = offer.is_some_and(|line| line.contains("by ann") && line.ends_with(note));
    assert!(told, "{}", status.out);
    let says = |agent: &crate::harness::Agent, code: i32| {
        until("the guard knows", || {
            (agent.run(&["check", "docs/a.md"]).code == code).then_some(())
        });
    };
    says(&ann, 0);
    says(&bob, 4);

    let after = bob.json(&["accept", "docs"], 0);
    assert_eq!(after["schema"], "molt.accept/1");
    assert_eq!(after["data"]["id"], before["data"]["id"]);
    assert_ne!(after["data"]["fence"], before["data"]["fence"], "the giver's is stale");
    says(&bob, 0);
    says(&ann, 4);
    assert_eq!(own(&ann), [] as [Value; 0]);
    assert_eq!(ann.json(&["claim", "runtime"], 4)["data"]["holder"], "bob");
    ann.json(&["release", "docs"], 3);
    assert_eq!(bob.json(&["accept", "docs"], 0)["code"], "held", "it is bob's already");

    bob.run(&["handoff", "docs", "--to", "ann"]).exits(0);
    let kept = bob.run(&["handoff", "docs", "--withdraw"]).exits(0);
    assert!(kept.out.contains("offered to nobody"), "{}", kept.out);
    ann.json(&["accept"], 3);
    fleet.verify();
}

#[test]
fn paths_beside_scopes_are_claimed_guarded_narrowed_and_land() {
    let policy = format!("{POLICY}[scope.manifests]\ncarve = true\npaths = [\"**/Cargo.toml\"]\n");
    let fleet = Fleet::new(&[("molt.toml", &policy), ("docs/a.md", "a\n")], &[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let held = ann.json(&["claim", "--path", "docs/*.md", "--path", "loose/**"], 0);
    assert_eq!(held["data"]["globs"], json!(["docs/*.md", "loose/**"]));
    let refused = bob.json(&["claim", "docs"], 4);
    assert_eq!(refused["data"]["obstacle"]["held"], json!({ "glob": "docs/*.md" }));
    assert_eq!(refused["data"]["obstacle"]["conflict"]["witness"], "docs/x.md");
    let refused = bob.json(&["claim", "--path", "loose/a/*", "--path", "docs/b/*"], 4);
    let steps = refused["next"].as_array().expect("next steps");
    assert!(steps.contains(&json!("molt-agent claim --path 'docs/b/*'")), "{steps:?}");
    let odd = bob.run(&["claim", "--path", "docs/**x"]).exits(2);
    assert!(odd.err.contains("`**` is not a whole segment"), "{odd:?}");
    let says = |agent: &crate::harness::Agent, path: &str, code: i32| {
        until("the guard knows", || (agent.run(&["check", path]).code == code).then_some(()));
    };
    says(&ann, "docs/a.md", 0);
    says(&ann, "loose/deep/a", 0);
    says(&ann, "loose/Cargo.toml", 9);
    bob.json(&["claim", "runtime"], 0);
    says(&bob, "docs/a.md", 4);
    says(&bob, "loose/a", 4);
    let kept = bob.json(&["narrow", "runtime", "--path", "runtime/vm/*.c"], 0);
    assert_eq!(kept["data"]["globs"], json!(["runtime/vm/*.c"]));
    says(&bob, "runtime/vm/a.c", 0);
    says(&bob, "runtime/a.c", 9);
    let given = ann.json(&["release", "--path", "loose/**"], 0);
    assert_eq!(given["data"]["globs"], json!(["loose/**"]));
    bob.json(&["claim", "--path", "loose/**"], 0);
    assert!(ann.run(&["status"]).exits(0).out.contains("holds    docs/*.md  "));
    // The same rule at the scope gate: what the paths cover lands, and nothing beside them.
    ann.run(&["announce", "--files", "docs/a.md"]).exits(0);
    ann.commit(&[("docs/a.md", "b\n")], "mend a");
    assert_eq!(ann.json(&["submit", "--wait", "30s"], 0)["code"], "landed");
    bob.run(&["announce", "--files", "loose/a"]).exits(0);
    bob.commit(&[("docs/deep/b.md", "b\n"), ("loose/a", "a\n")], "add b");
    let ejected = bob.json(&["submit", "--wait", "30s"], 7);
    assert_eq!(ejected["data"]["state"], "scope-escape", "{ejected}");
    fleet.verify();
}

#[test]
fn what_was_granted_is_there_after_kill_9() {
    let mut fleet = fleet(&[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let granted =
        [ann.json(&["claim", "runtime"], 0), ann.json(&["claim", "docs", "--max", "2h"], 0)];
    bob.json(&["claim", "docs"], 4);
    ann.json(&["release", "docs"], 0);
    let moved = bob.json(&["claim", "docs"], 0);
    let fence = |claim: &Value| {
        let fence = claim["data"]["fence"].as_str().expect("a fence");
        fence.parse::<u64>().expect("a number")
    };
    assert!(fence(&moved) > fence(&granted[1]), "fences only grow");
    let (before, board) = ((own(&ann), own(&bob)), fleet.coordinator.digest());
    assert_eq!(before, (vec![held(&granted[0]["data"])], vec![held(&moved["data"])]));

    fleet.coordinator.kill();
    let away = ann.json(&["claim", "headers"], 10);
    assert_eq!(away["code"], "unavailable");
    fleet.coordinator.start();

    assert_eq!((own(&ann), own(&bob)), before, "the same claims with the same fences");
    assert_eq!(fleet.coordinator.digest(), board, "the whole board is what it was");
    bob.json(&["claim", "runtime"], 4);
    let later = ann.json(&["claim", "headers"], 0);
    assert!(fence(&later) > fence(&moved), "no fence is given twice");
    fleet.verify();
}
