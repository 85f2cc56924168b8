//! Answers made of GitHub's own examples, with the simulator's facts written over theirs.
//!
//! So they are complete: what the simulator doesn't know is as GitHub shows it.

use serde_json::{Value, json};

use super::bug::Bug;
use super::state::{CheckRun, Comment, Pull, Repository, Review, State, Status, written};
use crate::contract::Contract;

/// An example in which every text was replaced.
fn example(name: &str, replaced: &[(&str, &str)]) -> Value {
    let mut value = Contract::get().example(name).clone();
    replace(&mut value, replaced);
    value
}

fn replace(value: &mut Value, replaced: &[(&str, &str)]) {
    match value {
        Value::String(text) => {
            for (old, new) in replaced {
                if text.contains(old) {
                    *text = text.replace(old, new);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, replaced)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, replaced)),
        _ => {}
    }
}

/// Writes fields over an object's.
pub(super) fn with(mut value: Value, fields: Value) -> Value {
    let (Value::Object(object), Value::Object(fields)) = (&mut value, fields) else {
        panic!("both are objects");
    };
    object.extend(fields);
    value
}

/// Where the documentation's hosts are here.
fn hosts(state: &State) -> [(&'static str, &str); 2] {
    let base = state.base.as_str();
    [("https://api.github.com", base), ("https://github.com", base)]
}

pub(super) fn user(state: &State, login: &str) -> Value {
    let mut value = Contract::get().example("issue-comment")["user"].clone();
    // An address may not hold brackets.
    let path = login.replace('[', "%5B").replace(']', "%5D");
    replace(&mut value, &[("octocat", &path)]);
    replace(&mut value, &hosts(state));
    let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
    let id = state.users.get(login).copied().unwrap_or_default();
    with(value, json!({ "login": login, "id": id, "node_id": node("U", id), "type": kind }))
}

/// The id of a node in GraphQL.
pub(super) fn node(kind: &str, id: u64) -> String {
    format!("{kind}_{id}")
}

/// A repository as it is within other answers, and whole.
pub(super) fn repository(state: &State, repository: &Repository) -> Value {
    let mut value = Contract::get().example("pull-request")["base"]["repo"].clone();
    replace(&mut value, &[("octocat/Hello-World", &repository.full_name())]);
    own(state, repository, value)
}

pub(super) fn full_repository(state: &State, repository: &Repository) -> Value {
    let value = example(
        "full-repository-default-response",
        &[("octocat/Hello-World", &repository.full_name())],
    );
    let mut value = own(state, repository, value);
    for field in ["parent", "source", "template_repository", "organization"] {
        value.as_object_mut().expect("it is an object").remove(field);
    }
    // The example lacks what its own schema asks for.
    with(value, json!({ "language": null }))
}

fn own(state: &State, repository: &Repository, mut value: Value) -> Value {
    replace(&mut value, &hosts(state));
    let visibility = if repository.private { "private" } else { "public" };
    with(
        value,
        json!({
            "id": repository.id,
            "node_id": node("R", repository.id),
            "name": repository.name,
            "full_name": repository.full_name(),
            "owner": user(state, &repository.owner),
            "private": repository.private,
            "visibility": visibility,
            "default_branch": "main",
            "clone_url": format!("{}/{}.git", state.base, repository.full_name()),
        }),
    )
}

/// How much of a pull request is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// What a list has of it.
    Listed,
    /// All that is known.
    Whole,
    /// What an event has of it: all, and nothing lags behind.
    Told,
}

/// A pull request.
pub(super) fn pull(state: &State, repository_of: &Repository, pull: &Pull, shown: Shown) -> Value {
    let name = repository_of.full_name();
    let number = pull.number.to_string();
    let head = if shown == Shown::Told { pull.head_now() } else { state.shown_head(pull) };
    let known = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
    let replaced =
        [("octocat/Hello-World", name.as_str()), ("1347", number.as_str()), (known, head)];
    let mut value = example("pull-request", &replaced);
    replace(&mut value, &hosts(state));
    let side = |name: &str, sha: &str, id: Option<u64>| {
        let of = id.and_then(|id| state.repositories.get(&id));
        let label = of.map(|of| format!("{}:{name}", of.owner));
        json!({
            "label": label, "ref": name, "sha": sha,
            "user": of.map(|of| user(state, &of.owner)),
            "repo": of.map(|of| repository(state, of)),
        })
    };
    let base = repository_of.git.tip(&format!("refs/heads/{}", pull.base)).unwrap_or_default();
    let mut fields = json!({
        "id": pull.id, "node_id": node("PR", pull.id), "number": pull.number,
        "state": if pull.open { "open" } else { "closed" },
        "locked": false, "active_lock_reason": null, "title": pull.title, "body": pull.body,
        "user": user(state, &pull.author), "draft": pull.draft,
        "labels": pull.labels.iter().map(|name| label(state, repository_of, name)).collect::<Vec<_>>(),
        "milestone": null, "assignee": null, "assignees": [],
        "requested_reviewers": [], "requested_teams": [], "auto_merge": auto_merge(state, pull),
        "created_at": written(pull.created), "updated_at": written(pull.updated),
        "closed_at": pull.closed.map(written),
        "merged_at": pull.merged.as_ref().and(pull.closed).map(written),
        "merge_commit_sha": pull.merged,
        "author_association": association(repository_of, &pull.author),
        "head": side(&pull.head, head, pull.head_repository),
        "base": side(&pull.base, &base, Some(repository_of.id)),
    });
    if let Some((of, position)) = pull.stack {
        let is_of = |other: &&Pull| other.stack.is_some_and(|(number, _)| number == of);
        fields["stack"] = json!({
            "id": of, "number": of, "position": position,
            "size": repository_of.pulls.values().filter(is_of).count(),
            "base": {"ref": "main", "sha": repository_of.git.tip("refs/heads/main")},
        });
    }
    let only_whole = [
        "merged",
        "mergeable",
        "rebaseable",
        "mergeable_state",
        "merged_by",
        "comments",
        "review_comments",
        "maintainer_can_modify",
        "commits",
        "additions",
        "deletions",
        "changed_files",
    ];
    if shown == Shown::Listed {
        let object = value.as_object_mut().expect("it is an object");
        object.retain(|field, _| !only_whole.contains(&field.as_str()));
        return with(value, fields);
    }
    let known = shown == Shown::Whole && pull.open && pull.unknown == 0;
    let merges = || state.has(Bug::AlwaysMergeable) || repository_of.git.merges(&base, head);
    let mergeable = known.then(merges);
    let state_of = match mergeable {
        None => "unknown",
        Some(true) if pull.draft => "draft",
        Some(true) => "clean",
        Some(false) => "dirty",
    };
    // Until it is merged for real, that is the merge that GitHub tried (B11).
    let tried = || {
        let tree = format!("{head}^{{tree}}");
        repository_of.git.run(&["commit-tree", &tree, "-p", &base, "-p", head, "-m", "Try"])
    };
    if mergeable == Some(true) {
        fields["merge_commit_sha"] = tried().into();
    }
    let merged_by = pull.merged_by.as_ref().map(|login| user(state, login));
    let said = repository_of.comments.iter().filter(|said| said.number == pull.number).count();
    fields = with(
        fields,
        json!({
            "merged": pull.merged.is_some(), "mergeable": mergeable, "rebaseable": mergeable,
            "mergeable_state": state_of, "merged_by": merged_by, "comments": said,
        }),
    );
    with(value, fields)
}

fn auto_merge(state: &State, pull: &Pull) -> Option<Value> {
    let (login, method) = pull.auto_merge.as_ref()?;
    Some(json!({
        "enabled_by": user(state, login), "merge_method": method,
        "commit_title": pull.title, "commit_message": "",
    }))
}

fn association(repository: &Repository, login: &str) -> &'static str {
    match repository.rights.get(login) {
        _ if repository.owner == login => "OWNER",
        Some(_) => "COLLABORATOR",
        None => "NONE",
    }
}

pub(super) fn label(state: &State, repository: &Repository, name: &str) -> Value {
    let id = repository.labels.get(name).copied().unwrap_or_default();
    let url = format!("{}/repos/{}/labels/{name}", state.base, repository.full_name());
    json!({
        "id": id, "node_id": node("LA", id), "url": url, "name": name,
        "description": "", "color": "ededed", "default": false,
    })
}

pub(super) fn comment(state: &State, repository: &Repository, comment: &Comment) -> Value {
    let name = repository.full_name();
    let place = format!("issues/comments/{}", comment.id);
    let issue = format!("{}/repos/{name}/issues/{}", state.base, comment.number);
    let value = example("issue-comment", &[("octocat/Hello-World", &name)]);
    with(
        value,
        json!({
            "id": comment.id, "node_id": node("IC", comment.id), "body": comment.body,
            "url": format!("{}/repos/{name}/{place}", state.base), "issue_url": issue,
            "html_url": format!("{}/{name}/pull/{}#issuecomment-{}", state.base, comment.number, comment.id),
            "user": user(state, &comment.user),
            "created_at": written(comment.created), "updated_at": written(comment.updated),
            "author_association": association(repository, &comment.user),
            "reactions": reactions(&state.base), "performed_via_github_app": null,
        }),
    )
}

/// That nobody has reacted.
pub(super) fn reactions(base: &str) -> Value {
    json!({
        "url": format!("{base}/reactions"), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0,
        "hooray": 0, "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
    })
}

pub(super) fn review(
    state: &State,
    repository: &Repository,
    number: u64,
    review: &Review,
) -> Value {
    let name = repository.full_name();
    let (html, api) = (format!("pull/{number}"), format!("pulls/{number}"));
    let replaced = [
        ("octocat/Hello-World", name.as_str()),
        ("pull/12", html.as_str()),
        ("pulls/12", api.as_str()),
    ];
    let mut value = example("pull-request-review", &replaced);
    replace(&mut value, &hosts(state));
    with(
        value,
        json!({
            "id": review.id, "node_id": node("PRR", review.id), "user": user(state, &review.user),
            "body": review.body, "state": review.state, "commit_id": review.commit,
            "submitted_at": written(review.submitted),
            "author_association": association(repository, &review.user),
        }),
    )
}

pub(super) fn check_run(state: &State, repository: &Repository, run: &CheckRun) -> Value {
    let name = repository.full_name();
    let mut value = example("check-run", &[("github/hello-world", &name)]);
    replace(&mut value, &hosts(state));
    let field = |name: &str| run.fields.get(name).cloned().unwrap_or_default();
    let url = format!("{}/repos/{name}/check-runs/{}", state.base, run.id);
    let output = json!({
        "title": field("output")["title"], "summary": field("output")["summary"],
        "text": field("output")["text"], "annotations_count": run.annotations.len(),
        "annotations_url": format!("{url}/annotations"),
    });
    let site = format!("{}/apps/{}", state.base, run.app);
    let details = field("details_url").as_str().map_or(site, str::to_owned);
    let status = if field("status").is_null() { json!("queued") } else { field("status") };
    let mut fields = json!({
        "id": run.id, "node_id": node("CR", run.id), "name": field("name"), "head_sha": field("head_sha"),
        "external_id": field("external_id").as_str().unwrap_or_default(), "url": url,
        "details_url": details, "status": status, "conclusion": field("conclusion"),
        "html_url": format!("{}/{name}/runs/{}", state.base, run.id),
        "started_at": written(run.started), "completed_at": run.completed.map(written),
        "output": output, "pull_requests": [],
    });
    let mut app = value["app"].clone();
    if run.app == state.app.id {
        let name = state.app.slug.as_str();
        app =
            with(app, json!({ "slug": name, "name": name, "permissions": state.app.permissions }));
    }
    fields["app"] = with(app, json!({ "id": run.app }));
    with(value, fields)
}

/// The suite that a check run is in: all runs of its App on the commit.
pub(super) fn check_suite(state: &State, repository: &Repository, run: &CheckRun) -> Value {
    let own = check_run(state, repository, run);
    let of = |other: &&CheckRun| {
        other.app == run.app && other.fields.get("head_sha") == run.fields.get("head_sha")
    };
    let runs: Vec<&CheckRun> = repository.runs.iter().filter(of).collect();
    let passed = |run: &&CheckRun| {
        let conclusion = run.fields.get("conclusion").and_then(Value::as_str);
        matches!(conclusion, Some("success" | "neutral" | "skipped"))
    };
    let conclusion = if runs.iter().all(passed) { "success" } else { "failure" };
    let mut value = example("check-suite", &[("github/hello-world", &repository.full_name())]);
    replace(&mut value, &hosts(state));
    with(
        value,
        json!({
            "id": own["check_suite"]["id"], "head_sha": own["head_sha"], "after": own["head_sha"],
            "head_branch": null, "status": "completed", "conclusion": conclusion,
            "app": own["app"], "latest_check_runs_count": runs.len(),
            "created_at": written(run.started), "updated_at": run.completed.map(written),
        }),
    )
}

pub(super) fn commit(state: &State, repository: &Repository, sha: &str) -> Value {
    let known = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
    let name = repository.full_name();
    let mut value = example("commit", &[("octocat/Hello-World", &name), (known, sha)]);
    replace(&mut value, &hosts(state));
    value["commit"]["message"] = json!(repository.git.run(&["log", "-1", "--format=%B", sha]));
    let parents = repository.git.run(&["log", "-1", "--format=%P", sha]);
    let parent = |sha: &str| {
        json!({
            "sha": sha, "url": format!("{}/repos/{name}/commits/{sha}", state.base),
            "html_url": format!("{}/{name}/commit/{sha}", state.base),
        })
    };
    with(value, json!({ "parents": parents.split_whitespace().map(parent).collect::<Vec<_>>() }))
}

pub(super) fn status(state: &State, repository: &Repository, status: &Status, own: bool) -> Value {
    let mut value = json!({
        "url": format!("{}/repos/{}/statuses/{}", state.base, repository.full_name(), status.sha),
        "avatar_url": user(state, &status.creator)["avatar_url"],
        "id": status.id, "node_id": node("SC", status.id), "state": status.state,
        "description": status.description, "target_url": status.target, "context": status.context,
        "created_at": written(status.created), "updated_at": written(status.created),
    });
    if own {
        value["creator"] = user(state, &status.creator);
    }
    value
}

pub(super) fn reference(state: &State, repository: &Repository, name: &str, sha: &str) -> Value {
    let at = format!("{}/repos/{}/git", state.base, repository.full_name());
    json!({
        "ref": name, "node_id": node("REF", repository.id), "url": format!("{at}/{name}"),
        "object": { "type": "commit", "sha": sha, "url": format!("{at}/commits/{sha}") },
    })
}

pub(super) fn branch(state: &State, repository: &Repository, name: &str, sha: &str) -> Value {
    let known = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";
    let full_name = repository.full_name();
    let mut value = example("branch-get", &[("octocat/Hello-World", &full_name), (known, sha)]);
    replace(&mut value, &hosts(state));
    let message = repository.git.run(&["log", "-1", "--format=%B", sha]);
    value["commit"]["commit"]["message"] = json!(message);
    let required = repository.protected.get(name);
    let checks = required.into_iter().flatten();
    let checks: Vec<_> =
        checks.map(|(name, app)| json!({ "context": name, "app_id": app })).collect();
    let contexts: Vec<_> = checks.iter().map(|check| check["context"].clone()).collect();
    let level = if required.is_some() { "everyone" } else { "off" };
    let protection = json!({
        "enabled": required.is_some(),
        "required_status_checks":
            { "enforcement_level": level, "contexts": contexts, "checks": checks },
    });
    let ruled = repository.rules.get(name).is_some_and(|rules| !rules.is_empty());
    let protected = ruled || required.is_some();
    with(value, json!({ "name": name, "protected": protected, "protection": protection }))
}

pub(super) fn installation(state: &State) -> Value {
    let account = state.repositories.values().next().map(|it| user(state, &it.owner));
    let app = &state.app;
    let mut value = example("installation", &[]);
    replace(&mut value, &hosts(state));
    with(
        value,
        json!({
            "id": app.installation, "account": account, "app_id": app.id, "app_slug": app.slug,
            "permissions": app.permissions,
            "suspended_at": state.suspended.then(|| written(state.now())),
        }),
    )
}

pub(super) fn app(state: &State) -> Value {
    let app = &state.app;
    let mut value = example("integration", &[]);
    replace(&mut value, &hosts(state));
    let facts =
        json!({ "id": app.id, "slug": app.slug, "name": app.slug, "permissions": app.permissions });
    with(value, facts)
}
