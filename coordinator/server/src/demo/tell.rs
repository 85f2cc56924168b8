//! The story in words: one line for each thing that people want to know.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use serde_json::Value;

use crate::clock;

/// Tells what happens, with the time since it began.
#[derive(Debug)]
pub(super) struct Teller {
    began: Duration,
    /// Title and agent of each change and task, as far as they were told.
    cars: BTreeMap<String, (String, String)>,
    tasks: BTreeMap<String, String>,
    waiting: BTreeSet<String>,
    /// Things of which the first one alone is told.
    told: BTreeSet<String>,
}

impl Teller {
    pub(super) fn new() -> Self {
        Self {
            began: clock::boottime(),
            cars: BTreeMap::new(),
            tasks: BTreeMap::new(),
            waiting: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    /// Prints a line.
    pub(super) fn line(&self, label: &str, text: &str) {
        let since = clock::boottime().saturating_sub(self.began).as_secs_f64();
        print(&format!("{since:6.1}s  {label:<11} {text}"));
    }

    /// Prints what people want to know of an event.
    pub(super) fn hear(&mut self, event: &Value) {
        if let Some((label, text)) = self.words(event) {
            self.line(label, &text);
        }
    }

    fn words(&mut self, event: &Value) -> Option<(&'static str, String)> {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        let name = text("name");
        let scopes = || list(&event["scopes"]);
        match text("what") {
            "claimed" if self.waiting.remove(text("claim")) => {
                Some(("served", format!("{name} gets {}, as first in line", scopes())))
            }
            "claimed" if event["task"].is_null() => {
                Some(("claimed", format!("{} by {name}, fence {}", scopes(), event["fence"]["n"])))
            }
            "queued" => {
                self.waiting.insert(text("claim").to_owned());
                Some(("queued", format!("{name} waits for {}, {} ahead", scopes(), event["ahead"])))
            }
            "task_added" => {
                self.tasks.insert(text("task").to_owned(), text("title").to_owned());
                None
            }
            "task_taken" => {
                let title = self.tasks.get(text("task")).cloned().unwrap_or_default();
                let again = self.told.remove(&format!("returned {}", text("task")));
                let first = self.told.insert(format!("taker {name}"));
                let label = if again { "taken again" } else { "took" };
                (again || first).then(|| (label, format!("{name} took \"{title}\" with its scope")))
            }
            "task_returned" => {
                self.told.insert(format!("returned {}", text("task")));
                let title = self.tasks.get(text("task")).cloned().unwrap_or_default();
                Some(("open again", format!("\"{title}\": {}", text("reason"))))
            }
            "submitted" => {
                let told = (text("title").to_owned(), name.to_owned());
                self.cars.insert(text("car").to_owned(), told);
                None
            }
            "landed" => {
                let (title, name) = self.cars.get(text("car")).cloned().unwrap_or_default();
                let commit = text("commit").get(..10).unwrap_or_default();
                Some(("landed", format!("\"{title}\" of {name} as {commit}")))
            }
            "ejected" => {
                let (title, _) = self.cars.get(text("car")).cloned().unwrap_or_default();
                Some(("refused", format!("\"{title}\" of {name}: {}", reason(&event["ejection"]))))
            }
            "build_begun" => Some(("build", "begun, once for all who want it".to_owned())),
            "build_ended" => {
                let (class, waiters) = (text("class"), &event["waiters"]);
                Some(("build", format!("{class}; {waiters} who waited have it too")))
            }
            "slot_granted" if event["in_use"] == event["size"] => {
                let (pool, size) = (text("pool"), &event["size"]);
                let first = self.told.insert(format!("pool {pool}"));
                let full = format!("{pool} on {} is full: {size} of {size}", text("host"));
                first.then_some(("slots", full))
            }
            "lost" => Some(("lost", format!("{name}: {}", text("cause").replace('_', " ")))),
            _ => None,
        }
    }
}

/// Why a change was refused, in a few words.
fn reason(ejection: &Value) -> String {
    let text = |key: &str| ejection[key].as_str().unwrap_or_default();
    let words = match text("why") {
        "gate-failed" => {
            let (red, note) = (list(&ejection["red"]), text("note"));
            format!(
                "{} {}, {}",
                text("gate"),
                text("class"),
                if red.is_empty() { note } else { &red }
            )
        }
        why => format!("{why} {}", list(&ejection["paths"])),
    };
    words.chars().take(70).collect::<String>().trim_end().to_owned()
}

fn list(values: &Value) -> String {
    let texts = values.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(" ")
}

/// Prints some lines under a heading.
pub(super) fn block(heading: &str, text: &str) {
    print("");
    if !heading.is_empty() {
        print(heading);
    }
    for line in text.lines() {
        print(line);
    }
}

/// A line on standard output; a reader that has gone away does not end the story.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}
