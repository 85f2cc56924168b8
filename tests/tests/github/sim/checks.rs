//! Check runs and statuses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::auth::Actor;
use super::body;
use super::bug::Bug;
use super::call::{Call, Said};
use super::events;
use super::state::{CheckRun, State, Status};

/// How many annotations GitHub takes in one request.
const ANNOTATIONS: usize = 50;

/// How many check runs of one name GitHub keeps in a suite, and how many statuses of one context on
/// a commit: older runs go, while a count may still have them, and a further status is refused.
const SAME: usize = 1_000;

pub(super) fn create(state: &mut State, call: &Call) -> Said {
    let Actor::Installation { app, .. } = call.actor else { return Err(answer::APPS_ONLY.into()) };
    call.text("name")?;
    let sha = call.text("head_sha")?;
    commit(state, call, sha)?;
    let id = set_check(state, call.repository_id(), app, None, &call.body)?;
    let made = Answer::created(shown(state, call, id));
    if state.has(Bug::LostChecks) {
        state.repository_mut(call.repository_id()).runs.retain(|run| run.id != id);
    }
    Ok(made)
}

pub(super) fn update(state: &mut State, call: &Call) -> Said {
    let Actor::Installation { app, .. } = call.actor else { return Err(answer::APPS_ONLY.into()) };
    let id = call.number("check_run_id")?;
    let run = call.repository(state).runs.iter().find(|run| run.id == id);
    if run.ok_or_else(|| Answer::from(answer::NOT_FOUND))?.app != app {
        return Err(answer::FOREIGN_CHECK.into());
    }
    set_check(state, call.repository_id(), app, Some(id), &call.body)?;
    Ok(Answer::ok(shown(state, call, id)))
}

/// Makes a check run or writes fields over those of one, and says its id.
pub(super) fn set_check(
    state: &mut State,
    repository: u64,
    app: u64,
    run: Option<u64>,
    fields: &Value,
) -> Result<u64, Answer> {
    let annotations = fields["output"]["annotations"].as_array().cloned().unwrap_or_default();
    if annotations.len() > ANNOTATIONS {
        return Err(answer::TOO_MANY_ANNOTATIONS.into());
    }
    if fields["status"] == "completed" && fields["conclusion"].is_null() {
        return Err(answer::missing("conclusion"));
    }
    let (id, now, born) = (run.unwrap_or_else(|| state.id()), state.now(), state.requests);
    let by = app_login(state, app);
    let runs = &mut state.repository_mut(repository).runs;
    let known = runs.iter().any(|run| run.id == id);
    let was_completed = runs.iter().any(|run| run.id == id && run.completed.is_some());
    if !known {
        let (fields, annotations) = (BTreeMap::new(), Vec::new());
        runs.push(CheckRun { id, app, fields, annotations, started: now, completed: None, born });
    }
    let run = runs.iter_mut().find(|run| run.id == id).expect("it was just made");
    for (name, value) in fields.as_object().into_iter().flatten() {
        run.fields.insert(name.clone(), value.clone());
    }
    if fields["status"].is_string() && fields["status"] != "completed" {
        run.fields.remove("conclusion");
    } else if fields["conclusion"].is_string() {
        run.fields.insert("status".to_owned(), json!("completed"));
    }
    let completed = run.fields.get("status").is_some_and(|status| status == "completed");
    run.completed = completed.then(|| run.completed.unwrap_or(now));
    run.annotations.extend(annotations);
    if !known {
        events::check_run(state, repository, id, "created", &by);
    }
    if completed && !was_completed {
        events::check_run(state, repository, id, "completed", &by);
        tell_of_suite(state, repository, id, &by);
    }
    Ok(id)
}

/// Whom the check runs of an App are of.
fn app_login(state: &State, app: u64) -> String {
    if app == state.app.id { state.bot() } else { format!("app-{app}[bot]") }
}

/// The suite of a check run is over with the last run of its App on the commit.
fn tell_of_suite(state: &mut State, repository: u64, id: u64, by: &str) {
    let runs = &state.repository(repository).runs;
    let of = |run: &CheckRun| (run.app, run.fields.get("head_sha").cloned());
    let this = runs.iter().find(|run| run.id == id).map(of);
    let open = |run: &CheckRun| Some(of(run)) == this && run.completed.is_none();
    if !runs.iter().any(open) {
        events::check_suite(state, repository, id, by);
    }
}

fn shown(state: &State, call: &Call, id: u64) -> Value {
    let repository = call.repository(state);
    let run = repository.runs.iter().find(|run| run.id == id);
    body::check_run(state, repository, run.expect("it was just written"))
}

pub(super) fn get(state: &mut State, call: &Call) -> Said {
    let id = call.number("check_run_id")?;
    let known = call.repository(state).runs.iter().any(|run| run.id == id);
    if known { Ok(Answer::ok(shown(state, call, id))) } else { Err(answer::NOT_FOUND.into()) }
}

pub(super) fn annotations(state: &mut State, call: &Call) -> Said {
    let id = call.number("check_run_id")?;
    let repository = call.repository(state);
    let run = repository.runs.iter().find(|run| run.id == id);
    let run = run.ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    let blob = format!("{}/{}/blob", state.base, repository.full_name());
    let whole = |annotation: &Value| {
        let mut whole = json!({
            "start_column": null, "end_column": null, "title": null, "raw_details": null,
            "blob_href": format!("{blob}/{}", annotation["path"].as_str().unwrap_or_default()),
        });
        for (name, value) in annotation.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        whole
    };
    Ok(Answer::list(run.annotations.iter().map(whole).collect()))
}

pub(super) fn list(state: &mut State, call: &Call) -> Said {
    let sha = commit(state, call, call.parameter("ref"))?;
    let repository = call.repository(state);
    let is = |run: &CheckRun, field: &str, value: &str| {
        run.fields.get(field).is_some_and(|it| it == value)
    };
    let (mut latest, mut kept) = (BTreeSet::new(), BTreeMap::new());
    let counted: Vec<&CheckRun> = repository
        .runs
        .iter()
        .rev()
        .filter(|run| is(run, "head_sha", &sha) && state.is_listed(run.born))
        .filter(|run| {
            let name = run.fields["name"].to_string();
            latest.insert((run.app, name)) || call.asked("filter") == Some("all")
        })
        .filter(|run| call.asked("check_name").is_none_or(|name| is(run, "name", name)))
        .filter(|run| call.asked("status").is_none_or(|status| is(run, "status", status)))
        .filter(|run| call.asked("app_id").is_none_or(|app| app == run.app.to_string()))
        .collect();
    let is_kept = |run: &&&CheckRun| {
        let same: &mut usize = kept.entry((run.app, run.fields["name"].to_string())).or_default();
        *same += 1;
        *same <= SAME
    };
    let shown = counted.iter().filter(is_kept);
    let mut found: Vec<_> = shown.map(|run| body::check_run(state, repository, run)).collect();
    found.reverse();
    Ok(Answer::list_in("check_runs", json!({ "total_count": counted.len(), "check_runs": found })))
}

pub(super) fn set_status(state: &mut State, call: &Call) -> Said {
    let sha = commit(state, call, call.parameter("sha"))?;
    let given = Given {
        context: call.body["context"].as_str().unwrap_or("default"),
        state: call.text("state")?,
        description: call.body["description"].as_str(),
        target: call.body["target_url"].as_str(),
    };
    let same = |it: &&Status| it.sha == sha && it.context == given.context;
    if call.repository(state).statuses.iter().filter(same).count() >= SAME {
        return Err(answer::TOO_MANY_STATUSES.into());
    }
    let creator = call.login(state);
    let status = give_status(state, call.repository_id(), &sha, &creator, &given);
    Ok(Answer::created(body::status(state, call.repository(state), &status, true)))
}

/// What somebody says of a commit.
pub(super) struct Given<'a> {
    pub(super) context: &'a str,
    pub(super) state: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) target: Option<&'a str>,
}

pub(super) fn give_status(
    state: &mut State,
    repository: u64,
    sha: &str,
    creator: &str,
    given: &Given<'_>,
) -> Status {
    state.user(creator);
    let status = Status {
        id: state.id(),
        sha: sha.to_owned(),
        context: given.context.to_owned(),
        state: given.state.to_owned(),
        description: given.description.map(str::to_owned),
        target: given.target.map(str::to_owned),
        creator: creator.to_owned(),
        created: state.now(),
    };
    state.repository_mut(repository).statuses.push(status.clone());
    events::status(state, repository, &status);
    status
}

pub(super) fn combined_status(state: &mut State, call: &Call) -> Said {
    let sha = commit(state, call, call.parameter("ref"))?;
    let repository = call.repository(state);
    let mut latest: BTreeMap<&str, &Status> = BTreeMap::new();
    for status in repository.statuses.iter().filter(|status| status.sha == sha) {
        if state.has(Bug::FirstStatusCounts) {
            latest.entry(&status.context).or_insert(status);
        } else {
            latest.insert(&status.context, status);
        }
    }
    let any =
        |states: &[&str]| latest.values().any(|status| states.contains(&status.state.as_str()));
    let of_all = if any(&["failure", "error"]) {
        "failure"
    } else if latest.is_empty() || any(&["pending"]) {
        // A commit that nobody said anything about is pending.
        "pending"
    } else {
        "success"
    };
    let statuses: Vec<_> =
        latest.values().map(|status| body::status(state, repository, status, false)).collect();
    let at = format!("{}/repos/{}/commits/{sha}", state.base, repository.full_name());
    Ok(Answer::list_in(
        "statuses",
        json!({
            "state": of_all, "sha": sha, "total_count": statuses.len(), "statuses": statuses,
            "repository": body::repository(state, repository),
            "commit_url": at, "url": format!("{at}/status"),
        }),
    ))
}

/// The commit that a name means; GitHub can't process what means none.
fn commit(state: &State, call: &Call, name: &str) -> Result<String, Answer> {
    let found = call.repository(state).git.commit(name);
    found.ok_or_else(|| answer::no_commit(name))
}
