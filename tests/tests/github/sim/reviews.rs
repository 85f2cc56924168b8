//! Reviews of pull requests.

use super::answer::{self, Answer};
use super::body;
use super::call::{Call, Said};
use super::events::{self, At};
use super::state::{Review, State};

pub(super) fn list(state: &mut State, call: &Call) -> Said {
    let number = call.number("pull_number")?;
    let repository = call.repository(state);
    let pull = repository.pulls.get(&number).ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    let shown = pull.reviews.iter().filter(|review| state.is_listed(review.born));
    Ok(Answer::list(shown.map(|review| body::review(state, repository, number, review)).collect()))
}

/// Reviews a pull request in somebody's name, as of its head or of another commit; none if there
/// is no such pull request.
pub(super) fn submit(
    state: &mut State,
    at: At,
    by: &str,
    verdict: &str,
    commit: Option<&str>,
) -> Option<u64> {
    state.user(by);
    let (id, now, born) = (state.id(), state.now(), state.requests);
    let pull = state.pull_mut(at.0, at.1)?;
    pull.updated = now;
    pull.reviews.push(Review {
        id,
        user: by.to_owned(),
        state: verdict.to_owned(),
        body: String::new(),
        commit: commit.unwrap_or(pull.head_now()).to_owned(),
        submitted: now,
        born,
    });
    events::review(state, at, id, "submitted", by);
    Some(id)
}

/// Takes what a review has decided from it; none if it isn't there.
pub(super) fn dismiss(state: &mut State, at: At, id: u64, by: &str) -> Option<()> {
    let now = state.now();
    let pull = state.pull_mut(at.0, at.1)?;
    pull.updated = now;
    let review = pull.reviews.iter_mut().find(|review| review.id == id)?;
    "DISMISSED".clone_into(&mut review.state);
    events::review(state, at, id, "dismissed", by);
    Some(())
}
