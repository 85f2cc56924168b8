//! Apps and their tokens, repositories, branches and rights.

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::auth::{Actor, Permissions};
use super::body::{self, Shown};
use super::bug::Bug;
use super::call::{Call, Said};
use super::state::{Granted, Right, State, written};

/// How long an installation's token holds.
const HOUR: u64 = 3600;

pub(super) fn app(state: &mut State, _: &Call) -> Said {
    Ok(Answer::ok(body::app(state)))
}

pub(super) fn installation(state: &mut State, _: &Call) -> Said {
    Ok(Answer::ok(body::installation(state)))
}

pub(super) fn access_token(state: &mut State, call: &Call) -> Said {
    if call.number("installation_id")? != state.app.installation {
        return Err(answer::NOT_FOUND.into());
    }
    if state.suspended {
        return Err(answer::SUSPENDED.into());
    }
    let mut permissions = state.app.permissions.clone();
    if let Some(asked) = call.body["permissions"].as_object() {
        let asked: Permissions = asked
            .iter()
            .map(|(name, level)| (name.clone(), level.as_str().unwrap_or_default().to_owned()))
            .collect();
        let within = |(name, level): (&String, &String)| {
            permissions
                .get(name)
                .is_some_and(|has| has == level || (has == "write" && level == "read"))
        };
        if !asked.iter().all(within) {
            return Err(answer::NOT_GRANTED.into());
        }
        permissions = asked;
    }
    let expires = state.now() + HOUR;
    let token = format!("ghs_simulated{:020}", state.id());
    let answered = json!({
        "token": token, "expires_at": written(expires), "permissions": permissions,
        "repository_selection": "all",
    });
    state.tokens.insert(token, Granted { permissions, expires });
    Ok(Answer::created(answered))
}

pub(super) fn user(state: &mut State, call: &Call) -> Said {
    let login = call.login(state);
    let mut value = crate::contract::Contract::get()
        .example("private-user-response-with-public-profile-information")
        .clone();
    for (name, field) in body::user(state, &login).as_object().into_iter().flatten() {
        value[name] = field.clone();
    }
    Ok(Answer::ok(value))
}

pub(super) fn repository(state: &mut State, call: &Call) -> Said {
    Ok(Answer::ok(body::full_repository(state, call.repository(state))))
}

pub(super) fn branch(state: &mut State, call: &Call) -> Said {
    let repository = call.repository(state);
    let name = call.parameter("branch");
    let tip = repository.git.tip(&format!("refs/heads/{name}"));
    let tip = tip.ok_or_else(|| Answer::from(answer::NO_BRANCH))?;
    Ok(Answer::ok(body::branch(state, repository, name, &tip)))
}

pub(super) fn rules(state: &mut State, call: &Call) -> Said {
    let rules = call.repository(state).rules.get(call.parameter("branch"));
    Ok(Answer::list(rules.cloned().unwrap_or_default()))
}

/// A ruleset, which says whether the asker may pass it by.
pub(super) fn ruleset(state: &mut State, call: &Call) -> Said {
    let (id, repository) = (call.number("ruleset_id")?, call.repository(state));
    let of = |rule: &&Value| rule["ruleset_id"] == id;
    if !repository.rules.values().flatten().any(|rule| of(&rule)) {
        return Err(answer::NOT_FOUND.into());
    }
    Ok(Answer::ok(json!({
        "id": id, "name": "guard", "target": "branch", "source_type": "Repository",
        "source": repository.full_name(), "enforcement": "active",
        "current_user_can_bypass": repository.bypass,
    })))
}

pub(super) fn permission(state: &mut State, call: &Call) -> Said {
    let repository = call.repository(state);
    let login = call.parameter("username");
    if let Actor::Person(own) = &call.actor
        && repository.right(own) < Right::Write
    {
        return Err(answer::MUST_PUSH.into());
    }
    if !state.users.contains_key(login) {
        return Err(answer::NOT_FOUND.into());
    }
    let everybody = state.has(Bug::EverybodyAdmin);
    let right = if everybody { Right::Admin } else { repository.right(login) };
    let (role, permission) = right.names();
    let mut user = body::user(state, login);
    user["role_name"] = json!(role);
    user["permissions"] = json!({
        "pull": right >= Right::Read, "triage": right >= Right::Triage, "push": right >= Right::Write,
        "maintain": right >= Right::Maintain, "admin": right >= Right::Admin,
    });
    Ok(Answer::ok(json!({ "permission": permission, "role_name": role, "user": user })))
}

/// The pull requests that a commit is of.
pub(super) fn pulls_of_commit(state: &mut State, call: &Call) -> Said {
    let repository = call.repository(state);
    let Some(sha) = repository.git.commit(call.parameter("commit_sha")) else {
        return Err(answer::no_commit(call.parameter("commit_sha")));
    };
    let git = &repository.git;
    let found: Vec<Value> = repository
        .pulls
        .values()
        .filter(|pull| {
            let head = pull.head_now();
            let base = git.tip(&format!("refs/heads/{}", pull.base));
            let is_in_base = || base.is_some_and(|base| git.is_ancestor(&sha, &base));
            head == sha || (git.is_ancestor(&sha, head) && !is_in_base())
        })
        .map(|pull| body::pull(state, repository, pull, Shown::Listed))
        .collect();
    Ok(Answer::list(found))
}
