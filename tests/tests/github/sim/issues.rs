//! Comments and labels: of issues, as GitHub has it, and every pull request is one.

use serde_json::json;

use super::answer::{self, Answer};
use super::body;
use super::call::{Call, Said};
use super::events::{self, At};
use super::state::{Comment, State};

/// What GitHub takes as one comment, in characters.
const LONGEST: usize = 65_536;

pub(super) fn comments(state: &mut State, call: &Call) -> Said {
    let since = call.since()?;
    let number = match call.parameters.contains_key("issue_number") {
        true => Some(call.number("issue_number")?),
        false => None,
    };
    let repository = call.repository(state);
    let mut found: Vec<&Comment> = repository
        .comments
        .iter()
        .filter(|comment| state.is_listed(comment.born) && comment.updated >= since)
        .filter(|comment| number.is_none_or(|number| number == comment.number))
        .collect();
    match call.asked("sort") {
        Some("updated") => found.sort_by_key(|comment| (comment.updated, comment.id)),
        _ => found.sort_by_key(|comment| comment.id),
    }
    if call.asked("direction") == Some("desc") {
        found.reverse();
    }
    let found = found.into_iter().map(|comment| body::comment(state, repository, comment));
    Ok(Answer::list(found.collect()))
}

pub(super) fn get_comment(state: &mut State, call: &Call) -> Said {
    let id = call.number("comment_id")?;
    let repository = call.repository(state);
    let comment = repository.comments.iter().find(|comment| comment.id == id);
    let comment = comment.ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    Ok(Answer::ok(body::comment(state, repository, comment)))
}

pub(super) fn create_comment(state: &mut State, call: &Call) -> Said {
    let (number, text, login) =
        (call.number("issue_number")?, call.text("body")?, call.login(state));
    checked(text)?;
    let id = comment(state, call.repository_id(), number, &login, text)
        .ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    let repository = call.repository(state);
    let comment = repository.comments.iter().find(|comment| comment.id == id);
    Ok(Answer::created(body::comment(state, repository, comment.expect("it was just made"))))
}

/// Comments in somebody's name; none if there is no such pull request.
pub(super) fn comment(
    state: &mut State,
    id: u64,
    number: u64,
    user: &str,
    text: &str,
) -> Option<u64> {
    if !state.repository(id).pulls.contains_key(&number) {
        return None;
    }
    state.user(user);
    let (comment, now, born) = (state.id(), state.now(), state.requests);
    let made = Comment {
        id: comment,
        number,
        user: user.to_owned(),
        body: text.to_owned(),
        created: now,
        updated: now,
        born,
    };
    state.repository_mut(id).comments.push(made.clone());
    touch(state, (id, number));
    events::comment(state, id, &made, "created", user, &json!({}));
    Some(comment)
}

/// A pull request changed with what is said of it.
fn touch(state: &mut State, at: At) {
    let now = state.now();
    if let Some(pull) = state.pull_mut(at.0, at.1) {
        pull.updated = now;
    }
}

pub(super) fn update_comment(state: &mut State, call: &Call) -> Said {
    let (id, text) = (call.number("comment_id")?, call.text("body")?);
    checked(text)?;
    let by = call.login(state);
    edit(state, call.repository_id(), id, &by, text).ok_or(answer::NOT_FOUND)?;
    get_comment(state, call)
}

/// Writes another text over a comment's; none if it isn't there.
pub(super) fn edit(
    state: &mut State,
    repository: u64,
    id: u64,
    by: &str,
    text: &str,
) -> Option<()> {
    let now = state.now();
    let comments = &mut state.repository_mut(repository).comments;
    let comment = comments.iter_mut().find(|comment| comment.id == id)?;
    let from = std::mem::replace(&mut comment.body, text.to_owned());
    comment.updated = now;
    let edited = comment.clone();
    touch(state, (repository, edited.number));
    let changes = json!({ "changes": { "body": { "from": from } } });
    events::comment(state, repository, &edited, "edited", by, &changes);
    Some(())
}

/// Takes a comment away; none if it isn't there.
pub(super) fn delete(state: &mut State, repository: u64, id: u64, by: &str) -> Option<()> {
    let comments = &mut state.repository_mut(repository).comments;
    let index = comments.iter().position(|comment| comment.id == id)?;
    let gone = comments.remove(index);
    touch(state, (repository, gone.number));
    events::comment(state, repository, &gone, "deleted", by, &json!({}));
    Some(())
}

fn checked(text: &str) -> Result<(), Answer> {
    if text.trim().is_empty() {
        return Err(answer::BLANK.into());
    }
    if text.chars().count() > LONGEST {
        return Err(answer::TOO_LONG.into());
    }
    Ok(())
}

pub(super) fn labels(state: &mut State, call: &Call) -> Said {
    let number = call.number("issue_number")?;
    let repository = call.repository(state);
    let pull = repository.pulls.get(&number).ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    Ok(Answer::list(pull.labels.iter().map(|name| body::label(state, repository, name)).collect()))
}

pub(super) fn add_labels(state: &mut State, call: &Call) -> Said {
    let (at, by) = ((call.repository_id(), call.number("issue_number")?), call.login(state));
    let names = call.body["labels"].as_array().into_iter().flatten();
    for name in names.filter_map(|label| label.as_str().or(label["name"].as_str())) {
        label(state, at, &by, name).ok_or(answer::NOT_FOUND)?;
    }
    all_labels(state, call)
}

/// Puts a label on a pull request, and makes it if there is none of this name; none if there is no
/// such pull request.
pub(super) fn label(state: &mut State, at: At, by: &str, name: &str) -> Option<()> {
    let (id, now) = (state.id(), state.now());
    let repository = state.repository_mut(at.0);
    let pull = repository.pulls.get_mut(&at.1)?;
    repository.labels.entry(name.to_owned()).or_insert(id);
    if pull.labels.insert(name.to_owned()) {
        pull.updated = now;
        events::label(state, at, "labeled", by, name);
    }
    Some(())
}

pub(super) fn remove_label(state: &mut State, call: &Call) -> Said {
    let (at, by) = ((call.repository_id(), call.number("issue_number")?), call.login(state));
    state.pull_mut(at.0, at.1).ok_or(answer::NOT_FOUND)?;
    unlabel(state, at, &by, call.parameter("name")).ok_or(answer::NO_LABEL)?;
    all_labels(state, call)
}

/// Takes a label off a pull request; none if it isn't on it.
pub(super) fn unlabel(state: &mut State, at: At, by: &str, name: &str) -> Option<()> {
    let now = state.now();
    let pull = state.pull_mut(at.0, at.1)?;
    if !pull.labels.remove(name) {
        return None;
    }
    pull.updated = now;
    events::label(state, at, "unlabeled", by, name);
    Some(())
}

/// What a change of labels answers: all of them, in one page.
fn all_labels(state: &mut State, call: &Call) -> Said {
    let Answer { body, .. } = labels(state, call)?;
    Ok(Answer::ok(body))
}
