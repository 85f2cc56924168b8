//! What the coordinator asks of GitHub, by the names that faults are planned under, and what it must
//! never ask for.

use std::collections::BTreeSet;

use molt_forge::github::Operation;
use molt_forge::github::permission::{Access, Asker};

use crate::sim::{Actor, Entry};

pub(super) const MAKE_CHECK: &str = "POST /repos/{owner}/{repo}/check-runs";
pub(super) const EDIT_CHECK: &str = "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}";

/// The edit that says how it ended, and the one that says something at lines of files.
pub(super) const END_CHECK: &str =
    "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id} completed";
pub(super) const ANNOTATE: &str = "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id} annotated";
pub(super) const COMMENT: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
pub(super) const EDIT_COMMENT: &str = "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}";
pub(super) const LAND: &str = "POST /graphql";

/// What makes and deletes branches, publishes a candidate, and then stages its landing.
pub(super) const PUSH: &str = "git-receive-pack";
pub(super) const SET_STATUS: &str = "POST /repos/{owner}/{repo}/statuses/{sha}";
pub(super) const CHECKS: &str = "GET /repos/{owner}/{repo}/commits/{ref}/check-runs";
pub(super) const COMMENTS: &str = "GET /repos/{owner}/{repo}/issues/{issue_number}/comments";
pub(super) const ALL_COMMENTS: &str = "GET /repos/{owner}/{repo}/issues/comments";
pub(super) const REPOSITORY: &str = "GET /repos/{owner}/{repo}";
pub(super) const PULLS: &str = "GET /repos/{owner}/{repo}/pulls";
pub(super) const OPEN_PULL: &str = "POST /repos/{owner}/{repo}/pulls";
pub(super) const EDIT_PULL: &str = "PATCH /repos/{owner}/{repo}/pulls/{pull_number}";
pub(super) const PULL: &str = "GET /repos/{owner}/{repo}/pulls/{pull_number}";
pub(super) const PERMISSION: &str = "GET /repos/{owner}/{repo}/collaborators/{username}/permission";
/// What reads branches and heads by git.
pub(super) const FETCH: &str = "git-upload-pack";
pub(super) const MOVE_REF: &str = "PATCH /repos/{owner}/{repo}/git/refs/{ref}";
pub(super) const TOKEN: &str = "POST /app/installations/{installation_id}/access_tokens";

/// Whether a request changes something; that a token is made is no change.
pub(super) fn is_change(entry: &Entry) -> bool {
    !entry.operation.starts_with("GET ") && entry.operation != TOKEN
}

/// What was asked as the App or as its installation that the product does not list, or that takes
/// more than was granted.
pub(super) fn undue(journal: &[Entry], granted: &[(&str, &str)]) -> BTreeSet<String> {
    let by_app = |entry: &&Entry| matches!(entry.actor, Actor::App(_) | Actor::Installation { .. });
    let asked = journal.iter().filter(by_app).map(|entry| &entry.operation);
    asked.filter(|operation| !is_due(operation, granted)).cloned().collect()
}

fn is_due(operation: &str, granted: &[(&str, &str)]) -> bool {
    let known = Operation::ALL.iter().find(|known| known.to_string() == operation);
    let Some(needs) = known.and_then(|known| known.needs()) else { return false };
    let Some((name, access)) = needs.grant else { return needs.asker == Asker::Key };
    let reaches = |level: &str| level == "write" || access == Access::Read;
    granted.iter().any(|(other, level)| *other == name && reaches(level))
}

#[test]
fn what_the_app_was_not_granted_is_seen_in_what_it_asked_for() {
    let granted = [("metadata", "read"), ("contents", "write"), ("statuses", "read")];
    let asked = [
        "GET /repos/{owner}/{repo}",
        MOVE_REF,
        TOKEN,
        SET_STATUS,
        PULL,
        "GET /user",
        "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge",
    ];
    let entry = |operation: &str| Entry {
        operation: operation.to_owned(),
        path: String::new(),
        actor: Actor::App(1),
        token: None,
        body: serde_json::Value::Null,
        status: 200,
        at: 0,
    };
    let journal: Vec<Entry> = asked.into_iter().map(entry).collect();
    let beyond: BTreeSet<String> = asked[3..].iter().map(|&it| it.to_owned()).collect();
    assert_eq!(undue(&journal, &granted), beyond);
    let nobody = journal.into_iter().map(|entry| Entry { actor: Actor::Nobody, ..entry });
    assert_eq!(undue(&nobody.collect::<Vec<_>>(), &[]), BTreeSet::new());
}
