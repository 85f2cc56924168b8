//! What landed is the change that was submitted, on top of the base, and no more.

use super::Report;
use super::book::Car;
use super::change;
use super::git::{Git, Words};
use super::history::Way;
use super::policy::{Method, Policy};

/// Checks the commits by which a landing moved the branch against the head that was submitted.
pub(super) fn check(
    git: &Git,
    way: Way<'_>,
    (id, car): (&str, &Car),
    (policy, intent): (&Policy, u64),
    report: &mut Report,
) -> anyhow::Result<()> {
    let Way { base, steps } = way;
    let commit = &steps[steps.len() - 1];
    let on_base = commit.parents == [base.id.clone()];
    let problem = match policy.method {
        Method::Merge if commit.parents == [base.id.clone(), car.head.clone()] => None,
        Method::Ff if commit.id == car.head => None,
        Method::Squash if on_base => squashed(git, &commit.id, &car.head)?,
        Method::Rebase => carried(git, way, &car.head)?,
        _ => Some(format!("{} is not {} on {}", commit.id, car.head, base.id)),
    };
    if let Some(problem) = problem {
        report.violation(format!("{id}: {problem}"));
        return Ok(());
    }
    let changed = git.changed(&base.id, &commit.id)?;
    if policy.method != Method::Ff {
        let own = git.changed(&git.merge_base(&base.id, &car.head)?, &car.head)?;
        if let Some(path) = changed.iter().find(|path| !own.contains(path)) {
            report.violation(format!("{id} changed {path}, which {} does not", car.head));
        }
    }
    change::approved((id, car), &changed, policy, intent, report);
    change::check((id, car), &changed, policy, report);
    Ok(())
}

/// What is wrong with one commit that stands for all of a head.
fn squashed(git: &Git, commit: &str, head: &str) -> anyhow::Result<Option<String>> {
    let (words, theirs) = (git.words(commit)?, git.words(head)?);
    if words.author != theirs.author {
        return Ok(Some(format!("{commit} is by {}, its head by {}", words.author, theirs.author)));
    }
    Ok(unnamed(commit, &words, head))
}

/// What is wrong with commits that stand for those of a head, each for one of them, in their order:
/// by whom and with which words it was written, and what it changes.
fn carried(git: &Git, way: Way<'_>, head: &str) -> anyhow::Result<Option<String>> {
    let mut theirs = git.lacking(&way.base.id, head)?.into_iter();
    let mut before = way.base;
    for (at, step) in way.steps.iter().enumerate() {
        if step.parents != [before.id.clone()] {
            return Ok(Some(format!("{} is not a commit on {}", step.id, before.id)));
        }
        let words = git.words(&step.id)?;
        let is_last = at + 1 == way.steps.len();
        if is_last && let Some(problem) = unnamed(&step.id, &words, head) {
            return Ok(Some(problem));
        }
        let mut found = false;
        for one in theirs.by_ref() {
            if same(&words, &git.words(&one)?, is_last) {
                let changed = git.changed(&before.id, &step.id)?;
                let own = git.changed(&format!("{one}^"), &one)?;
                if let Some(path) = changed.iter().find(|path| !own.contains(path)) {
                    return Ok(Some(format!("{} changed {path}, which {one} does not", step.id)));
                }
                found = true;
                break;
            }
        }
        if !found {
            return Ok(Some(format!("{} is no commit of {head}", step.id)));
        }
        before = step;
    }
    Ok(None)
}

/// Whether a commit says what another one says; the last one says more.
fn same(words: &Words, theirs: &Words, is_last: bool) -> bool {
    let message = match is_last {
        true => words.message.starts_with(theirs.message.trim_end()),
        false => words.message == theirs.message,
    };
    (&words.author, &words.date) == (&theirs.author, &theirs.date) && message
}

/// A commit of the train's own names the head that it stands for.
fn unnamed(commit: &str, words: &Words, head: &str) -> Option<String> {
    let named = words.message.lines().any(|line| line == format!("Molt-Head: {head}"));
    (!named).then(|| format!("{commit} does not name {head}"))
}
