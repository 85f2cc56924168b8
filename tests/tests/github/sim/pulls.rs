//! Pull requests and their reviews.

use serde_json::Value;

use super::answer::{self, Answer};
use super::body;
use super::call::{Call, Said};
use super::state::{Pull, Review, State};

pub(super) fn list(state: &mut State, call: &Call) -> Said {
    let repository = call.repository(state);
    let owner = |pull: &Pull| {
        let of = pull.head_repository.and_then(|id| state.repositories.get(&id));
        of.map(|of| of.owner.clone()).unwrap_or_default()
    };
    let mut found: Vec<&Pull> = repository
        .pulls
        .values()
        .filter(|pull| state.is_listed(pull.born))
        .filter(|pull| match call.asked("state").unwrap_or("open") {
            "open" => pull.open,
            "closed" => !pull.open,
            _ => true,
        })
        .filter(|pull| call.asked("base").is_none_or(|base| base == pull.base))
        .filter(|pull| {
            call.asked("head").is_none_or(|head| head == format!("{}:{}", owner(pull), pull.head))
        })
        .collect();
    match call.asked("sort") {
        Some("updated") => found.sort_by_key(|pull| (pull.updated, pull.number)),
        _ => found.sort_by_key(|pull| pull.number),
    }
    if call.asked("direction") != Some("asc") {
        found.reverse();
    }
    let found = found.into_iter().map(|pull| body::pull(state, repository, pull, false));
    Ok(Answer::list(found.collect()))
}

pub(super) fn get(state: &mut State, call: &Call) -> Said {
    let number = call.number("pull_number")?;
    let repository = call.repository(state);
    let pull = repository.pulls.get(&number).ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    let answered = Answer::ok(body::pull(state, repository, pull, true));
    // Whether it merges is worked out because somebody asked.
    let pull = call.repository_mut(state).pulls.get_mut(&number).expect("it was there");
    pull.unknown = pull.unknown.saturating_sub(1);
    Ok(answered)
}

pub(super) fn create(state: &mut State, call: &Call) -> Said {
    let (title, head, base) = (call.text("title")?, call.text("head")?, call.text("base")?);
    let author = call.login(state);
    let opened = Opened {
        title,
        body: call.body["body"].as_str(),
        author: &author,
        draft: call.body["draft"] == true,
        head,
        base,
    };
    let number = open(state, call.repository_id(), &opened)
        .map_err(|words| answer::unprocessable(&words))?;
    let repository = call.repository(state);
    Ok(Answer::created(body::pull(state, repository, &repository.pulls[&number], true)))
}

/// What a pull request is opened with.
pub(super) struct Opened<'a> {
    pub(super) title: &'a str,
    pub(super) body: Option<&'a str>,
    pub(super) author: &'a str,
    pub(super) draft: bool,
    /// A branch, with `owner:` before it when it is in a fork.
    pub(super) head: &'a str,
    pub(super) base: &'a str,
}

/// Opens a pull request and says its number, or why GitHub won't.
pub(super) fn open(state: &mut State, id: u64, opened: &Opened<'_>) -> Result<u64, String> {
    let (owner, head) = opened.head.split_once(':').unwrap_or(("", opened.head));
    let name = state.repository(id).name.clone();
    let source = if owner.is_empty() { Some(id) } else { state.named(owner, &name) };
    let git = source.map(|source| state.repository(source).git.clone());
    let tip = git.as_ref().and_then(|git| git.tip(&format!("refs/heads/{head}")));
    let (Some(git), Some(tip)) = (git, tip) else {
        return Err("Validation Failed: head is invalid".to_owned());
    };
    let base_git = state.repository(id).git.clone();
    if base_git.tip(&format!("refs/heads/{}", opened.base)).is_none() {
        return Err("Validation Failed: base is invalid".to_owned());
    }
    let taken = state.repository(id).pulls.values().any(|pull| {
        pull.open && pull.head == head && pull.base == opened.base && pull.head_repository == source
    });
    if taken {
        return Err(format!("A pull request already exists for {}.", opened.head));
    }
    state.user(opened.author);
    let (pull_id, now, born) = (state.id(), state.now(), state.requests);
    let unknown = state.consistency.mergeable_null_reads;
    let repository = state.repository_mut(id);
    let number = repository.pulls.len() as u64 + 1;
    let place = git.dir.display().to_string();
    let shown = format!("+{tip}:refs/pull/{number}/head");
    base_git.run(&["fetch", "--quiet", "--no-write-fetch-head", &place, &shown]);
    let pull = Pull {
        number,
        id: pull_id,
        title: opened.title.to_owned(),
        body: opened.body.map(str::to_owned),
        author: opened.author.to_owned(),
        draft: opened.draft,
        open: true,
        base: opened.base.to_owned(),
        head: head.to_owned(),
        head_repository: source,
        heads: vec![(born, tip)],
        unknown,
        labels: std::collections::BTreeSet::new(),
        created: now,
        updated: now,
        closed: None,
        merged: None,
        reviews: Vec::new(),
        born,
    };
    repository.pulls.insert(number, pull);
    Ok(number)
}

pub(super) fn update(state: &mut State, call: &Call) -> Said {
    let number = call.number("pull_number")?;
    let now = state.now();
    let pull = call.repository_mut(state).pulls.get_mut(&number);
    let pull = pull.ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    for (field, value) in call.body.as_object().into_iter().flatten() {
        match (field.as_str(), value) {
            ("title", Value::String(title)) => pull.title.clone_from(title),
            ("body", body) => pull.body = body.as_str().map(str::to_owned),
            ("base", Value::String(base)) => pull.base.clone_from(base),
            ("state", Value::String(wanted)) => {
                if pull.merged.is_some() && wanted == "open" {
                    return Err(answer::unprocessable(
                        "Validation Failed: state cannot be changed",
                    ));
                }
                pull.open = wanted == "open";
                pull.closed = (!pull.open).then(|| pull.closed.unwrap_or(now));
            }
            _ => {}
        }
    }
    pull.updated = now;
    let repository = call.repository(state);
    Ok(Answer::ok(body::pull(state, repository, &repository.pulls[&number], true)))
}

pub(super) fn reviews(state: &mut State, call: &Call) -> Said {
    let number = call.number("pull_number")?;
    let repository = call.repository(state);
    let pull = repository.pulls.get(&number).ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    let shown = pull.reviews.iter().filter(|review| state.is_listed(review.born));
    Ok(Answer::list(shown.map(|review| body::review(state, repository, number, review)).collect()))
}

/// Reviews a pull request in somebody's name; none if there is no such pull request.
pub(super) fn review(
    state: &mut State,
    id: u64,
    number: u64,
    user: &str,
    verdict: &str,
) -> Option<u64> {
    state.user(user);
    let (review, submitted, born) = (state.id(), state.now(), state.requests);
    let pull = state.repository_mut(id).pulls.get_mut(&number)?;
    pull.reviews.push(Review {
        id: review,
        user: user.to_owned(),
        state: verdict.to_owned(),
        body: String::new(),
        commit: pull.heads.last().expect("it has one").1.clone(),
        submitted,
        born,
    });
    Some(review)
}
