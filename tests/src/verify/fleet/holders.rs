//! What holders wrote down, against each other and against the audit.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Report;
use super::Run;
use super::board::Board;
use super::journal::{Holding, Journal, Line, Sign};

/// One use of something, as its holder lived through it.
#[derive(Debug)]
struct Use<'a> {
    holding: &'a Holding,
    from: u64,
    to: u64,
    /// Whether it came to its own end.
    ended: bool,
}

/// Checks the journals against each other and against the board.
pub(super) fn check(journal: &Journal, board: &Board, run: &Run, report: &mut Report) {
    let uses = uses(journal);
    apart(&uses, report);
    granted(&uses, board, report);
    built_once(&uses, report);
    acknowledged(journal, (board, &uses), report);
    progress(journal, run, report);
    report.set("uses", uses.len() as u64);
}

fn uses(journal: &Journal) -> Vec<Use<'_>> {
    let mut uses: BTreeMap<&Holding, Use<'_>> = BTreeMap::new();
    for Line { at, sign } in &journal.lines {
        let (holding, ended) = match sign {
            Sign::Lives(holding) => (holding, false),
            Sign::Ends(holding) => (holding, true),
            _ => continue,
        };
        let known =
            uses.entry(holding).or_insert(Use { holding, from: *at, to: *at, ended: false });
        known.to = known.to.max(*at);
        known.ended |= ended;
    }
    let mut uses: Vec<Use<'_>> = uses.into_values().collect();
    uses.sort_by_key(|one| one.from);
    uses
}

/// Nobody began while somebody else lived with the same thing.
fn apart(uses: &[Use<'_>], report: &mut Report) {
    let mut last: BTreeMap<(&str, &str), &Use<'_>> = BTreeMap::new();
    for next in uses {
        let thing = (next.holding.kind.as_str(), next.holding.what.as_str());
        let former = last.get(&thing);
        if let Some(former) = former.filter(|former| former.to >= next.from) {
            report.violation(format!(
                "overlap: {} {}: {} (fence {}) still lived {} ms after {} (fence {}) began",
                thing.0,
                thing.1,
                former.holding.by,
                former.holding.fence,
                (former.to - next.from) / 1_000_000,
                next.holding.by,
                next.holding.fence,
            ));
        }
        // Whoever lives longest is who the next one can overlap with.
        if former.is_none_or(|former| former.to < next.to) {
            last.insert(thing, next);
        }
    }
}

/// Whoever held something had been granted it, and no grant was used twice.
fn granted(uses: &[Use<'_>], board: &Board, report: &mut Report) {
    let mut used: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    for Use { holding, .. } in uses {
        let Holding { kind, what, by, fence } = holding;
        let other = used.insert((kind.as_str(), what.as_str(), fence.as_str()), by.as_str());
        if let Some(other) = other.filter(|_| kind != "claim") {
            report.violation(format!("{kind} {what}: {by} and {other} had the one fence {fence}"));
        }
        let known = match kind.as_str() {
            "lock" => board.lock_fences.get(fence) == Some(what),
            "claim" => board.claim_fences.contains_key(fence),
            // The audit does not tell the fences of slots and builds.
            _ => true,
        };
        if !known {
            report.violation(format!("{kind} {what}: {by} had fence {fence}, never granted so"));
        }
    }
}

/// A build came to its own end once only.
fn built_once(uses: &[Use<'_>], report: &mut Report) {
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    let built = |one: &&Use<'_>| one.holding.kind == "build" && one.ended;
    for one in uses.iter().filter(built) {
        *ends.entry(&one.holding.what).or_default() += 1;
    }
    for (what, times) in ends.into_iter().filter(|(_, times)| *times > 1) {
        report.violation(format!("build {what} was run to its end {times} times"));
    }
}

/// What was acknowledged is in the audit.
fn acknowledged(journal: &Journal, (board, uses): (&Board, &[Use<'_>]), report: &mut Report) {
    let mut heard = 0;
    for line in &journal.lines {
        let Sign::Acknowledged { kind, id, fence } = &line.sign else { continue };
        heard += 1;
        let there = match (kind.as_str(), fence) {
            ("claim", Some(fence)) => board.claim_fences.get(fence) == Some(id),
            ("release", _) => board.released.contains(id),
            ("add", _) => board.added.contains(id),
            ("task", Some(fence)) => {
                let claim = board.claim_fences.get(fence).cloned();
                claim.is_some_and(|claim| board.taken.contains(&(id.clone(), claim)))
            }
            ("done", _) => board.done.contains(id),
            ("submit", _) => board.submitted.contains(id),
            ("landing", _) => board.landed.contains(id),
            ("build", _) => uses.iter().any(|one| built_as(one, id, board)),
            ("lock" | "slot", _) => true,
            _ => false,
        };
        if !there {
            let fence = fence.as_deref().unwrap_or("-");
            report.violation(format!("lost: {kind} {id} (fence {fence}) was acknowledged"));
        }
    }
    report.set("acknowledged", heard);
}

/// Whether a build was run to its end, and its board says so. Runs are named after their holds.
fn built_as(one: &Use<'_>, fingerprint: &str, board: &Board) -> bool {
    let Holding { kind, what, by, .. } = one.holding;
    let told = by.split('-').any(|word| board.built.contains(word));
    kind == "build" && what == fingerprint && one.ended && told
}

/// After each heal, each kind of thing went on soon.
fn progress(journal: &Journal, run: &Run, report: &mut Report) {
    let span = u64::try_from(run.progress.as_nanos()).unwrap_or(u64::MAX);
    let over = journal.lines.iter().find(|line| line.sign == Sign::Over).map(|line| line.at);
    let mut slowest = 0;
    for (place, healed) in journal.lines.iter().enumerate() {
        let Sign::Healed { name } = &healed.sign else { continue };
        let until = healed.at.saturating_add(span);
        // The next fault may come before everything went on: only whole spans are judged.
        let after = journal.lines[place..].iter();
        let disturbed = after.clone().find(|line| matches!(line.sign, Sign::Fault { .. }));
        let end = disturbed.map(|line| line.at).into_iter().chain(over).min();
        for kind in &run.kinds {
            let is_it = |line: &&Line| matches!(&line.sign, Sign::Acknowledged { kind: seen, .. } if seen == kind);
            let next = after.clone().find(is_it).map(|line| line.at);
            let waited = next.unwrap_or(u64::MAX).saturating_sub(healed.at);
            match next {
                Some(at) if at <= until => slowest = slowest.max(waited),
                _ if end.is_some_and(|end| end < until) => {
                    report.violation(format!(
                        "invalid run: no {kind} after {name}, and not {:?} to wait for one",
                        run.progress
                    ));
                }
                _ => report.violation(format!(
                    "no progress: no {kind} within {:?} after {name} was over",
                    run.progress
                )),
            }
        }
    }
    let millis = Duration::from_nanos(slowest).as_millis();
    report.set("slowest progress in ms", u64::try_from(millis).unwrap_or(u64::MAX));
}
