//! Reports: kept word for word, read by whoever goes on, and refused when they come too late.

use serde_json::{Value, json};

use crate::harness::{Fleet, write};

const POLICY: &str = "version = 1\n[scope.src]\npaths = [\"src/**\"]\n";

const FULL: &str = "## Mend it\n\n### Status\nhalf done\n\n### Summary\n- one store less\n\n\
    ### Files Touched\n- src/vm.c — the barrier\n\n### Tests\n- make test → FAIL\n\n\
    ### Notes\nnone\n\n### Resume\nmake test\n";

const LINE: [&str; 7] = [
    "report",
    "running",
    "the barrier is in",
    "--output",
    "logs/gc.log",
    "--next",
    "run its tests",
];

fn id(document: &Value) -> String {
    document["data"]["id"].as_str().expect("an id").to_owned()
}

/// What was said beside a refusal.
fn kept(document: &Value) -> String {
    document["warn"].to_string()
}

#[test]
fn a_report_is_kept_word_for_word_and_checked_before_it_is() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let ann = fleet.agent("ann", &host);
    let said = ann.run(&LINE).exits(0).out;
    let (time, rest) = said.split_at("- [12:07] ".len());
    assert!(time.starts_with("- [") && time.ends_with("] "), "{said}");
    assert_eq!(
        rest,
        "running — the barrier is in. Output: logs/gc.log. Next: run its tests. \
         Resume: molt-agent prime.\n"
    );
    let reported = fleet.coordinator.events.wait("the report", |event| event["what"] == "reported");
    assert_eq!(reported["event"]["line"], said.trim_end());

    write(ann.worktree(), "report.md", FULL);
    let full = ann.json(&["report", "--full", "report.md"], 0);
    assert_eq!(full["data"]["line"], "Mend it: half done");
    write(ann.worktree(), "report.md", &FULL.replace("### Tests", "### Test"));
    let refused = ann.json(&["report", "--full", "report.md"], 2);
    let message = refused["data"]["message"].as_str().expect("a message");
    assert!(message.contains("line 12: `### Test` where `### Tests` comes next"), "{message}");
    ann.json(&["report", "running", "x", "--next", "y"], 2);
    fleet.verify();
}

#[test]
fn whoever_wakes_after_its_task_went_on_is_refused_and_heard() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let task = id(&bob.json(&["task", "add", "mend it", "--scope", "src"], 0));
    assert_eq!(id(&ann.json(&["next"], 0)), task);
    ann.run(&LINE).exits(0);
    write(ann.worktree(), "report.md", FULL);
    ann.json(&["report", "--full", "report.md"], 0);

    let session = ann.json(&["status"], 0)["data"]["session"]["id"].clone();
    let session = session.as_str().expect("a session");
    fleet.coordinator.run(&["revoke", session, "--reason", "it was silent"]).exits(0);
    let retry = bob.json(&["next"], 0);
    assert_eq!(id(&retry), task);
    let line = retry["data"]["report"].as_str().expect("the last report");
    assert!(line.contains("running — the barrier is in. Output: logs/gc.log."), "{line}");
    assert_eq!(retry["data"]["full_report"], FULL);

    // Whoever goes on reads it wherever it looks.
    let shown = bob.json(&["task", "show", &task], 0)["data"].clone();
    assert_eq!((&shown["full_report"], &shown["losses"]), (&json!(FULL), &json!(1)));
    assert_eq!((&shown["report"], &shown["holder"]), (&json!(line), &json!("bob")));
    let text = bob.run(&["task", "show", &task, "--full"]).exits(0).out;
    assert!(text.contains("\nfull     ### Resume\nfull     make test\n"), "{text}");
    let again = bob.json(&["claim", "src", "--task", &task], 0);
    assert_eq!(again["data"]["report"], line);
    let text = bob.run(&["prime"]).exits(0).out;
    assert!(text.contains("\nreport   - ["), "{text}");

    let late = ["report", "COMPLETE", "all is done", "--output", "none", "--next", "none"];
    let refused = ann.json(&late, 6);
    assert_eq!((&refused["code"], &refused["ok"]), (&json!("lost"), &json!(false)));
    assert!(kept(&refused).contains(&format!("kept: as a note of {task}")), "{refused}");
    let noted =
        fleet.coordinator.events.wait("the note", |event| event["what"] == "report_refused");
    assert_eq!(
        (&noted["event"]["task"], &noted["event"]["session"]),
        (&json!(task), &json!(session))
    );
    let told = bob.json(&["inbox"], 0)["data"]["messages"][0]["text"].to_string();
    assert!(told.contains("had a late report of ann: - [") && told.contains("COMPLETE"), "{told}");
    let now = bob.json(&["next"], 0);
    assert!(now["data"]["report"].as_str().is_some_and(|line| line.contains("running")), "{now}");
    assert!(now["data"]["notes"][0].as_str().is_some_and(|it| it.contains("COMPLETE")), "{now}");
    let shown = bob.json(&["task", "show", &task], 0);
    assert_eq!(shown["data"]["notes"], now["data"]["notes"]);
    let facts = bob.json(&["why", &task], 0)["data"]["facts"].to_string();
    assert!(facts.contains("late     ann: - ["), "{facts}");

    // Whoever never had it is refused, and leaves no note.
    let eve = fleet.agent("eve", &host);
    let other = [late.as_slice(), &["--task", &task]].concat();
    assert!(!kept(&eve.json(&other, 6)).contains("kept:"));
    let digest = fleet.coordinator.digest();
    eve.json(&other, 6);
    assert_eq!(fleet.coordinator.digest(), digest, "a refusal changes nothing");
    fleet.verify();
}
