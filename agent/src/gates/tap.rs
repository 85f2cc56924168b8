//! Results as TAP (Test Anything Protocol, versions 12 to 14) on standard output.
//!
//! Only lines at the margin count: subtests and diagnostics are indented, and
//! their parent's line sums them up. Items marked SKIP or TODO are part of the
//! plan and prove nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::tally::{Reading, Tally};

/// Reads TAP line by line.
#[derive(Debug, Default)]
pub(super) struct Parser {
    plan: Option<u64>,
    items: Vec<Item>,
    broken: Option<String>,
}

#[derive(Debug)]
struct Item {
    number: u64,
    name: String,
    colour: Colour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Green,
    Red,
    /// Skipped, or not expected to work yet.
    Neither,
}

impl Parser {
    /// Takes the next line of standard output.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix("Bail out!") {
            self.breaks(format!("bailed out: {}", reason.trim()));
        } else if let Some(count) = plan(line) {
            if let Some(earlier) = self.plan.replace(count) {
                self.breaks(format!("two plans, 1..{earlier} and 1..{count}"));
            }
        } else if let Some((fine, rest)) = test_line(line) {
            let next = self.items.last().map_or(1, |item| item.number.saturating_add(1));
            let item = item(fine, rest, next);
            self.items.push(item);
        }
    }

    fn breaks(&mut self, reason: String) {
        self.broken.get_or_insert(reason);
    }

    /// What all lines come to.
    pub(super) fn finish(self) -> Reading {
        if let Some(reason) = self.broken {
            return Reading::Unreadable(reason);
        }
        let Some(plan) = self.plan else {
            return match self.items.len() {
                0 => Reading::Nothing("no TAP on standard output".to_owned()),
                count => Reading::Unreadable(format!("{count} items and no plan")),
            };
        };
        let mut seen = BTreeSet::new();
        for item in &self.items {
            if !seen.insert(item.number) {
                return Reading::Unreadable(format!("item {} twice", item.number));
            }
            if item.number == 0 || item.number > plan {
                return Reading::Unreadable(format!("item {} of a plan 1..{plan}", item.number));
            }
        }
        if seen.len() as u64 != plan {
            return Reading::Unreadable(format!("{} items of a plan 1..{plan}", seen.len()));
        }
        Reading::Items(tally(&self.items))
    }
}

/// A name that several items have gets their numbers, so that none hides another.
fn tally(items: &[Item]) -> Tally {
    let mut uses: BTreeMap<&str, u32> = BTreeMap::new();
    for item in items {
        *uses.entry(&item.name).or_default() += 1;
    }
    let mut tally = Tally::default();
    for item in items {
        match item.colour {
            Colour::Green => tally.pass(),
            Colour::Neither => {}
            Colour::Red if item.name.is_empty() || uses[item.name.as_str()] > 1 => {
                tally.fail(format!("{} #{}", item.name, item.number).trim());
            }
            Colour::Red => tally.fail(&item.name),
        }
    }
    tally
}

/// The count of a plan line `1..N`, which may carry a comment.
fn plan(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("1..")?;
    let digits = rest.split_once('#').map_or(rest, |(count, _)| count).trim_end();
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Whether a test line is fine, and what follows its verdict.
fn test_line(line: &str) -> Option<(bool, &str)> {
    let (fine, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| (fine, rest.trim()))
}

fn item(fine: bool, rest: &str, next: u64) -> Item {
    let (rest, directive) = split_directive(rest);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    let numbered = after.is_empty() || after.starts_with([' ', '\t']);
    let (number, name) = match digits.parse() {
        Ok(number) if numbered => (number, after),
        _ => (next, rest),
    };
    let name = name.trim_start();
    let name = name.strip_prefix("- ").unwrap_or(if name == "-" { "" } else { name });
    let colour = match (directive, fine) {
        (true, _) => Colour::Neither,
        (false, true) => Colour::Green,
        (false, false) => Colour::Red,
    };
    Item { number, name: name.trim().to_owned(), colour }
}

/// Cuts off ` # SKIP …` or ` # TODO …`; a `#` that is escaped or means something
/// else belongs to the name.
fn split_directive(rest: &str) -> (&str, bool) {
    for (at, _) in rest.match_indices('#') {
        let before = &rest[..at];
        let apart = before.is_empty() || before.ends_with([' ', '\t']);
        let word = rest[at + 1..].trim_start().get(..4).unwrap_or_default();
        if apart && (word.eq_ignore_ascii_case("skip") || word.eq_ignore_ascii_case("todo")) {
            return (before.trim_end(), true);
        }
    }
    (rest, false)
}
