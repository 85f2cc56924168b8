//! Pull requests: how they are listed, opened, edited, closed and opened again.

use serde_json::{Value, json};

use super::answer::{self, Answer, Refusal};
use super::body::{self, Shown};
use super::call::{Call, Said};
use super::events::{self, At};
use super::follow::show_head;
use super::state::{Pull, State};

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
    let found = found.into_iter().map(|pull| body::pull(state, repository, pull, Shown::Listed));
    Ok(Answer::list(found.collect()))
}

pub(super) fn get(state: &mut State, call: &Call) -> Said {
    let number = call.number("pull_number")?;
    let repository = call.repository(state);
    let pull = repository.pulls.get(&number).ok_or_else(|| Answer::from(answer::NOT_FOUND))?;
    let answered = Answer::ok(body::pull(state, repository, pull, Shown::Whole));
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
    let number = open(state, call.repository_id(), &opened)?;
    Ok(Answer::created(shown(state, call, number)))
}

fn shown(state: &State, call: &Call, number: u64) -> Value {
    let repository = call.repository(state);
    body::pull(state, repository, &repository.pulls[&number], Shown::Whole)
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
pub(super) fn open(state: &mut State, id: u64, opened: &Opened<'_>) -> Result<u64, Answer> {
    let (owner, head) = opened.head.split_once(':').unwrap_or(("", opened.head));
    let name = state.repository(id).name.clone();
    let source = if owner.is_empty() { Some(id) } else { state.named(owner, &name) };
    let git = source.map(|source| state.repository(source).git.clone());
    let tip = git.as_ref().and_then(|git| git.tip(&format!("refs/heads/{head}")));
    let (Some(git), Some(tip)) = (git, tip) else {
        return Err(answer::NO_HEAD.into());
    };
    let base_git = state.repository(id).git.clone();
    let base_tip = base_git.tip(&format!("refs/heads/{}", opened.base)).ok_or(answer::NO_BASE)?;
    if tip == base_tip {
        return Err(answer::no_commits(opened.base, opened.head));
    }
    let same = |pull: &Pull| {
        pull.open && pull.head == head && pull.base == opened.base && pull.head_repository == source
    };
    if state.repository(id).pulls.values().any(same) {
        return Err(answer::same_pull(opened.head));
    }
    state.user(opened.author);
    let pull_id = state.id();
    let number = state.repository(id).pulls.len() as u64 + 1;
    show_head(&base_git, &git, number, &tip);
    let pull = new(state, (pull_id, number), opened, (head, source, tip));
    state.repository_mut(id).pulls.insert(number, pull);
    events::pull(state, (id, number), "opened", opened.author, &json!({}));
    Ok(number)
}

fn new(
    state: &State,
    (id, number): (u64, u64),
    opened: &Opened<'_>,
    (head, head_repository, tip): (&str, Option<u64>, String),
) -> Pull {
    let (now, born) = (state.now(), state.requests);
    Pull {
        number,
        id,
        title: opened.title.to_owned(),
        body: opened.body.map(str::to_owned),
        author: opened.author.to_owned(),
        draft: opened.draft,
        open: true,
        base: opened.base.to_owned(),
        head: head.to_owned(),
        head_repository,
        heads: vec![(born, tip)],
        unknown: state.consistency.mergeable_null_reads,
        labels: std::collections::BTreeSet::new(),
        created: now,
        updated: now,
        closed: None,
        merged: None,
        merged_by: None,
        auto_merge: None,
        reviews: Vec::new(),
        stack: None,
        born,
    }
}

pub(super) fn update(state: &mut State, call: &Call) -> Said {
    let number = call.number("pull_number")?;
    let (at, by) = ((call.repository_id(), number), call.login(state));
    state.pull_mut(at.0, number).ok_or(answer::NOT_FOUND)?;
    edit(state, at, &by, &call.body);
    if let Some(wanted) = call.body["state"].as_str() {
        set_open(state, at, &by, wanted == "open")?;
    }
    Ok(Answer::ok(shown(state, call, number)))
}

/// Writes title, text and base over a pull request's.
pub(super) fn edit(state: &mut State, at: At, by: &str, fields: &Value) {
    let (now, nulls) = (state.now(), state.consistency.mergeable_null_reads);
    let base_of = |state: &State, base: &str| {
        state.repository(at.0).git.tip(&format!("refs/heads/{base}")).unwrap_or_default()
    };
    let old = state.repository(at.0).pulls[&at.1].base.clone();
    let old_tip = base_of(state, &old);
    let pull = state.pull_mut(at.0, at.1).expect("the caller has looked");
    let mut changes = json!({});
    if let Some(title) = fields["title"].as_str().filter(|title| *title != pull.title) {
        changes["title"] = json!({ "from": std::mem::replace(&mut pull.title, title.to_owned()) });
    }
    if fields.get("body").is_some() {
        let text = fields["body"].as_str().map(str::to_owned);
        let from = std::mem::replace(&mut pull.body, text);
        changes["body"] = json!({ "from": from.unwrap_or_default() });
    }
    if let Some(base) = fields["base"].as_str().filter(|base| *base != pull.base) {
        (pull.base, pull.unknown) = (base.to_owned(), nulls);
        changes["base"] = json!({ "ref": { "from": old }, "sha": { "from": old_tip } });
    }
    if changes.as_object().is_some_and(|changes| !changes.is_empty()) {
        pull.updated = now;
        events::pull(state, at, "edited", by, &json!({ "changes": changes }));
    }
}

/// Closes a pull request or opens it again.
pub(super) fn set_open(state: &mut State, at: At, by: &str, open: bool) -> Result<(), Refusal> {
    let (now, requests) = (state.now(), state.requests);
    let pull = &state.repository(at.0).pulls[&at.1];
    if pull.open == open {
        return Ok(());
    }
    if pull.merged.is_some() {
        return Err(answer::MERGED);
    }
    let source = pull.head_repository.map(|id| state.repository(id).git.clone());
    let tip = source.as_ref().and_then(|git| git.tip(&format!("refs/heads/{}", pull.head)));
    let (number, head) = (pull.number, pull.head_now().to_owned());
    if open {
        let (Some(source), Some(tip)) = (&source, &tip) else { return Err(answer::BRANCH_GONE) };
        if !source.is_ancestor(&head, tip) {
            return Err(answer::BRANCH_REWRITTEN);
        }
        show_head(&state.repository(at.0).git, source, number, tip);
    }
    let pull = state.pull_mut(at.0, at.1).expect("it was just read");
    (pull.open, pull.updated, pull.closed) = (open, now, (!open).then_some(now));
    pull.auto_merge = pull.auto_merge.take().filter(|_| open);
    if let Some(tip) = tip.filter(|tip| open && *tip != head) {
        pull.heads.push((requests, tip));
    }
    events::pull(state, at, if open { "reopened" } else { "closed" }, by, &json!({}));
    Ok(())
}

/// Makes a draft of a pull request, or has it ready for review.
pub(super) fn set_draft(state: &mut State, at: At, by: &str, draft: bool) {
    let now = state.now();
    let pull = state.pull_mut(at.0, at.1).expect("the caller knows that it is there");
    if pull.draft == draft {
        return;
    }
    (pull.draft, pull.updated) = (draft, now);
    let action = if draft { "converted_to_draft" } else { "ready_for_review" };
    events::pull(state, at, action, by, &json!({}));
}

/// Has a pull request merged by that method once it may be, or no longer.
pub(super) fn set_auto_merge(state: &mut State, at: At, by: &str, method: Option<&str>) {
    let now = state.now();
    let pull = state.pull_mut(at.0, at.1).expect("the caller knows that it is there");
    if pull.auto_merge.is_some() == method.is_some() {
        return;
    }
    pull.auto_merge = method.map(|method| (by.to_owned(), method.to_owned()));
    pull.updated = now;
    let action = if method.is_some() { "auto_merge_enabled" } else { "auto_merge_disabled" };
    events::pull(state, at, action, by, &json!({ "reason": "" }));
}
