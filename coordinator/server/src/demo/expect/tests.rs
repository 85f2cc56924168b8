//! Each expectation sees the fault that it is there for. The events are those of a run of the
//! demonstration, without the ones that no row counts.

use serde_json::json;

use super::*;

const STORY: &str = include_str!("story.jsonl");

/// What was seen: the events, and the notes beside them.
struct Seen {
    entries: Vec<Entry>,
    notes: Notes,
}

impl Seen {
    fn sound(recipe: &Recipe) -> Self {
        let entry = |line: &str| {
            let whole: Value = serde_json::from_str(line).expect("an entry is JSON");
            let seq = whole["seq"].as_u64().expect("an entry has a number");
            Entry { raw: line.to_owned(), event: whole["event"].clone(), seq }
        };
        let entries: Vec<Entry> = STORY.lines().map(entry).collect();
        let flying = |entry: &&Entry| entry.text("title") == recipe.flying.title;
        let killed_at = all(&entries, "submitted").find(flying).expect("it was submitted").seq;
        let claim =
            json!({ "claim": "clm_0001", "holder": "ann", "waiting": 1, "task": "tsk_0001" });
        let notes = Notes {
            refusal: "refused  runtime  held by ann (seen 0s ago)\n\
                      overlap  runtime/** ~ runtime/**  e.g. runtime/x\nexit 4\n"
                .to_owned(),
            built: "built\n".to_owned(),
            artifacts: 3,
            slots: "begin\nbegin\nend\nbegin\nend\nbegin\nend\nend\n".to_owned(),
            before: claim.clone(),
            after: claim,
            killed_at,
        };
        Self { entries, notes }
    }

    fn forget(&mut self, what: &str, which: impl Fn(&Entry) -> bool) {
        let count = self.entries.len();
        self.entries.retain(|entry| !(entry.is(what) && which(entry)));
        assert!(self.entries.len() < count, "there was no such {what}");
    }

    fn first(&mut self, what: &str) -> &mut Entry {
        self.entries.iter_mut().find(|entry| entry.is(what)).expect("it happened")
    }

    /// The expectations that are not met.
    fn unmet(&self, recipe: &Recipe) -> Vec<String> {
        let rows = rows(&self.entries, &self.notes, recipe);
        rows.into_iter().filter(|row| !row.met).map(|row| row.expected).collect()
    }
}

type Fault = (&'static str, fn(&mut Seen));

/// A fault for each row, by the words that the row begins with.
const FAULTS: [Fault; 16] = [
    ("3 agents or more", |seen| {
        for entry in seen.entries.iter_mut().filter(|entry| entry.text("host") == "h3") {
            entry.event["host"] = json!("h1");
        }
    }),
    ("a claim on runtime refused", |seen| {
        seen.notes.refusal = seen.notes.refusal.replace("exit 4", "exit 0");
    }),
    ("a waiter served", |seen| seen.forget("released", |_| true)),
    ("13 tasks handed out", |seen| seen.first("task_taken").event["claim"] = Value::Null),
    ("no scope held by two", |seen| {
        let mut twice = seen.first("claimed").clone();
        twice.event["claim"] = json!("clm_9999");
        seen.entries.insert(1, twice.clone());
        seen.entries.insert(1, twice);
    }),
    ("one build for three", |seen| seen.notes.built.push_str("built\n")),
    ("4 runs in a pool", |seen| seen.notes.slots.insert_str(0, "begin\nend\n")),
    ("8 changes landed", |seen| {
        let extra = seen.first("landed").clone();
        seen.entries.push(extra);
    }),
    ("refused by lint", |seen| {
        seen.forget("ejected", |entry| entry.event["ejection"]["gate"] == "lint");
    }),
    ("refused by test", |seen| {
        seen.forget("ejected", |entry| entry.event["ejection"]["gate"] == "test");
    }),
    ("refused by diff", |seen| {
        seen.forget("ejected", |entry| entry.event["ejection"]["gate"] == "diff");
    }),
    ("refused by scope-escape", |seen| {
        seen.forget("ejected", |entry| entry.event["ejection"]["why"] == "scope-escape");
    }),
    ("refused by conflict-base", |seen| {
        seen.forget("ejected", |entry| entry.event["ejection"]["why"] == "conflict-base");
    }),
    ("a killed agent's work", |seen| seen.forget("task_returned", |_| true)),
    ("claim, line and task", |seen| seen.notes.after["waiting"] = json!(0)),
    ("the change in flight", |seen| seen.notes.killed_at = 0),
];

#[test]
fn every_expectation_sees_its_fault() {
    let recipe = Recipe::small();
    let sound = Seen::sound(&recipe);
    assert_eq!(sound.unmet(&recipe), Vec::<String>::new(), "what was seen is as expected");
    let expectations = rows(&sound.entries, &sound.notes, &recipe).len();
    assert_eq!(expectations, FAULTS.len(), "a row has no fault");
    for (row, fault) in FAULTS {
        let mut seen = Seen::sound(&recipe);
        fault(&mut seen);
        let unmet = seen.unmet(&recipe);
        assert!(unmet.iter().any(|expected| expected.starts_with(row)), "{row}: {unmet:?}");
    }
}

#[test]
fn what_is_missing_from_the_audit_is_seen() {
    let recipe = Recipe::small();
    let seen = Seen::sound(&recipe);
    let audit = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(audit.path(), STORY).expect("the audit");
    assert!(all_in_audit(&seen.entries, audit.path()).expect("it reads").met);
    let (_, short) = STORY.split_once('\n').expect("it has lines");
    std::fs::write(audit.path(), short).expect("the audit");
    assert!(!all_in_audit(&seen.entries, audit.path()).expect("it reads").met);
    assert!(!all_in_audit(&[], audit.path()).expect("it reads").met, "nothing was told");
}
