//! GitHub's own exchanges conform to its description, and planted faults are found.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::recordings::all as recordings;
use super::waivers::Waivers;
use super::{Contract, Exchange};

/// What the contract says of one exchange, as lines.
fn found(method: &str, path: &str, request: &Value, status: u16, body: &Value) -> Vec<String> {
    let exchange = Exchange { method, path, request, status, body };
    Contract::get().check(&exchange).iter().map(ToString::to_string).collect()
}

#[test]
fn every_recording_is_the_operation_that_its_collector_took_it_for() {
    let recordings = recordings();
    assert_eq!(recordings.len(), 58);
    for recording in recordings {
        let route = Contract::get().route(&recording.method, &recording.path);
        assert_eq!(route.unwrap().operation(), recording.op, "{}", recording.path);
    }
}

#[test]
fn recordings_conform_but_for_the_waivers_and_every_waiver_is_needed() {
    let waivers = Waivers::load().recordings;
    let mut needed = BTreeSet::new();
    let mut unexcused = Vec::new();
    for recording in recordings() {
        let exchange = Exchange {
            method: &recording.method,
            path: &recording.path,
            request: &recording.request,
            status: recording.status,
            body: &recording.body,
        };
        for violation in Contract::get().check(&exchange) {
            match waivers.iter().position(|waiver| waiver.covers(&violation, &recording.date)) {
                Some(waiver) => _ = needed.insert(waiver),
                None => unexcused.push(violation.to_string()),
            }
        }
    }
    assert!(unexcused.is_empty(), "{}", unexcused.join("\n"));
    let unneeded: Vec<_> =
        waivers.iter().enumerate().filter(|(index, _)| !needed.contains(index)).collect();
    assert!(unneeded.is_empty(), "{unneeded:#?}");
}

#[test]
fn the_examples_that_break_their_own_schema_are_the_listed_ones() {
    let contract = Contract::get();
    let mut broken = BTreeSet::new();
    let mut said = Vec::new();
    for (template, operations) in contract.document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = method.to_uppercase();
            for (status, response) in operation["responses"].as_object().unwrap() {
                let examples = &response["content"]["application/json"]["examples"];
                for example in examples.as_object().into_iter().flatten().map(|(_, it)| it) {
                    let example = super::schema::resolved(&contract.document, example);
                    let status = status.parse().unwrap();
                    let violations: Vec<_> =
                        found(&method, template, &Value::Null, status, &example["value"])
                            .into_iter()
                            .filter(|line| line.contains(": response"))
                            .collect();
                    if !violations.is_empty() {
                        broken.insert(format!("{method} {template}"));
                        said.extend(violations);
                    }
                }
            }
        }
    }
    let listed: BTreeSet<_> = Waivers::load().examples.into_iter().collect();
    assert_eq!(broken, listed, "{}", said.join("\n"));
}

#[test]
fn a_request_that_github_would_ignore_or_refuse_is_a_violation() {
    let run = Contract::get().example("check-run");
    let path = "/repos/acme/widget/check-runs";
    let head = "ce587453ced02b1526dfb4cb910479d431683101";
    let good =
        json!({ "name": "gate", "head_sha": head, "output": { "title": "t", "summary": "s" } });
    assert_eq!(found("POST", path, &good, 201, run), [""; 0]);

    let mut unknown = good.clone();
    unknown["check_run_id"] = json!(4);
    unknown["output"]["colour"] = json!("red");
    let said = found("POST", path, &unknown, 201, run);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].ends_with("request /check_run_id: no such field"), "{said:?}");
    assert!(said[1].ends_with("request /output/colour: no such field"), "{said:?}");

    let said = found("POST", path, &json!({ "head_sha": head }), 201, run);
    assert!(
        said.iter().any(|line| line.contains("request: ") && line.contains("name")),
        "{said:?}"
    );
    let said = found("POST", path, &Value::Null, 201, run);
    assert!(said[0].ends_with("no body, and the operation needs one"), "{said:?}");
    let said = found("GET", &format!("{path}/4?head=x"), &Value::Null, 200, run);
    assert!(said[0].ends_with("query head: no such parameter"), "{said:?}");
    let said = found("GET", "/repos/acme/widget/tests", &Value::Null, 200, run);
    assert!(said[0].ends_with("no operation has this method and path"), "{said:?}");
}

#[test]
fn an_answer_that_github_would_not_give_is_a_violation() {
    let reference = Contract::get().example("git-ref");
    let path = "/repos/acme/widget/git/ref/heads/feature/x";
    assert_eq!(found("GET", path, &Value::Null, 200, reference), [""; 0]);

    let mut wrong = reference.clone();
    wrong["object"]["sha"] = json!(7);
    wrong.as_object_mut().unwrap().remove("ref");
    let said = found("GET", path, &Value::Null, 200, &wrong);
    assert!(said.iter().any(|line| line.contains("response /object/sha: ")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("\"ref\" is a required property")), "{said:?}");

    let said = found("GET", path, &Value::Null, 202, reference);
    assert!(said[0].ends_with("status: the operation doesn't answer so"), "{said:?}");
    let said = found("GET", path, &Value::Null, 403, &json!({}));
    assert!(said[0].ends_with("an error without a message"), "{said:?}");
    let refused = json!({ "message": "Resource not accessible by integration" });
    assert_eq!(found("GET", path, &Value::Null, 403, &refused), [""; 0]);
    let said = found("DELETE", &path.replace("ref/", "refs/"), &Value::Null, 204, &json!({}));
    assert!(said[0].ends_with("a body where there is none"), "{said:?}");
}

#[test]
fn an_error_of_the_servers_may_be_a_page_or_nothing() {
    let path = "/repos/acme/widget/pulls/1";
    for body in [json!("<html>Unicorn!</html>"), Value::Null] {
        for status in [500, 502, 503] {
            assert_eq!(found("GET", path, &Value::Null, status, &body), [""; 0]);
        }
        assert_ne!(found("GET", path, &Value::Null, 200, &body), [""; 0]);
    }
}

#[test]
fn a_path_is_the_operation_with_the_most_literal_segments() {
    let operation = |path| Contract::get().route("GET", path).unwrap().template;
    assert_eq!(
        operation("/repos/o/r/commits/heads/a/b/status"),
        "/repos/{owner}/{repo}/commits/{ref}/status"
    );
    assert_eq!(operation("/repos/o/r/commits/heads/a"), "/repos/{owner}/{repo}/commits/{ref}");
    assert_eq!(operation("/repositories/7/pulls?page=2"), "/repos/{owner}/{repo}/pulls");
    let route = Contract::get().route("GET", "/repos/o/r/git/ref/heads/a%23b%2Fc").unwrap();
    assert_eq!(route.parameters["ref"], "heads/a#b/c");
    assert_eq!(Contract::get().route("GET", "/repositories/7").unwrap().repository, Some(7));
    assert_eq!(Contract::get().route("PUT", "/repos/o/r"), None);
}
