//! The checker checks: a genuine story passes, and each way to tamper with it is found.

#![expect(clippy::expect_used, reason = "a broken fixture is a failed test")]

#[path = "verify/methods.rs"]
mod methods;
#[path = "verify/overrides.rs"]
mod overrides;

use std::path::{Path, PathBuf};
use std::process::Command;

use molt_domain::audit::{self, Anchor};
use molt_domain::board::{Actor, Event, Now};
use molt_domain::id::BoardTime;
use molt_tests::verify::{Asked, Report, verify};
use serde_json::{Value, json};

const POLICY: &str = r#"version = 1
[scope.docs]
paths = ["docs/**"]
[scope.runtime]
paths = ["runtime/**"]
[gate.lint]
run = "sh tools/lint.sh"
[gate.diff]
run = "sh tools/diff.sh"
result = "tap"
compare = "base"
minimum = 2
[gate.spell]
run = "sh tools/spell.sh"
result = "tap"
inputs = ["docs/**"]
[merge]
required = ["lint", "diff", "spell", "scope", "announce"]
"#;

/// A repository with two landings and an audit that tells them, as the domain writes it.
struct Story {
    scratch: tempfile::TempDir,
    told: Vec<Told>,
    /// Before which event nothing happens for how long, in milliseconds.
    pause: (usize, u64),
    way: methods::Way,
}

#[derive(Clone)]
struct Told {
    actor: Value,
    event: Value,
}

/// A commit with its tree.
#[derive(Clone)]
struct Point {
    commit: String,
    tree: String,
}

impl Story {
    fn new() -> Self {
        Self::landing_by(methods::Way::MERGE)
    }

    fn landing_by(way: methods::Way) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let mut story = Self { scratch, told: Vec::new(), pause: (0, 0), way };
        story.git(&["init", "--quiet", "--initial-branch=main"]);
        let policy = format!("{POLICY}method = \"{}\"\n", way.method);
        for (path, text) in [("molt.toml", &*policy), ("docs/a.md", "a\n"), ("runtime/a.c", "a\n")]
        {
            story.write(path, text);
        }
        let base = story.commit("begin");
        story.by_coordinator(base_read(&base, "first"));
        let first = story.land(1, "docs", &base, None);
        story.land(2, "runtime", &first, Some("job_0014"));
        story.eject();
        story
    }

    fn repo(&self) -> PathBuf {
        self.scratch.path().join("repo")
    }

    fn git(&self, arguments: &[&str]) -> String {
        std::fs::create_dir_all(self.repo()).expect("the repository's folder");
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@t.invalid",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .current_dir(self.repo())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn commit(&self, message: &str) -> Point {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
        self.point()
    }

    fn point(&self) -> Point {
        Point {
            commit: self.git(&["rev-parse", "HEAD"]),
            tree: self.git(&["rev-parse", "HEAD^{tree}"]),
        }
    }

    fn by_coordinator(&mut self, event: Value) {
        self.told.push(Told { actor: json!("coordinator"), event });
    }

    fn by_session(&mut self, session: &str, event: Value) {
        self.told.push(Told { actor: json!({"session": {"id": session, "name": "ann"}}), event });
    }

    /// A change is claimed, announced, submitted, proven and landed.
    fn land(&mut self, n: u64, scope: &str, base: &Point, spelled_by: Option<&str>) -> Point {
        let (car, session) = (format!("car_000{n}"), format!("ses_000{n}"));
        let claim = format!("clm_000{n}");
        let head = self.propose(n, scope);
        let landed = self.join(&head);
        self.by_session(&session, json!({
            "what": "claimed", "claim": claim, "session": session, "name": "ann", "scopes": [scope],
            "fence": {"epoch": 0, "n": n * 100}, "task": null
        }));
        self.by_session(&session, json!({
            "what": "announced", "claim": claim, "scopes": [scope], "files": ["new"], "tests": [],
            "risk": "low", "note": ""
        }));
        self.by_session(
            &session,
            json!({
                "what": "submitted", "car": car, "repo": "main", "session": session, "name": "ann",
                "head": head.commit, "title": "new", "scopes": [scope]
            }),
        );
        self.by_coordinator(json!({
            "what": "candidate_made", "car": car, "base": base.commit, "commit": landed.commit,
            "tree": landed.tree, "changed": 1
        }));
        for gate in ["scope", "announce"] {
            self.by_coordinator(passed(&car, gate, &landed, &Value::Null));
        }
        self.run(n, "lint", 1, &landed, &[]);
        let red: &[&str] = if n == 2 { &["known"] } else { &[] };
        if n == 2 {
            self.run(n, "diff", 5, base, &["known", "other"]);
        }
        self.run(n, "diff", 2, &landed, red);
        let spelled = spelled_by.map_or_else(|| job(n, 4), str::to_owned);
        if spelled_by.is_none() {
            self.run(n, "spell", 4, &landed, &[]);
        }
        for (gate, job, forgiven) in
            [("lint", job(n, 1), 0), ("diff", job(n, 2), red.len()), ("spell", spelled, 0)]
        {
            let proof = json!({"digest": digest(&job), "job": job, "forgiven": forgiven});
            self.by_coordinator(passed(&car, gate, &landed, &proof));
        }
        self.by_coordinator(json!({"what": "ready", "car": car, "commit": landed.commit}));
        let step = json!({
            "car": car, "branch": "main", "base": base.commit, "commit": landed.commit,
            "tree": landed.tree, "fence": {"epoch": 0, "n": n * 100 + 10}
        });
        let gates = json!(["lint", "diff", "spell", "scope", "announce"]);
        let intent = json!({"what": "intended", "gates": gates, "policy": "p"});
        self.by_coordinator(joined(intent, &step));
        self.by_coordinator(joined(json!({"what": "landed"}), &step));
        self.by_coordinator(base_read(&landed, "landing"));
        self.fence(&format!(r#"{{"epoch":0,"n":{},"term":1,"intent":"{car}"}}"#, n * 100 + 10));
        landed
    }

    fn run(&mut self, n: u64, gate: &str, of: u64, on: &Point, red: &[&str]) {
        let job = job(n, of);
        self.by_coordinator(
            json!({"what": "job_assigned", "job": job, "gate": gate, "host": "h1", "attempt": 1}),
        );
        let class = if red.is_empty() { "passed" } else { "failed" };
        let finding = json!({
            "class": class, "green": 3, "red": red, "red_count": red.len(),
            "exit": i32::from(!red.is_empty()), "note": "", "log": "",
            "argv": ["sh", "-c", format!("sh tools/{gate}.sh")],
            "commit": on.commit, "tree": on.tree, "duration": {"secs": 1, "nanos": 0}, "peak": 1
        });
        let event = json!({
            "what": "job_finished", "job": job, "gate": gate, "host": "h1", "attempt": 1,
            "digest": digest(&job), "finding": finding
        });
        self.told.push(Told { actor: json!({"host": "h1"}), event });
    }

    fn eject(&mut self) {
        let head = "1".repeat(40);
        let session = "ses_0003";
        self.by_session(
            session,
            json!({
                "what": "submitted", "car": "car_0003", "repo": "main", "session": session,
                "name": "bob", "head": head, "title": "no", "scopes": []
            }),
        );
        let ejection = json!({"why": "conflict-base", "paths": ["docs/a.md"]});
        self.by_coordinator(json!({
            "what": "ejected", "car": "car_0003", "name": "bob", "head": head, "ejection": ejection
        }));
        self.by_coordinator(json!({"what": "host_lost", "host": "h1"}));
    }

    fn fence(&self, message: &str) {
        let known = self.git(&["for-each-ref", "--format=%(objectname)", "refs/molt/fence"]);
        let mut arguments = vec!["commit-tree", "HEAD^{tree}", "-m", message];
        if !known.is_empty() {
            arguments.extend(["-p", &known]);
        }
        let commit = self.git(&arguments);
        self.git(&["update-ref", "refs/molt/fence", &commit]);
    }

    /// The audit's lines, chained by the product's own rules.
    fn lines(&self) -> Vec<String> {
        let mut anchor = Anchor::genesis();
        let mut lines = Vec::new();
        for (at, told) in self.told.iter().enumerate() {
            let (from, pause) = self.pause;
            let late = if at >= from { pause } else { 0 };
            let board = BoardTime(at as u64 * 10 + late);
            let now = Now { board, wall: 1_700_000_000_000 };
            let read = |what: &Value| format!("the domain reads {what}");
            let actor: Actor = serde_json::from_value(told.actor.clone())
                .unwrap_or_else(|error| panic!("{}: {error}", read(&told.actor)));
            let event: Event = serde_json::from_value(told.event.clone())
                .unwrap_or_else(|error| panic!("{}: {error}", read(&told.event)));
            for entry in audit::append(&mut anchor, now, &actor, vec![event]) {
                lines.push(serde_json::to_string(&entry).expect("an entry is JSON"));
            }
        }
        lines
    }

    fn verify_lines(&self, lines: &[String], expect: Option<&str>) -> Report {
        let (audit, wanted) = (self.file("audit.jsonl"), self.file("expect.toml"));
        std::fs::write(&audit, lines.join("\n") + "\n").expect("the audit");
        std::fs::write(&wanted, expect.unwrap_or_default()).expect("the expectations");
        let expect = expect.map(|_| wanted);
        verify(&Asked { repo: self.repo(), audit, branch: "main".to_owned(), expect })
            .expect("everything can be read")
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(self.scratch.path()).join(name)
    }

    fn verify(&self) -> Report {
        self.verify_lines(&self.lines(), None)
    }

    /// The first event `what` for which `which` holds.
    fn event(&mut self, what: &str, which: impl Fn(&Value) -> bool) -> &mut Value {
        let told = self.told.iter_mut().map(|told| &mut told.event);
        told.into_iter().find(|event| event["what"] == what && which(event)).expect("such an event")
    }

    fn drop_event(&mut self, what: &str, which: impl Fn(&Value) -> bool) {
        let at = self.told.iter().position(|told| told.event["what"] == what && which(&told.event));
        self.told.remove(at.expect("such an event"));
    }
}

fn base_read(at: &Point, by: &str) -> Value {
    json!({
        "what": "base_read", "repo": "main", "branch": "main", "commit": at.commit,
        "tree": at.tree, "policy": "p", "by": by
    })
}

fn passed(car: &str, gate: &str, at: &Point, proof: &Value) -> Value {
    json!({
        "what": "gate_passed", "car": car, "gate": gate, "commit": at.commit, "tree": at.tree,
        "proof": proof
    })
}

fn joined(mut event: Value, fields: &Value) -> Value {
    let more = fields.as_object().expect("an object").clone();
    event.as_object_mut().expect("an object").extend(more);
    event
}

fn job(n: u64, of: u64) -> String {
    format!("job_00{n}{of}")
}

fn digest(job: &str) -> String {
    format!("digest-{job}")
}

/// That a report has a violation with these words, and shows it.
#[track_caller]
fn found(report: &Report, words: &str) {
    let all = report.violations().join("\n");
    assert!(!report.holds(), "nothing was found");
    assert!(all.contains(words), "`{words}` is not among:\n{all}");
    assert!(report.to_string().contains("WRONG"), "{report}");
}

#[test]
fn a_genuine_story_holds() {
    let story = Story::new();
    let expect = "landed = 2\n\"ejected conflict-base\" = { exactly = 1 }\n";
    let report = story.verify_lines(&story.lines(), Some(expect));
    assert_eq!(report.violations(), [] as [&str; 0]);
    assert!(report.holds());
    assert!(report.to_string().ends_with("\nexpected 2 facts, as asked\nok\n"), "{report}");
}

#[test]
fn what_was_expected_and_did_not_happen_is_found() {
    let story = Story::new();
    for (expect, words) in [
        ("landed = 3", "`landed` happened 2 times, not at least 3"),
        ("landed = { exactly = 1 }", "not exactly 1"),
        ("\"ejected lint\" = 1", "`ejected lint` happened 0 times"),
        ("lannded = 1", "`lannded` happened 0 times"),
    ] {
        found(&story.verify_lines(&story.lines(), Some(expect)), words);
    }
}

#[test]
fn a_push_around_the_gate_is_found() {
    let mut story = Story::new();
    story.write("docs/a.md", "sneaked in\n");
    let sneaked = story.commit("sneaked in");
    found(&story.verify(), "never landed");
    story.by_coordinator(base_read(&sneaked, "outside"));
    found(&story.verify(), "past the train");
}

#[test]
fn a_rewritten_branch_is_found() {
    let story = Story::new();
    story.git(&["commit", "--quiet", "--amend", "-m", "other words"]);
    found(&story.verify(), "not on main");
    story.git(&["checkout", "--quiet", "--orphan", "fresh"]);
    story.commit("begin anew");
    story.git(&["branch", "--force", "main"]);
    found(&story.verify(), "rewritten");
}

#[test]
fn an_altered_byte_is_found_in_every_line() {
    let story = Story::new();
    let lines = story.lines();
    for at in 0..lines.len() {
        for (from, to) in [("\"wall\":17", "\"wall\":18"), ("{\"seq\"", "{ \"seq\"")] {
            let mut altered = lines.clone();
            altered[at] = altered[at].replacen(from, to, 1);
            assert_ne!(altered, lines);
            found(&story.verify_lines(&altered, None), "altered");
        }
    }
}

#[test]
fn a_dropped_line_is_found_wherever_it_was() {
    let story = Story::new();
    let lines = story.lines();
    // The very last line has nothing after it that would show its absence.
    for at in 0..lines.len() - 1 {
        let mut fewer = lines.clone();
        fewer.remove(at);
        found(&story.verify_lines(&fewer, None), "is missing");
    }
    found(&story.verify_lines(&[], None), "audit");
}

#[test]
fn a_dropped_proof_is_found() {
    let mut story = Story::new();
    story.event("gate_passed", |event| event["gate"] == "lint")["proof"] = Value::Null;
    found(&story.verify(), "lint passed without a proof");
    for gate in ["lint", "diff", "spell", "scope", "announce"] {
        let mut story = Story::new();
        story.drop_event("gate_passed", |event| event["gate"] == gate);
        found(&story.verify(), &format!("{gate} never passed"));
    }
    for gate in ["lint", "diff", "spell"] {
        let mut story = Story::new();
        story.drop_event("job_finished", |event| event["gate"] == gate);
        found(&story.verify(), "which never ended so");
    }
}

#[test]
fn two_trees_under_one_proof_are_found() {
    let mut story = Story::new();
    let proof = story.event("gate_passed", |event| event["gate"] == "lint")["proof"].clone();
    let second = |event: &Value| event["gate"] == "lint" && event["car"] == "car_0002";
    story.event("gate_passed", second)["proof"] = proof;
    found(&story.verify(), "it ran on tree");
    // A gate with inputs may share a proof, but only while its inputs are the same.
    let mut story = Story::new();
    let base = story.git(&["rev-parse", "main~2"]);
    let tree = story.git(&["rev-parse", "main~2^{tree}"]);
    let run = story.event("job_finished", |event| event["gate"] == "spell");
    run["finding"]["commit"] = base.into();
    run["finding"]["tree"] = tree.into();
    found(&story.verify(), "whose inputs differ");
}

#[test]
fn a_run_that_is_no_pass_is_found() {
    type Tamper = fn(&mut Value);
    let table: [(Tamper, &str); 9] = [
        (|run| run["argv"] = json!(["true"]), "it ran `true`"),
        (|run| run["argv"] = json!(["sh", "-c", "true"]), "it ran `sh -c true`"),
        (|run| run["class"] = json!("killed"), "it killed"),
        (|run| run["class"] = json!("timeout"), "it timeout"),
        (|run| run["class"] = json!("vacuous"), "it vacuous"),
        (|run| run["green"] = json!(0), "0 results of at least 1"),
        (|run| run["exit"] = json!(1), "it passed with exit Some(1)"),
        (|run| run["exit"] = Value::Null, "it passed with exit None"),
        (|run| run["red_count"] = json!(1), "it passed with red items"),
    ];
    for (tamper, words) in table {
        let mut story = Story::new();
        tamper(&mut story.event("job_finished", |event| event["gate"] == "lint")["finding"]);
        found(&story.verify(), words);
    }
}

#[test]
fn red_items_that_the_base_has_not_are_found() {
    let second = |event: &Value| event["job"] == "job_0022";
    let mut story = Story::new();
    story.event("job_finished", second)["finding"]["red"] = json!(["worse"]);
    found(&story.verify(), "not known of the base");
    let mut story = Story::new();
    story.drop_event("job_finished", |event| event["job"] == "job_0025");
    found(&story.verify(), "not known of the base");
    let mut story = Story::new();
    let run = story.event("job_finished", |event| event["gate"] == "lint");
    run["finding"]["class"] = json!("failed");
    found(&story.verify(), "it failed");
}

#[test]
fn a_run_of_nobody_is_found() {
    let mut story = Story::new();
    story.drop_event("job_assigned", |event| event["gate"] == "lint");
    found(&story.verify(), "which was not given it");
    let mut story = Story::new();
    let told = story.told.iter_mut().find(|told| told.event["what"] == "job_finished");
    told.expect("a run").actor = json!("coordinator");
    found(&story.verify(), "did not say so");
}

#[test]
fn a_landing_that_is_told_twice_is_found() {
    let mut story = Story::new();
    let at = story.told.iter().position(|told| told.event["what"] == "landed").expect("a landing");
    let again = story.told[at].clone();
    story.told.insert(at, again);
    found(&story.verify(), "landed 2 times");
    found(&story.verify(), "car_0001 landed twice");
}

#[test]
fn a_fence_that_goes_back_is_found() {
    let mut story = Story::new();
    for what in ["intended", "landed"] {
        story.event(what, |event| event["car"] == "car_0002")["fence"]["n"] = json!(105);
    }
    found(&story.verify(), "the fence goes back to 105");
    found(&story.verify(), "no landing says so");
    let story = Story::new();
    story.fence(r#"{"epoch":0,"n":7,"term":1,"intent":"withdraw car_0003"}"#);
    found(&story.verify(), "the fence in git goes back to 7");
}

#[test]
fn a_landing_without_intent_or_candidate_is_found() {
    for (what, words) in [
        ("intended", "without an intent"),
        ("candidate_made", "was no candidate"),
        ("landed", "never landed"),
        ("submitted", "never submitted"),
    ] {
        let mut story = Story::new();
        story.drop_event(what, |event| event["car"] == "car_0001");
        found(&story.verify(), words);
    }
    let mut story = Story::new();
    story.event("intended", |_| true)["gates"] = json!(["lint"]);
    found(&story.verify(), "the intent names other gates");
}

#[test]
fn a_change_outside_its_claims_is_found() {
    let mut story = Story::new();
    story.event("claimed", |_| true)["scopes"] = json!(["runtime"]);
    found(&story.verify(), "did not hold");
    let mut story = Story::new();
    story.drop_event("announced", |_| true);
    found(&story.verify(), "nobody announced clm_0001");
}

#[test]
fn an_ejection_without_a_reason_is_found() {
    let mut story = Story::new();
    story.event("ejected", |_| true)["ejection"] = json!({"why": "conflict-base", "paths": []});
    found(&story.verify(), "ejected without a reason");
}
