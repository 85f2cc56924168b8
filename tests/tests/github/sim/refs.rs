//! Refs: read, made, moved and deleted, one alone or several together.

use super::answer::{self, Answer};
use super::body;
use super::bug::Bug;
use super::call::{Call, Said};
use super::follow::Mover;
use super::git::ZERO;
use super::state::State;

pub(super) fn reference(state: &mut State, call: &Call) -> Said {
    let repository = call.repository(state);
    let name = format!("refs/{}", call.parameter("ref"));
    let tip = repository.git.tip(&name).ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    Ok(Answer::ok(body::reference(state, repository, &name, &tip)))
}

pub(super) fn create_reference(state: &mut State, call: &Call) -> Said {
    let (name, sha) = (call.text("ref")?.to_owned(), call.text("sha")?.to_owned());
    if !name.starts_with("refs/") || name.split('/').count() < 3 {
        return Err(answer::NO_REF_NAME.into());
    }
    let repository = call.repository(state);
    if repository.git.tip(&name).is_some() {
        return Err(answer::REF_THERE.into());
    }
    let before = Some(ZERO.to_owned());
    let step = Move { name: name.clone(), before, after: sha.clone(), force: false };
    moved_by(state, call, step)?;
    Ok(Answer::created(body::reference(state, call.repository(state), &name, &sha)))
}

pub(super) fn update_reference(state: &mut State, call: &Call) -> Said {
    let (name, sha) = (format!("refs/{}", call.parameter("ref")), call.text("sha")?.to_owned());
    let force = call.body["force"] == true;
    let before = call.repository(state).git.tip(&name);
    let before = before.ok_or(answer::REF_MISSING)?;
    let step = Move { name: name.clone(), before: Some(before), after: sha.clone(), force };
    moved_by(state, call, step)?;
    Ok(Answer::ok(body::reference(state, call.repository(state), &name, &sha)))
}

pub(super) fn delete_reference(state: &mut State, call: &Call) -> Said {
    let name = format!("refs/{}", call.parameter("ref"));
    let before = call.repository(state).git.tip(&name);
    let before = before.ok_or(answer::REF_MISSING)?;
    moved_by(state, call, Move { name, before: Some(before), after: ZERO.into(), force: true })?;
    Ok(Answer::nothing())
}

fn moved_by(state: &mut State, call: &Call, step: Move) -> Result<(), Answer> {
    let by = call.login(state);
    moved(state, call.repository_id(), &[step], &by).map_err(|words| answer::unmoved(&words))
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
pub(super) fn moved(
    state: &mut State,
    repository: u64,
    moves: &[Move],
    by: &str,
) -> Result<(), String> {
    let updates: Vec<_> =
        moves.iter().map(|step| checked(state, repository, step)).collect::<Result<_, _>>()?;
    state.repository(repository).git.update(&updates)?;
    state.follow_git(Mover::Asker(by));
    Ok(())
}

/// What git is told of a step that GitHub lets through.
fn checked(
    state: &State,
    repository: u64,
    step: &Move,
) -> Result<(String, String, Option<String>), String> {
    let Move { name, before, after, force } = step;
    let repository = state.repository(repository);
    let git = &repository.git;
    let stands = git.tip(name).unwrap_or_else(|| ZERO.to_owned());
    let expected = before.as_ref().filter(|_| !state.has(Bug::UncheckedMoves));
    if let Some(expected) = expected.filter(|expected| **expected != stands) {
        return Err(answer::elsewhere(name, expected, &stands));
    }
    if name.starts_with("refs/pull/") {
        return Err(answer::REF_HIDDEN.words());
    }
    if repository.is_guarded(name) || repository.declines(name, after) {
        return Err(answer::ruled(name));
    }
    if after != ZERO && git.tip(&format!("{after}^{{commit}}")).is_none() {
        return Err(answer::NO_OBJECT.words());
    }
    if after != ZERO && stands != ZERO && !force && !git.is_ancestor(&stands, after) {
        return Err(answer::NOT_FORWARD.words());
    }
    Ok((name.clone(), after.clone(), Some(stands)))
}
