//! From `submit` to the base: what passes lands, and nothing else does.

use serde_json::{Value, json};

use crate::harness::{Agent, Fleet, Host, git, lines};

/// Gates that the tree itself decides: a word in `src`, a number in `answer`, a case without
/// `fine`. One case of the base is red already.
const POLICY: &str = r#"version = 1
[scope.src]
paths = ["src/**"]
[scope.docs]
paths = ["docs/**"]
[scope.answer]
paths = ["answer"]
[scope.cases]
paths = ["cases/**"]
[gate.lint]
run = "! grep -rn TABS src"
timeout = "1m"
[gate.test]
run = "test \"$(cat answer)\" = 42"
timeout = "1m"
[gate.diff]
run = "sh tools/diff.sh"
result = "tap"
compare = "base"
minimum = 2
timeout = "1m"
[merge]
required = ["lint", "test", "diff", "scope"]
"#;

/// A tool that agrees with itself: one red case makes its exit code 1.
const DIFF: &str = r#"set -- cases/*
echo "1..$#"
code=0
for case; do
    if grep -q fine "$case"; then echo "ok $case"; else echo "not ok $case"; code=1; fi
done
exit $code
"#;

const BASE: [(&str, &str); 7] = [
    ("molt.toml", POLICY),
    ("tools/diff.sh", DIFF),
    ("src/a.c", "one\ntwo\nthree\n"),
    ("answer", "42\n"),
    ("docs/a.md", "a\n"),
    ("cases/known", "red\n"),
    ("cases/one", "fine\n"),
];

fn fleet() -> (Fleet, Host) {
    let fleet = Fleet::new(&BASE, &["--heartbeat", "500ms"]);
    let mut host = fleet.host("h1");
    host.serve(2);
    (fleet, host)
}

/// Submits what is checked out; its document, once it landed (0) or was ejected (7).
fn submit(agent: &Agent, code: i32) -> Value {
    agent.json(&["submit", "--wait", "30s"], code)
}

#[test]
fn what_passes_lands_and_each_gate_refuses_with_its_reason() {
    let (fleet, host) = fleet();
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "src", "answer", "cases"], 0);
    let before = fleet.remote.base();
    // Both start from this base, so that the second one conflicts with what lands first.
    ann.commit(&[("src/a.c", "one\n2\nthree\n")], "say it with a number");
    let landed = submit(&ann, 0);
    assert_eq!(landed["code"], "landed");
    assert_eq!(landed["data"]["commit"], fleet.remote.base());
    assert_ne!(fleet.remote.base(), before);
    let after = fleet.remote.history();

    // (what is changed, the reason code, the gate that refuses, its words)
    let table = [
        (("src/b.c", "TABS\n"), "gate-failed", "lint", "lint failed"),
        (("answer", "41\n"), "gate-failed", "test", "test failed"),
        (("cases/two", "red\n"), "gate-failed", "diff", "first cases/two"),
        (("docs/a.md", "b\n"), "scope-escape", "scope", "e.g. docs/a.md"),
    ];
    for (file, reason, gate, words) in table {
        ann.commit(&[file], reason);
        let refused = submit(&ann, 7);
        assert_eq!(refused["code"], reason, "{refused}");
        let detail = refused["data"]["detail"].as_str().expect("a detail");
        assert!(detail.contains(words), "`{words}` is not in: {detail}");
        assert!(refused["data"]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
        let gates = refused["data"]["gates"].as_array().expect("gates").iter();
        let failed: Vec<_> = gates.filter(|gate| gate["state"] == "failed").collect();
        let names: Vec<_> = failed.iter().map(|failed| failed["gate"].as_str()).collect();
        assert_eq!(names, [Some(gate)], "{refused}");
        assert_eq!(fleet.remote.history(), after, "nothing of it is on the base");
    }

    ann.json(&["release", "src"], 0);
    bob.json(&["claim", "src"], 0);
    git(bob.worktree(), &["checkout", "--quiet", "--detach", &before]);
    bob.commit_on_top(&[("src/a.c", "one\nzwei\nthree\n")], "say it in German");
    let conflict = submit(&bob, 7);
    assert_eq!(conflict["code"], "conflict-base");
    assert_eq!(conflict["data"]["detail"], "conflict-base: src/a.c");
    assert_eq!(fleet.remote.history(), after);

    // What stood in the way is mended, and lands.
    bob.commit(&[("src/a.c", "one\nzwei\nthree\n")], "say it in German");
    submit(&bob, 0);
    fleet.verify();
}

#[test]
fn a_red_item_of_the_base_is_forgiven_and_never_a_new_one() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "cases"], 0);
    ann.commit(&[("cases/three", "fine\n")], "one more case");
    submit(&ann, 0);
    let passed = fleet
        .coordinator
        .events
        .wait("the gate passed", |event| event["what"] == "gate_passed" && event["gate"] == "diff");
    assert_eq!(passed["event"]["proof"]["forgiven"], 1, "cases/known is red on the base too");
    ann.commit(&[("cases/one", "red\n")], "break a case");
    let refused = submit(&ann, 7);
    let detail = refused["data"]["detail"].as_str().expect("a detail");
    assert!(detail.contains("1 red, first cases/one"), "{detail}");
}

#[test]
fn the_base_moves_with_its_fence_to_what_was_tested_and_to_nothing_else() {
    let (fleet, host) = fleet();
    let journal = fleet.path("updates");
    fleet.remote.record_updates(&journal);
    let first = fleet.remote.base();
    let agents = ["ann", "bob", "cyd"].map(|name| fleet.agent(name, &host));
    for (agent, scope) in agents.iter().zip(["src", "docs", "cases"]) {
        agent.json(&["claim", scope], 0);
        agent.commit(&[(&format!("{scope}/{}", agent.name()), "fine\n")], agent.name());
    }
    let submitted: Vec<_> =
        agents.iter().map(|agent| agent.start(&["submit", "--wait", "30s"])).collect();
    for running in submitted {
        running.end().exits(0);
    }

    let mut history = fleet.remote.history();
    assert_eq!(history.pop(), Some(first), "the base was only added to");
    history.reverse();
    assert_eq!(history.len(), 3);
    let entries = fleet.coordinator.events.all();
    let events: Vec<&Value> = entries.iter().map(|entry| &entry["event"]).collect();
    for commit in &history {
        let tree = git(fleet.remote.path(), &["rev-parse", &format!("{commit}^{{tree}}")]);
        for gate in ["lint", "test", "diff", "scope"] {
            let passed = events.iter().any(|event| {
                event["what"] == "gate_passed"
                    && (&event["gate"], &event["commit"]) == (&json!(gate), &json!(commit))
                    && event["tree"] == tree
            });
            assert!(passed, "{commit} is on the base without {gate}");
        }
    }
    let updates = lines(&journal).join("\n");
    let moves: Vec<&str> =
        updates.split("--").filter(|update| update.contains(" refs/heads/main")).collect();
    assert_eq!(moves.len(), 3);
    for (update, commit) in moves.iter().zip(&history) {
        assert!(update.contains(" refs/molt/fence"), "the base moved without its fence: {update}");
        assert!(update.contains(&format!("{commit} refs/heads/main")), "{update}");
    }
    fleet.verify();
}

#[test]
fn a_push_past_the_train_voids_what_was_tested_before() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "src"], 0);
    ann.commit(&[("src/b.c", "b\n")], "add b");
    submit(&ann, 0);
    let pushed = fleet.remote.push(&[("docs/b.md", "b\n")], "by hand");
    ann.commit(&[("src/c.c", "c\n")], "add c");
    submit(&ann, 0);
    assert_eq!(fleet.remote.history()[1], pushed, "it is on what was pushed");
    let outside = fleet.coordinator.events.wait("the push is noticed", |event| {
        event["what"] == "base_read" && event["by"] == "outside"
    });
    assert_eq!(outside["event"]["commit"], pushed);
}
