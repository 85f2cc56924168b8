//! What GitHub tells of a change of its state: the bodies of webhooks, as its schemas have them.
//!
//! Nothing is made while nobody listens. Not here: how they are sent, which is `hooks`'s.

use serde_json::{Value, json};

use super::body::{self, Shown, with};
use super::git::ZERO;
use super::state::{CheckRun, Comment, Repository, State, Status, written};

/// The most commits that a push tells of.
const COMMITS: &str = "--max-count=20";

/// Something that happened.
pub(super) struct Event {
    /// `pull_request`, `push`.
    pub(super) name: &'static str,
    pub(super) action: Option<String>,
    pub(super) body: Value,
}

/// A pull request by its repository and number.
pub(super) type At = (u64, u64);

/// Says to who listens what happened in a repository, or to the installation.
fn tell(
    state: &mut State,
    of: Option<u64>,
    (name, action): (&'static str, Option<&str>),
    by: &str,
    body: Value,
) {
    state.user(by);
    let app = &state.app;
    let mut whole = json!({
        "sender": body::user(state, by),
        "installation": { "id": app.installation, "node_id": body::node("IN", app.installation) },
    });
    if let Some(id) = of {
        whole["repository"] = body::full_repository(state, state.repository(id));
    }
    if let Some(action) = action {
        whole["action"] = json!(action);
    }
    let event = Event { name, action: action.map(str::to_owned), body: with(whole, body) };
    state.events.push(event);
}

/// Whether anybody is to hear of this: nobody is while the installation is suspended.
fn hears(state: &State) -> bool {
    state.listening && !state.suspended
}

pub(super) fn pull(state: &mut State, at: At, action: &str, by: &str, more: &Value) {
    if !hears(state) {
        return;
    }
    let body = with(json!({ "number": at.1, "pull_request": told(state, at) }), more.clone());
    tell(state, Some(at.0), ("pull_request", Some(action)), by, body);
}

fn told(state: &State, (id, number): At) -> Value {
    let repository = state.repository(id);
    body::pull(state, repository, &repository.pulls[&number], Shown::Told)
}

pub(super) fn label(state: &mut State, at: At, action: &str, by: &str, name: &str) {
    if hears(state) {
        let label = body::label(state, state.repository(at.0), name);
        pull(state, at, action, by, &json!({ "label": label }));
    }
}

pub(super) fn comment(
    state: &mut State,
    repository: u64,
    comment: &Comment,
    action: &str,
    by: &str,
    more: &Value,
) {
    if !hears(state) {
        return;
    }
    let of = state.repository(repository);
    let said = body::comment(state, of, comment);
    let issue = issue(state, of, comment.number);
    let body = with(json!({ "issue": issue, "comment": said }), more.clone());
    tell(state, Some(repository), ("issue_comment", Some(action)), by, body);
}

/// The issue that a pull request is as well.
fn issue(state: &State, repository: &Repository, number: u64) -> Value {
    let pull = body::pull(state, repository, &repository.pulls[&number], Shown::Told);
    let of = format!("{}/repos/{}", state.base, repository.full_name());
    let at = format!("{of}/issues/{number}");
    let html = format!("{}/{}/pull/{number}", state.base, repository.full_name());
    let mut issue = json!({
        "url": at, "repository_url": of, "labels_url": format!("{at}/labels{{/name}}"),
        "comments_url": format!("{at}/comments"), "events_url": format!("{at}/events"),
        "html_url": html, "reactions": body::reactions(&state.base),
        "pull_request": { "url": format!("{of}/pulls/{number}"), "html_url": html,
            "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch") },
    });
    for field in [
        "id",
        "node_id",
        "number",
        "title",
        "user",
        "labels",
        "state",
        "locked",
        "assignee",
        "assignees",
        "milestone",
        "comments",
        "created_at",
        "updated_at",
        "closed_at",
        "author_association",
        "active_lock_reason",
        "body",
        "draft",
    ] {
        issue[field] = pull[field].clone();
    }
    issue
}

pub(super) fn review(state: &mut State, at: At, id: u64, action: &str, by: &str) {
    if !hears(state) {
        return;
    }
    let repository = state.repository(at.0);
    let pull = &repository.pulls[&at.1];
    let given = pull.reviews.iter().find(|review| review.id == id).expect("it was just given");
    let mut review = body::review(state, repository, at.1, given);
    // An event says in lower case what the API says in capitals.
    review["state"] = json!(given.state.to_lowercase());
    // Of a pull request it has less than other events have.
    let pull = body::pull(state, repository, pull, Shown::Listed);
    let pull = with(pull, json!({ "head": told(state, at)["head"] }));
    let body = json!({ "review": review, "pull_request": pull });
    tell(state, Some(at.0), ("pull_request_review", Some(action)), by, body);
}

pub(super) fn push(
    state: &mut State,
    id: u64,
    (name, before, after): (&str, &str, &str),
    by: &str,
) {
    let told = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
    if !hears(state) || !told {
        return;
    }
    let repository = state.repository(id);
    let commits = commits(state, repository, before, after);
    let (created, deleted) = (before == ZERO, after == ZERO);
    let forced = !created && !deleted && !repository.git.is_ancestor(before, after);
    let at = format!("{}/{}/compare", state.base, repository.full_name());
    let full = body::full_repository(state, repository);
    // A push has moments as numbers here.
    let repository = with(full, json!({ "created_at": 1, "pushed_at": state.now() }));
    let body = json!({
        "ref": name, "before": before, "after": after, "created": created, "deleted": deleted,
        "forced": forced, "base_ref": null, "commits": commits, "head_commit": commits.last(),
        "compare": format!("{at}/{before}...{after}"), "repository": repository,
        "pusher": { "name": by, "email": format!("{}@example.invalid", by.replace(['[', ']'], "")) },
    });
    tell(state, Some(id), ("push", None), by, body);
}

/// The commits that a push brought, oldest first.
fn commits(state: &State, repository: &Repository, before: &str, after: &str) -> Vec<Value> {
    if after == ZERO {
        return Vec::new();
    }
    let range = if before == ZERO { after.to_owned() } else { format!("{before}..{after}") };
    let asked = ["log", "--reverse", COMMITS, "--format=%H %T %cI %s", &range];
    let lines = repository.git.ask(&asked).unwrap_or_default();
    let who = json!({ "name": "Mona", "email": "mona@example.invalid" });
    let commit = |line: &str| {
        let parts: Vec<&str> = line.splitn(4, ' ').collect();
        let [id, tree, moment, message] = parts.as_slice() else { panic!("git prints four parts") };
        json!({
            "id": id, "tree_id": tree, "timestamp": moment, "message": message, "distinct": true,
            "url": format!("{}/{}/commit/{id}", state.base, repository.full_name()),
            "author": who, "committer": who, "added": [], "modified": [], "removed": [],
        })
    };
    lines.lines().map(commit).collect()
}

pub(super) fn check_run(state: &mut State, id: u64, run: u64, action: &str, by: &str) {
    if !hears(state) {
        return;
    }
    let repository = state.repository(id);
    let run = run_of(repository, run);
    let body = json!({ "check_run": body::check_run(state, repository, run) });
    tell(state, Some(id), ("check_run", Some(action)), by, body);
}

fn run_of(repository: &Repository, id: u64) -> &CheckRun {
    repository.runs.iter().find(|run| run.id == id).expect("it was just written")
}

/// All check runs of an App on a commit are over.
pub(super) fn check_suite(state: &mut State, id: u64, run: u64, by: &str) {
    if !hears(state) {
        return;
    }
    let repository = state.repository(id);
    let run = run_of(repository, run);
    let body = json!({ "check_suite": body::check_suite(state, repository, run) });
    tell(state, Some(id), ("check_suite", Some("completed")), by, body);
}

pub(super) fn status(state: &mut State, id: u64, status: &Status) {
    if !hears(state) {
        return;
    }
    let repository = state.repository(id);
    let commit = body::commit(state, repository, &status.sha);
    let body = json!({
        "id": status.id, "sha": status.sha, "name": repository.full_name(),
        "target_url": status.target, "context": status.context, "state": status.state,
        "description": status.description, "commit": commit, "branches": [],
        "created_at": written(status.created), "updated_at": written(status.created),
    });
    tell(state, Some(id), ("status", None), &status.creator, body);
}

/// The installation was suspended or is no longer; it hears of that itself.
pub(super) fn installation(state: &mut State, action: &str, by: &str) {
    if state.listening {
        let body = json!({ "installation": body::installation(state) });
        tell(state, None, ("installation", Some(action)), by, body);
    }
}

pub(super) fn ruleset(state: &mut State, id: u64, branch: &str, action: &str, by: &str) {
    if !hears(state) {
        return;
    }
    let source = state.repository(id).full_name();
    let body = json!({ "repository_ruleset": {
        "id": 1, "name": branch, "target": "branch", "source_type": "Repository",
        "source": source, "enforcement": "active",
    } });
    tell(state, Some(id), ("repository_ruleset", Some(action)), by, body);
}

pub(super) fn protection(state: &mut State, id: u64, branch: &str, action: &str, by: &str) {
    if !hears(state) {
        return;
    }
    let required = state.repository(id).protected.get(branch);
    let required: Vec<_> =
        required.into_iter().flatten().map(|(context, _)| context.clone()).collect();
    let moment = written(state.now());
    let mut rule = json!({
        "id": id, "repository_id": id, "name": branch, "created_at": moment, "updated_at": moment,
        "required_approving_review_count": 0, "dismiss_stale_reviews_on_push": false,
        "require_code_owner_review": false, "authorized_dismissal_actors_only": false,
        "ignore_approvals_from_contributors": false, "required_status_checks": required,
        "strict_required_status_checks_policy": false, "admin_enforced": true,
        "authorized_actors_only": false, "authorized_actor_names": [],
    });
    for level in [
        "pull_request_reviews",
        "required_status_checks",
        "signature_requirement",
        "linear_history_requirement",
        "lock_branch",
        "allow_force_pushes",
        "allow_deletions",
        "merge_queue",
        "required_deployments",
    ] {
        rule[format!("{level}_enforcement_level")] = json!("off");
    }
    rule["required_conversation_resolution_level"] = json!("off");
    let body = json!({ "rule": rule });
    tell(state, Some(id), ("branch_protection_rule", Some(action)), by, body);
}

/// Somebody's right in a repository is another.
pub(super) fn member(state: &mut State, id: u64, login: &str, action: &str, by: &str) {
    if hears(state) {
        let body = json!({ "member": body::user(state, login), "changes": {} });
        tell(state, Some(id), ("member", Some(action)), by, body);
    }
}
