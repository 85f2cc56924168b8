//! What a gate's pass rests on: a run of the base's own command, on the very tree that landed.

use std::collections::BTreeSet;

use super::Report;
use super::audit::{Finding, Finished, Step};
use super::book::{At, Book, Car, Pass};
use super::git::{Commit, Git};
use super::policy::{Gate, Policy};

/// How long failures that landed are answered for, in milliseconds of board time: a week.
const ACCEPTED_FOR: u64 = 7 * 24 * 3600 * 1000;

/// The gates that the coordinator decides without a run.
const CHANGE_GATES: [&str; 2] = ["scope", "announce"];

/// The landing whose gates are looked at.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) git: &'a Git,
    pub(super) book: &'a Book,
    pub(super) base: &'a Commit,
    pub(super) landed: &'a Step,
    pub(super) policy: &'a Policy,
}

/// Checks that a pass has the proof that it needs.
pub(super) fn check(
    place: &Place<'_>,
    (id, car): (&str, &Car),
    pass: &At<Pass>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let name = &pass.is.gate;
    let Some(gate) = place.policy.gates.get(name) else {
        if !CHANGE_GATES.contains(&name.as_str()) {
            report.violation(format!("{id}: the base requires {name} and does not say what it is"));
        }
        return Ok(());
    };
    let Some(proof) = &pass.is.proof else {
        report.violation(format!("{id}: {name} passed without a proof"));
        return Ok(());
    };
    let runs = place.book.runs.iter().filter(|run| run.seq < pass.seq);
    let mut runs = runs.filter(|run| {
        (&run.is.job, &run.is.digest, &run.is.gate) == (&proof.job, &proof.digest, name)
    });
    let Some(run) = runs.next_back() else {
        report.violation(format!("{id}: {name} names {}, which never ended so", proof.job));
        return Ok(());
    };
    let mut problems = judge(place, gate, &run.is, (id, pass));
    problems.extend(same_inputs(place, gate, &run.is.finding)?);
    for problem in &problems {
        report.violation(format!("{id} of {}: {name} by {}: {problem}", car.name, proof.job));
    }
    if problems.is_empty() {
        report.proof(&proof.job);
    }
    Ok(())
}

/// What is wrong with a run as a proof.
fn judge(
    place: &Place<'_>,
    gate: &Gate,
    run: &Finished,
    (id, pass): (&str, &At<Pass>),
) -> Vec<String> {
    let forgiven = pass.is.proof.as_ref().map_or(0, |proof| proof.forgiven);
    let finding = &run.finding;
    let mut problems = Vec::new();
    if finding.argv != ["sh", "-c", &gate.run] {
        problems.push(format!("it ran `{}`, not the gate", finding.argv.join(" ")));
    }
    let results = finding.green.saturating_add(finding.red_count);
    if results < gate.minimum.max(1) {
        problems.push(format!("{results} results of at least {}", gate.minimum.max(1)));
    }
    let red = finding.red.len() as u64;
    match finding.class.as_str() {
        "passed" if finding.exit != Some(0) => {
            problems.push(format!("it passed with exit {:?}", finding.exit));
        }
        "passed" if red + finding.red_count > 0 || forgiven > 0 => {
            problems.push("it passed with red items".to_owned());
        }
        "passed" => {}
        "failed" if red == finding.red_count && red == forgiven => {
            problems.extend(unanswered(place, gate, run, (id, pass)));
        }
        class => problems.push(format!("it {class}")),
    }
    problems
}

/// What is wrong with a run that failed: red items that neither the base has nor a person answers
/// for.
fn unanswered(
    place: &Place<'_>,
    gate: &Gate,
    run: &Finished,
    (id, pass): (&str, &At<Pass>),
) -> Option<String> {
    let red = &run.finding.red;
    let names = gate.names && !red.is_empty();
    if !names && is_answered(place, run, (id, pass), None) {
        return None;
    }
    if red.is_empty() {
        return Some("it failed, and nobody answers for it".to_owned());
    }
    let is_left =
        |item: &&String| !(names && is_answered(place, run, (id, pass), Some(item.as_str())));
    let left: BTreeSet<&String> = red.iter().filter(is_left).collect();
    let known = left.is_empty() || gate.compare && is_of_base(place, run, &left);
    let left: Vec<&str> = left.into_iter().map(String::as_str).collect();
    (!known).then(|| {
        let left = left.join(" ");
        format!("red items that are not known of the base, and nobody answers for: {left}")
    })
}

/// Whether the base has these red items of a run as well.
fn is_of_base(place: &Place<'_>, run: &Finished, items: &BTreeSet<&String>) -> bool {
    let mut base = place.book.runs.iter().map(|at| &at.is).filter(|base| {
        base.gate == run.gate
            && base.finding.argv == run.finding.argv
            && base.finding.tree == place.base.tree
            && matches!(base.finding.class.as_str(), "passed" | "failed")
    });
    base.any(|base| items.iter().all(|item| base.finding.red.contains(*item)))
}

/// Whether a person had answered for a red item when the gate passed: for this change, or for one
/// that landed no longer ago than that counts. Without an item, for the run as a whole.
fn is_answered(
    place: &Place<'_>,
    run: &Finished,
    (id, pass): (&str, &At<Pass>),
    item: Option<&str>,
) -> bool {
    let landed = |car: &str| {
        let mut landings = place.book.landings.iter();
        landings.any(|step| {
            let is_fresh = pass.at < step.at.saturating_add(ACCEPTED_FOR);
            step.is.car == car && step.seq < pass.seq && is_fresh
        })
    };
    place.book.overrides.iter().filter(|it| it.seq < pass.seq).any(|given| {
        let given = &given.is;
        let covers = match item {
            None => given.items.is_empty() && given.job == run.job,
            Some(item) => given.items.contains(item),
        };
        let of_landed = !given.items.is_empty() && landed(&given.car);
        given.gate == run.gate && covers && (given.car == id || of_landed)
    })
}

/// Whether the run was on the tree that landed, or on one with the same declared inputs.
fn same_inputs(place: &Place<'_>, gate: &Gate, run: &Finding) -> anyhow::Result<Option<String>> {
    let landed = place.landed;
    if (&run.commit, &run.tree) == (&landed.commit, &landed.tree) {
        return Ok(None);
    }
    let git = place.git;
    let known = git.tree_of(&run.commit)?;
    if known.as_ref() != Some(&run.tree) {
        return Ok(Some(format!("it ran on {}, which git does not have so", run.commit)));
    }
    if run.tree == landed.tree {
        return Ok(None);
    }
    let other = format!("it ran on tree {}, and {} landed", run.tree, landed.tree);
    if gate.inputs.is_empty() {
        return Ok(Some(other));
    }
    let reads = |path: &str| {
        let attributes = path == ".gitattributes" || path.ends_with("/.gitattributes");
        attributes || gate.inputs.iter().any(|glob| glob.is_match(path))
    };
    let inputs = |tree: &str| -> anyhow::Result<Vec<(String, String)>> {
        let entries = git.entries(tree)?;
        Ok(entries.into_iter().filter(|(_, path)| reads(path)).collect())
    };
    let same = inputs(&run.tree)? == inputs(&landed.tree)?;
    Ok((!same).then(|| format!("{other}, whose inputs differ")))
}
