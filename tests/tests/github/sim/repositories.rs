//! Apps and their tokens, repositories, branches, rights and refs.

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::auth::{Actor, Permissions};
use super::body;
use super::call::{Call, Said};
use super::git::ZERO;
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
            let words = "The permissions requested are not granted to this installation.";
            return Err(answer::unprocessable(words));
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
    let right = repository.right(login);
    let (role, permission) = right.names();
    let mut user = body::user(state, login);
    user["role_name"] = json!(role);
    user["permissions"] = json!({
        "pull": right >= Right::Read, "triage": right >= Right::Triage, "push": right >= Right::Write,
        "maintain": right >= Right::Maintain, "admin": right >= Right::Admin,
    });
    Ok(Answer::ok(json!({ "permission": permission, "role_name": role, "user": user })))
}

pub(super) fn reference(state: &mut State, call: &Call) -> Said {
    let repository = call.repository(state);
    let name = format!("refs/{}", call.parameter("ref"));
    let tip = repository.git.tip(&name).ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    Ok(Answer::ok(body::reference(state, repository, &name, &tip)))
}

pub(super) fn create_reference(state: &mut State, call: &Call) -> Said {
    let (name, sha) = (call.text("ref")?.to_owned(), call.text("sha")?.to_owned());
    if !name.starts_with("refs/") || name.split('/').count() < 3 {
        return Err(answer::unprocessable("Reference name must start with 'refs/'"));
    }
    let repository = call.repository(state);
    if repository.git.tip(&name).is_some() {
        return Err(answer::unprocessable("Reference already exists"));
    }
    moved(
        state,
        call.repository_id(),
        &[Move { name: name.clone(), before: Some(ZERO.into()), after: sha.clone(), force: false }],
    )
    .map_err(|words| answer::unprocessable(&words))?;
    Ok(Answer::created(body::reference(state, call.repository(state), &name, &sha)))
}

pub(super) fn update_reference(state: &mut State, call: &Call) -> Said {
    let (name, sha) = (format!("refs/{}", call.parameter("ref")), call.text("sha")?.to_owned());
    let force = call.body["force"] == true;
    let before = call.repository(state).git.tip(&name);
    let before = before.ok_or_else(|| answer::unprocessable("Reference does not exist"))?;
    moved(
        state,
        call.repository_id(),
        &[Move { name: name.clone(), before: Some(before), after: sha.clone(), force }],
    )
    .map_err(|words| answer::unprocessable(&words))?;
    Ok(Answer::ok(body::reference(state, call.repository(state), &name, &sha)))
}

pub(super) fn delete_reference(state: &mut State, call: &Call) -> Said {
    let name = format!("refs/{}", call.parameter("ref"));
    let before = call.repository(state).git.tip(&name);
    let before = before.ok_or_else(|| answer::unprocessable("Reference does not exist"))?;
    moved(
        state,
        call.repository_id(),
        &[Move { name, before: Some(before), after: ZERO.into(), force: true }],
    )
    .map_err(|words| answer::unprocessable(&words))?;
    Ok(Answer::nothing())
}

/// How one ref is to move.
pub(super) struct Move {
    pub(super) name: String,
    /// Where it must stand; [`ZERO`] if it must not be there, none if that doesn't matter.
    pub(super) before: Option<String>,
    /// Where it goes; [`ZERO`] to delete it.
    pub(super) after: String,
    pub(super) force: bool,
}

/// Moves refs, all or none of them; the words of GitHub when it won't.
pub(super) fn moved(state: &mut State, repository: u64, moves: &[Move]) -> Result<(), String> {
    let repository = state.repository(repository);
    let git = &repository.git;
    let mut updates = Vec::new();
    for Move { name, before, after, force } in moves {
        let stands = git.tip(name).unwrap_or_else(|| ZERO.to_owned());
        if before.as_ref().is_some_and(|before| *before != stands) {
            return Err(format!(
                "Expected {name} to point at {}, but it is at {stands}",
                before.as_deref().unwrap_or_default()
            ));
        }
        if name.starts_with("refs/pull/") {
            return Err("Reference cannot be updated".to_owned());
        }
        if repository.is_guarded(name) {
            return Err(format!("Repository rule violations found\n\nCannot update {name}"));
        }
        if after != ZERO && git.tip(&format!("{after}^{{commit}}")).is_none() {
            return Err("Object does not exist".to_owned());
        }
        if after != ZERO && stands != ZERO && !force && !git.is_ancestor(&stands, after) {
            return Err("Update is not a fast forward".to_owned());
        }
        updates.push((name.clone(), after.clone(), Some(stands)));
    }
    git.update(&updates)?;
    state.follow_git();
    Ok(())
}

/// The pull requests that a commit is of.
pub(super) fn pulls_of_commit(state: &mut State, call: &Call) -> Said {
    let repository = call.repository(state);
    let Some(sha) = repository.git.commit(call.parameter("commit_sha")) else {
        let words = format!("No commit found for SHA: {}", call.parameter("commit_sha"));
        return Err(answer::unprocessable(&words));
    };
    let git = &repository.git;
    let found: Vec<Value> = repository
        .pulls
        .values()
        .filter(|pull| {
            let head = &pull.heads.last().expect("it has one").1;
            let base = format!("refs/heads/{}", pull.base);
            *head == sha || (git.is_ancestor(&sha, head) && !git.is_ancestor(&sha, &base))
        })
        .map(|pull| body::pull(state, repository, pull, false))
        .collect();
    Ok(Answer::list(found))
}
