//! What GitHub has really answered, read by the client's own eyes.
//!
//! Each recorded success of an operation that is asked for is read into the shape that is read in
//! earnest; each recorded failure has a cause. More of them are in the [`folders`] that somebody
//! names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use molt_forge::github::shape::{
    Annotation, App, Branch, CheckRun, CheckRuns, Comment, Installation, Made, Permission, Pull,
    Ref, Repository, Review, Rule, Ruleset, Statuses,
};
use molt_forge::github::{Answer, Cause, Head, Operation};
use serde::Deserialize;
use serde_json::Value;

use crate::folders;

/// One exchange, as it was recorded.
#[derive(Debug, Deserialize)]
struct Exchange {
    source: String,
    op: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Exchange {
    fn answer(&self) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a recorded header");
            headers.insert(name, HeaderValue::from_str(value).expect("a recorded header"));
        }
        let body = match &self.body {
            Value::Null => Vec::new(),
            // What was no JSON was recorded as it came.
            Value::String(text) => text.clone().into_bytes(),
            body => body.to_string().into_bytes(),
        };
        Answer { status: self.status, body, head: Head::of(&headers) }
    }
}

fn recorded() -> Vec<Exchange> {
    let mut all = Vec::new();
    for file in folders::all().iter().flat_map(|folder| folders::recordings(folder)) {
        let text = fs::read_to_string(&file).expect("a recording is text");
        for (at, line) in text.lines().enumerate() {
            let exchange = serde_json::from_str(line);
            let line = at + 1;
            all.push(exchange.unwrap_or_else(|error| panic!("{file:?}:{line}: {error}")));
        }
    }
    all
}

/// Reads a success as the product does; `None` for what the product does not ask for.
fn read(operation: Operation, answer: &Answer) -> Option<Result<(), Cause>> {
    Some(match operation {
        Operation::APP => answer.read::<App>().map(drop),
        Operation::INSTALLATION => answer.read::<Installation>().map(drop),
        Operation::REPOSITORY => answer.read::<Repository>().map(drop),
        Operation::BRANCH => answer.read::<Branch>().map(drop),
        Operation::RULES => answer.read::<Vec<Rule>>().map(drop),
        Operation::RULESET => answer.read::<Ruleset>().map(drop),
        Operation::PERMISSION => answer.read::<Permission>().map(drop),
        Operation::PULLS => answer.read::<Vec<Pull>>().map(drop),
        Operation::PULL | Operation::OPEN_PULL | Operation::EDIT_PULL => {
            answer.read::<Pull>().map(drop)
        }
        Operation::REVIEWS => answer.read::<Vec<Review>>().map(drop),
        Operation::COMMENTS | Operation::COMMENTS_OF => answer.read::<Vec<Comment>>().map(drop),
        Operation::COMMENT | Operation::EDIT_COMMENT => answer.read::<Comment>().map(drop),
        Operation::CHECKS => answer.read::<CheckRuns>().map(drop),
        Operation::MAKE_CHECK | Operation::EDIT_CHECK => answer.read::<CheckRun>().map(drop),
        Operation::ANNOTATIONS => answer.read::<Vec<Annotation>>().map(drop),
        Operation::STATUS => answer.read::<Statuses>().map(drop),
        Operation::SET_STATUS => answer.read::<Made>().map(drop),
        Operation::REF | Operation::MOVE_REF => answer.read::<Ref>().map(drop),
        _ => return None,
    })
}

#[test]
fn every_success_that_is_asked_for_is_read() {
    let known: BTreeMap<String, Operation> =
        Operation::ALL.iter().map(|operation| (operation.to_string(), *operation)).collect();
    let mut seen = BTreeSet::new();
    for exchange in recorded() {
        let Some(operation) = known.get(&exchange.op) else { continue };
        let answer = exchange.answer();
        // A 204 or 304 says all with its status.
        if answer.cause().is_some() || answer.body.is_empty() {
            continue;
        }
        let Some(read) = read(*operation, &answer) else { continue };
        assert_eq!(read, Ok(()), "{} of {}: {}", exchange.op, exchange.source, exchange.body);
        seen.insert(exchange.op);
    }
    assert!(seen.len() >= 8, "recordings of what is asked for: {seen:#?}");
}

#[test]
fn every_failure_has_a_cause() {
    let mut causes = BTreeMap::new();
    for exchange in recorded() {
        let cause = exchange.answer().cause();
        let success = matches!(exchange.status, 200..=299 | 304);
        assert_eq!(cause.is_none(), success, "{} of {}", exchange.op, exchange.source);
        let Some(cause) = cause else { continue };
        let of = format!("{} of {}: {cause}", exchange.op, exchange.source);
        assert!(!matches!(cause, Cause::Unexpected { .. }), "{of}");
        causes.entry(exchange.status).or_insert(of);
    }
    assert!(causes.len() >= 4, "kinds of failures among the recordings: {causes:#?}");
}

#[test]
fn a_word_that_nobody_knows_is_read_as_it_is() {
    let pull = serde_json::json!({
        "number": 1, "state": "merged_elsewhere", "title": "t", "user": null, "body": null,
        "head": {"ref": "a", "sha": "b", "repo": null}, "base": {"ref": "main", "sha": "c"},
        "labels": [], "auto_merge": {"merge_method": "teleport"}, "tomorrow": [1],
    });
    let pull: Pull = serde_json::from_value(pull).expect("a pull request of tomorrow");
    assert_eq!((pull.state.as_str(), pull.head.repo), ("merged_elsewhere", None));
}
