//! Whatever GitHub has answered lately, the simulator answers with the same fields of the same kind.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::{Consistency, GitHub};
use super::client::{Client, PERMISSIONS};
use crate::contract::recordings;

/// Answers from before are of another API.
const LATELY: &str = "2020";

/// How deep fields are compared.
const DEPTH: usize = 2;

/// Fields of a media type that nobody here asks for: texts as HTML and without marks.
const OTHER_MEDIA: [&str; 2] = ["body_html", "body_text"];

/// One answer of the simulator's to each operation that it and a recording have.
fn answers() -> BTreeMap<String, Value> {
    let github = GitHub::start(&PERMISSIONS);
    github.set_consistency(Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 });
    let widget = github.add_repository("acme/widget", false, &[("README.md", "# widget\n")]);
    let head = github.push_commit(widget, "feature", &[("a", "1\n")]);
    let next = github.push_commit(widget, "next", &[("b", "1\n")]);
    let client = Client::installed(&github);
    let mut answers = BTreeMap::new();
    let mut ask = |operation: &str, path: &str, body: Value| {
        let (method, template) = operation.split_once(' ').expect("a method and a template");
        let path = format!("/repos/acme/widget{path}");
        let answer = client.ask(method, &path, &body);
        assert!(answer.status < 300, "{operation}: {}", answer.body);
        answers
            .insert(format!("{method} /repos/{{owner}}/{{repo}}{template}"), answer.body.clone());
        answer.body
    };
    let pull = json!({ "title": "t", "head": "feature", "base": "main", "body": "b" });
    ask("POST /pulls", "/pulls", pull);
    github.review(widget, 1, "mona", "APPROVED");
    ask("PATCH /pulls/{pull_number}", "/pulls/1", json!({ "title": "u" }));
    ask("GET /pulls", "/pulls", Value::Null);
    ask("GET /pulls/{pull_number}/reviews", "/pulls/1/reviews", Value::Null);
    let of_commit = format!("/commits/{head}/pulls");
    ask("GET /commits/{commit_sha}/pulls", &of_commit, Value::Null);
    let labels = json!({ "labels": ["bug"] });
    ask("POST /issues/{issue_number}/labels", "/issues/1/labels", labels);
    let said = json!({ "body": "hello" });
    ask("POST /issues/{issue_number}/comments", "/issues/1/comments", said);
    let status = json!({ "state": "success", "context": "ci" });
    ask("POST /statuses/{sha}", &format!("/statuses/{head}"), status);
    ask("GET /commits/{ref}/status", &format!("/commits/{head}/status"), Value::Null);
    let fence = json!({ "ref": "refs/molt/fence", "sha": head });
    ask("POST /git/refs", "/git/refs", fence);
    let moved = json!({ "sha": next, "force": true });
    ask("PATCH /git/refs/{ref}", "/git/refs/molt/fence", moved);
    answers
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Fields of what was recorded that `ours` lacks, or has of another kind.
fn lacks(recorded: &Value, ours: &Value, at: &str, depth: usize) -> Vec<String> {
    match (recorded, ours) {
        (Value::Null, _) | (_, Value::Null) => Vec::new(),
        (Value::Array(recorded), Value::Array(ours)) => {
            let pair = recorded.first().zip(ours.first());
            pair.map_or_else(Vec::new, |(recorded, ours)| lacks(recorded, ours, at, depth))
        }
        (Value::Object(recorded), Value::Object(ours)) if depth > 0 => {
            let field = |(name, recorded): (&String, &Value)| match ours.get(name) {
                Some(ours) => lacks(recorded, ours, &format!("{at}/{name}"), depth - 1),
                None if OTHER_MEDIA.contains(&name.as_str()) => Vec::new(),
                None => vec![format!("{at}/{name}")],
            };
            recorded.iter().flat_map(field).collect()
        }
        _ if kind(recorded) == kind(ours) => Vec::new(),
        _ => vec![format!("{at}: {} for {}", kind(ours), kind(recorded))],
    }
}

#[test]
fn recorded_answers_have_nothing_that_the_simulators_lack() {
    let answers = answers();
    let mut compared = BTreeSet::new();
    let mut found = BTreeSet::new();
    for recording in recordings::all() {
        let lately = recording.date.as_str() >= LATELY && recording.status < 300;
        let Some(ours) = answers.get(&recording.op).filter(|_| lately) else { continue };
        compared.insert(recording.op.clone());
        let lacks = lacks(&recording.body, ours, "", DEPTH);
        found.extend(lacks.into_iter().map(|it| format!("{} {it}", recording.op)));
    }
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(compared.len(), answers.len(), "each answer is held against something");
}

#[test]
fn a_field_that_is_missing_or_of_another_kind_is_found() {
    let recorded = json!({ "id": 1, "user": { "login": "mona", "id": 2 }, "gone": null });
    let same = json!({ "id": 7, "user": { "login": "eve", "id": 3, "more": true }, "gone": 1 });
    assert_eq!(lacks(&recorded, &same, "", DEPTH), [""; 0]);
    let other = json!({ "id": "7", "user": { "login": "eve" } });
    assert_eq!(lacks(&recorded, &other, "", DEPTH), ["/gone", "/id: text for number", "/user/id"]);
}
