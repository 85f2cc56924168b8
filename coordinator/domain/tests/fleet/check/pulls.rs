//! What must hold of pull requests: comments count once, and nothing counts for another head.
//!
//! What was seen and heard is taken from what the reconciler said, by the texts of the comments;
//! nothing is shared with the rules.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::board::{Change, Command, Event, Tables};
use molt_domain::pull::command::{Author, Edits};
use molt_domain::pull::{Heard, Known, Right};
use molt_domain::train::{Car, Passage, Proposer, State};

use super::{Checked, Step, ensure};

/// What the checks remember.
#[derive(Debug, Default)]
pub struct Memory {
    /// The last comment that was heard, once a desk is open.
    heard: Option<u64>,
    /// The head now, by pull request.
    heads: BTreeMap<u64, String>,
    /// The pull requests whose head now a maintainer let go on.
    looked: BTreeSet<u64>,
    /// Where we moved the branch of the head now.
    moved: BTreeMap<u64, BTreeSet<String>>,
    /// The head at which somebody cancelled last, and nobody asked since.
    cancelled: BTreeMap<u64, String>,
}

impl Memory {
    /// Whether a maintainer looked at the head of this car, which is the one now.
    pub(super) fn has_look(&self, car: &Car) -> bool {
        let Some(number) = car.pull() else { return false };
        self.looked.contains(&number) && self.heads.get(&number) == Some(&car.head)
    }
}

pub(super) fn pulls(
    memory: &mut Memory,
    step: &Step<'_>,
    before: &Tables,
    after: &Tables,
) -> Checked {
    match &step.request.command {
        Command::OpenDesk { comment, .. } => _ = memory.heard.get_or_insert(*comment),
        Command::SeePull { number, head, .. } => memory.see(*number, head.as_str(), step)?,
        Command::KeepHead { number, head, .. } => memory.keep(*number, head.as_str()),
        Command::OpenPull { number, opened, .. } => {
            memory.see(*number, opened.head.as_str(), step)?;
        }
        Command::HearComment { number, comment, .. } => memory.hear(*number, comment, step)?,
        _ => {}
    }
    for event in step.events {
        match event {
            Event::PullForgotten { number, .. } => memory.forget(*number),
            Event::Intended { car, commit, passage, .. } => {
                let number = before.cars.get(car).and_then(|car| car.pull());
                if let (Passage::Ahead { .. }, Some(number)) = (passage, number) {
                    memory.moved.entry(number).or_default().insert(commit.clone());
                }
            }
            Event::Submitted { proposer: Proposer::Pull(number), head, .. } => {
                let again = memory.cancelled.get(number) == Some(head);
                ensure(!again, "19 what was cancelled does not enter", || format!("{event:?}"))?;
            }
            _ => {}
        }
    }
    for car in after.cars.values().filter(|car| goes_on(car)) {
        let Some(number) = car.pull() else { continue };
        let head = memory.heads.get(&number);
        ensure(head == Some(&car.head), "19 the car of a pull request has its head", || {
            format!("{} of {number} at {head:?}", car.id)
        })?;
    }
    one_repository(before, after)?;
    one_car(after)?;
    audited(step, before)
}

/// That a desk which knows of which repository it is stays with that.
fn one_repository(before: &Tables, after: &Tables) -> Checked {
    for (repo, desk) in before.desks.iter().filter(|(_, desk)| desk.forge_id.is_some()) {
        let now = after.desks.get(repo).and_then(|desk| desk.forge_id);
        ensure(now == desk.forge_id, "19 a desk is of one repository", || {
            format!("{repo}: {now:?}")
        })?;
    }
    Ok(())
}

/// That of whoever asks for a pull request in whatever way, one change comes.
fn one_car(after: &Tables) -> Checked {
    let mut met = BTreeSet::new();
    for car in after.cars.values().filter(|car| goes_on(car)) {
        let Some(number) = car.pull() else { continue };
        let first = met.insert((&car.repo, number));
        ensure(first, "19 a pull request has one car", || format!("{} of {number}", car.id))?;
    }
    Ok(())
}

/// Whether a car is on its way, and its landing is not decided.
fn goes_on(car: &Car) -> bool {
    car.state.is_open() && !matches!(car.state, State::Landing { .. })
}

impl Memory {
    fn see(&mut self, number: u64, head: &str, step: &Step<'_>) -> Checked {
        if self.moved.get(&number).is_some_and(|moved| moved.contains(head)) {
            return ensure(step.events.is_empty(), "19 what we moved is no new head", || {
                format!("{head} of {number}")
            });
        }
        self.note(number, head);
        Ok(())
    }

    fn keep(&mut self, number: u64, head: &str) {
        if self.moved.get(&number).is_some_and(|moved| moved.contains(head)) {
            self.note(number, head);
        }
    }

    fn note(&mut self, number: u64, head: &str) {
        if self.heads.get(&number).is_none_or(|before| before != head) {
            self.heads.insert(number, head.to_owned());
            self.looked.remove(&number);
            self.moved.remove(&number);
        }
    }

    fn forget(&mut self, number: u64) {
        self.heads.remove(&number);
        self.looked.remove(&number);
        self.cancelled.remove(&number);
        self.moved.remove(&number);
    }

    fn hear(&mut self, number: u64, comment: &Heard, step: &Step<'_>) -> Checked {
        let again = self.heard >= Some(comment.id);
        let silent = step.changes.is_empty() && step.events.is_empty();
        ensure(!again || silent, "19 a comment is heard once", || format!("{comment:?}"))?;
        self.heard = self.heard.max(Some(comment.id));
        let counts = comment.edits == Edits::None && comment.author != Author::Program && !again;
        let Some(head) = self.heads.get(&number).filter(|_| counts) else { return Ok(()) };
        let may = |right| comment.right >= right;
        match comment.text.as_str() {
            "@molt approve head I read it" if may(Right::Maintain) => {
                let bound = step.events.iter().any(|it| matches!(it, Event::PullLooked { .. }));
                bound.then(|| self.looked.insert(number));
            }
            "@molt cancel" if may(Right::Write) || comment.by.0 == number => {
                self.cancelled.insert(number, head.clone());
            }
            "@molt land" if may(Right::Write) => {
                let asked = step.events.iter().any(|it| matches!(it, Event::PullAsked { .. }));
                asked.then(|| self.cancelled.remove(&number));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What was asked for, cancelled, looked at and answered is in the audit.
fn audited(step: &Step<'_>, before: &Tables) -> Checked {
    for change in step.changes {
        let Change::Pull(key, now) = change else { continue };
        let old = before.pulls.get(key);
        let same = |old: &Known, now: &Known| {
            (&old.seen, &old.asked, &old.cancelled, &old.looked, &old.answers, &old.entered)
                == (&now.seen, &now.asked, &now.cancelled, &now.looked, &now.answers, &now.entered)
        };
        let silent = matches!((old, now), (Some(old), Some(now)) if same(old, now));
        let told = step.events.iter().any(|it| it.pull() == Some((&key.repo, key.number)));
        let told = told || matches!(step.request.command, Command::EnterPull { .. });
        ensure(silent || told, "11 every change has its audit entry", || change.key())?;
    }
    Ok(())
}
