//! Comments and labels: of issues, as GitHub has it, and every pull request is one.

use super::answer::{self, Answer};
use super::body;
use super::call::{Call, Said};
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
    state.repository_mut(id).comments.push(Comment {
        id: comment,
        number,
        user: user.to_owned(),
        body: text.to_owned(),
        created: now,
        updated: now,
        born,
    });
    Some(comment)
}

pub(super) fn update_comment(state: &mut State, call: &Call) -> Said {
    let (id, text, now) = (call.number("comment_id")?, call.text("body")?, state.now());
    checked(text)?;
    let comment = call.repository_mut(state).comments.iter_mut().find(|comment| comment.id == id);
    let comment = comment.ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    text.clone_into(&mut comment.body);
    comment.updated = now;
    get_comment(state, call)
}

fn checked(text: &str) -> Result<(), Answer> {
    if text.trim().is_empty() {
        return Err(answer::unprocessable("Validation Failed: body cannot be blank"));
    }
    if text.chars().count() > LONGEST {
        let words = "Validation Failed: body is too long (maximum is 65536 characters)";
        return Err(answer::unprocessable(words));
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
    let number = call.number("issue_number")?;
    let names = call.body["labels"].as_array().into_iter().flatten();
    let names = names.filter_map(|label| label.as_str().or(label["name"].as_str()));
    for name in names {
        let id = state.id();
        let repository = call.repository_mut(state);
        repository.labels.entry(name.to_owned()).or_insert(id);
        let pull = repository.pulls.get_mut(&number);
        pull.ok_or_else(|| Answer::from(answer::NOT_FOUND))?.labels.insert(name.to_owned());
    }
    all_labels(state, call)
}

pub(super) fn remove_label(state: &mut State, call: &Call) -> Said {
    let number = call.number("issue_number")?;
    let pull = call.repository_mut(state).pulls.get_mut(&number);
    let pull = pull.ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    if !pull.labels.remove(call.parameter("name")) {
        return Err(answer::NO_LABEL.into());
    }
    all_labels(state, call)
}

/// What a change of labels answers: all of them, in one page.
fn all_labels(state: &mut State, call: &Call) -> Said {
    let Answer { body, .. } = labels(state, call)?;
    Ok(Answer::ok(body))
}
