//! Every step of the branch is exactly one landing, decided before it and fenced.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::audit::{Fence, Step};
use super::book::{At, Book};
use super::git::{Commit, Git};
use super::policy::{Method, POLICY_FILE, Policy};
use super::{Report, proof, shape};

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
    let commits = &commits[begin..];
    for at in 1..commits.len() {
        let id = &commits[at].id;
        match book.landings.iter().filter(|landing| landing.is.commit == *id).count() {
            1 => {}
            0 if is_carried(git, commits, at, book)? => {}
            0 => report.violation(format!("{id} is on {branch} and never landed")),
            n => report.violation(format!("{id} landed {n} times")),
        }
    }
    in_order(&commits[1..], branch, book, report);
    fences(git, book, report)?;
    for at in 1..commits.len() {
        for landing in book.landings.iter().filter(|it| it.is.commit == commits[at].id) {
            let from = from(git, commits, at, &landing.is)?.unwrap_or(at - 1);
            let way = Way { base: &commits[from], steps: &commits[from + 1..=at] };
            one(git, branch, book, way, landing, report)?;
        }
    }
    Ok(())
}

/// How a landing moved the branch: from its base by these steps, of which the last is what landed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) base: &'a Commit,
    pub(super) steps: &'a [Commit],
}

/// Whether a commit that is no landing's own is one that a landing carried there.
fn is_carried(git: &Git, commits: &[Commit], at: usize, book: &Book) -> anyhow::Result<bool> {
    for end in at + 1..commits.len() {
        for landing in book.landings.iter().filter(|it| it.is.commit == commits[end].id) {
            if from(git, commits, end, &landing.is)?.is_some_and(|from| from < at) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Where the base of a landing of several commits stands, of one that its base lets carry them.
fn from(git: &Git, commits: &[Commit], end: usize, step: &Step) -> anyhow::Result<Option<usize>> {
    let Some(from) = commits[..end].iter().position(|commit| commit.id == step.base) else {
        return Ok(None);
    };
    let text = git.file(&step.base, POLICY_FILE)?;
    let rebases = |text: &str| Policy::read(text).is_ok_and(|it| it.method == Method::Rebase);
    Ok(text.as_deref().is_some_and(rebases).then_some(from))
}

/// The landings of the audit are the steps of the branch, in the same order, one for a car.
fn in_order(steps: &[Commit], branch: &str, book: &Book, report: &mut Report) {
    let mut cars = BTreeSet::new();
    let mut at = 0;
    for landing in &book.landings {
        let Step { car, commit, .. } = &landing.is;
        if !cars.insert(car) {
            report.violation(format!("{car} landed twice"));
        }
        match steps.iter().position(|step| step.id == *commit) {
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
    way: Way<'_>,
    landing: &At<Step>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let landed = &landing.is;
    let id = &landed.car;
    let (base, commit) = (way.base, &way.steps[way.steps.len() - 1]);
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
    shape::check(git, way, (id, car), (&policy, intent.seq), report)?;
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
