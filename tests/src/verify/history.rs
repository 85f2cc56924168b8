//! Every step of the branch is exactly one landing, decided before it and fenced.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::audit::{Fence, Step};
use super::book::{At, Book, Car};
use super::git::{Commit, Git};
use super::policy::{Method, POLICY_FILE, Policy};
use super::{Report, change, proof};

/// Checks the branch against the book, step by step.
pub(super) fn check(
    git: &Git,
    branch: &str,
    book: &Book,
    report: &mut Report,
) -> anyhow::Result<()> {
    let commits = git.steps(branch)?;
    let Some((_, first)) = &book.first else {
        report.violation("audit: nobody read the base at the beginning");
        return Ok(());
    };
    let Some(begin) = commits.iter().position(|commit| commit.id == *first) else {
        report.violation(format!("{branch} was rewritten: {first}, where it began, is not on it"));
        return Ok(());
    };
    let steps: Vec<(&Commit, &Commit)> =
        commits[begin..].iter().zip(&commits[begin + 1..]).collect();
    for (_, commit) in &steps {
        let landings = book.landings.iter().filter(|landing| landing.is.commit == commit.id);
        match landings.count() {
            1 => {}
            0 => report.violation(format!("{} is on {branch} and never landed", commit.id)),
            n => report.violation(format!("{} landed {n} times", commit.id)),
        }
    }
    in_order(&steps, branch, book, report);
    fences(git, book, report)?;
    for (base, commit) in steps {
        for landing in book.landings.iter().filter(|landing| landing.is.commit == commit.id) {
            one(git, branch, book, (base, commit), landing, report)?;
        }
    }
    Ok(())
}

/// The landings of the audit are the steps of the branch, in the same order, one for a car.
fn in_order(steps: &[(&Commit, &Commit)], branch: &str, book: &Book, report: &mut Report) {
    let mut cars = BTreeSet::new();
    let mut at = 0;
    for landing in &book.landings {
        let Step { car, commit, .. } = &landing.is;
        if !cars.insert(car) {
            report.violation(format!("{car} landed twice"));
        }
        match steps.iter().position(|(_, step)| step.id == *commit) {
            None => report.violation(format!("{car} landed as {commit}, which is not on {branch}")),
            Some(place) if place < at => report.violation(format!("{car} landed out of order")),
            Some(place) => at = place,
        }
    }
}

/// The fence in git: every step of it is a landing of the audit, or a withdrawal.
fn fences(git: &Git, book: &Book, report: &mut Report) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Record {
        epoch: u64,
        n: u64,
        intent: String,
    }
    let mut landed: BTreeMap<&str, Fence> =
        book.landings.iter().map(|at| (at.is.car.as_str(), at.is.fence)).collect();
    let mut last = None;
    for message in git.fences()? {
        let Ok(Record { epoch, n, intent }) = serde_json::from_str(&message) else {
            report.violation(format!("the fence has a commit that says `{message}`"));
            continue;
        };
        let fence = Fence { epoch, n };
        if last.is_some_and(|last| fence < last) {
            report.violation(format!("the fence in git goes back to {n} for {intent}"));
        }
        last = Some(fence);
        if intent.starts_with("car_") && landed.remove(intent.as_str()) != Some(fence) {
            report
                .violation(format!("the fence moved for {intent} at {n}, and no landing says so"));
        }
    }
    for car in landed.keys() {
        report.violation(format!("{car} landed without a step of the fence"));
    }
    Ok(())
}

/// One landing: what git has is what was decided, tested and proven.
fn one(
    git: &Git,
    branch: &str,
    book: &Book,
    (base, commit): (&Commit, &Commit),
    landing: &At<Step>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let landed = &landing.is;
    let id = &landed.car;
    if (&landed.base, &landed.tree) != (&base.id, &commit.tree) || landed.branch != branch {
        report.violation(format!("{id}: what landed on {branch} is not what git has"));
    }
    let Some(car) = book.cars.get(id) else {
        report.violation(format!("{id} landed and was never submitted"));
        return Ok(());
    };
    let same = |step: &Step| {
        (&step.branch, &step.base, &step.commit, &step.tree)
            == (&landed.branch, &landed.base, &landed.commit, &landed.tree)
    };
    let mut intents = car.intents.iter().filter(|intent| intent.seq < landing.seq);
    let intent = intents.rfind(|intent| intent.is.fence == landed.fence && same(&intent.is));
    let Some(intent) = intent else {
        report.violation(format!("{id} landed without an intent of its fence"));
        return Ok(());
    };
    let made = car.candidates.iter().any(|made| {
        made.seq < intent.seq
            && (&made.is.base, &made.is.commit, &made.is.tree)
                == (&landed.base, &landed.commit, &landed.tree)
    });
    if !made {
        report.violation(format!("{id} landed as {}, which was no candidate", landed.commit));
    }
    let text = git.file(&base.id, POLICY_FILE)?;
    let policy = match text.as_deref().map(Policy::read) {
        Some(Ok(policy)) => policy,
        Some(Err(error)) => {
            report.violation(format!("{id}: the base {}: {error:#}", base.id));
            return Ok(());
        }
        None => {
            report.violation(format!("{id}: the base {} has no {POLICY_FILE}", base.id));
            return Ok(());
        }
    };
    shape(git, (base, commit), (id, car), (&policy, intent.seq), report)?;
    if intent.is.gates != policy.required {
        let named = intent.is.gates.join(" ");
        report.violation(format!("{id}: the intent names other gates than the base: {named}"));
    }
    for gate in &policy.required {
        let pass = car.passes.iter().find(|pass| {
            pass.seq < intent.seq
                && (&pass.is.gate, &pass.is.commit, &pass.is.tree)
                    == (gate, &landed.commit, &landed.tree)
        });
        match pass {
            None => report.violation(format!("{id} landed and {gate} never passed for it")),
            Some(pass) => {
                let place = proof::Place { git, book, base, landed, policy: &policy };
                proof::check(&place, (id, car), pass, report)?;
            }
        }
    }
    report.landing(id, &car.name, &landed.commit, policy.required.len());
    Ok(())
}

/// What landed is the change that was submitted, on top of the base, and no more.
fn shape(
    git: &Git,
    (base, commit): (&Commit, &Commit),
    (id, car): (&str, &Car),
    (policy, intent): (&Policy, u64),
    report: &mut Report,
) -> anyhow::Result<()> {
    let fits = match policy.method {
        Method::Merge => commit.parents == [base.id.clone(), car.head.clone()],
        Method::Ff => commit.id == car.head,
    };
    if !fits {
        report.violation(format!("{id}: {} is not {} on {}", commit.id, car.head, base.id));
        return Ok(());
    }
    let changed = git.changed(&base.id, &commit.id)?;
    if policy.method == Method::Merge {
        let own = git.changed(&git.merge_base(&base.id, &car.head)?, &car.head)?;
        if let Some(path) = changed.iter().find(|path| !own.contains(path)) {
            report.violation(format!("{id} changed {path}, which {} does not", car.head));
        }
    }
    change::approved((id, car), &changed, policy, intent, report);
    change::check((id, car), &changed, policy, report);
    Ok(())
}
