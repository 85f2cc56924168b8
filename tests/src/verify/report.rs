//! What was found: counts, landings, violations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::audit::Audit;
use super::book::Book;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    violations: Vec<String>,
    chain: Option<(usize, String)>,
    landings: Vec<String>,
    proven: u64,
    runs: BTreeSet<String>,
    facts: BTreeMap<String, u64>,
    met: u64,
}

impl Report {
    /// Whether everything holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations.is_empty() && self.chain.is_some()
    }

    /// Everything that does not hold, a line each.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// How often something happened: `landed`, `ejected lint`, and every event by its name.
    #[must_use]
    pub fn fact(&self, name: &str) -> u64 {
        self.facts.get(name).copied().unwrap_or(0)
    }

    pub(super) fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }

    pub(super) fn chain(&mut self, entries: usize, last: &str) {
        self.chain = Some((entries, last.to_owned()));
    }

    pub(super) fn landing(&mut self, car: &str, agent: &str, commit: &str, gates: usize) {
        let short = commit.get(..10).unwrap_or(commit);
        self.landings.push(format!("{car}  {short}  {gates} gates  {agent}"));
    }

    pub(super) fn proof(&mut self, job: &str) {
        self.proven += 1;
        self.runs.insert(job.to_owned());
    }

    pub(super) fn set(&mut self, name: &str, count: u64) {
        self.facts.insert(name.to_owned(), count);
    }

    pub(super) fn met(&mut self) {
        self.met += 1;
    }

    pub(super) fn count(&mut self, audit: &Audit, book: &Book) {
        for entry in &audit.entries {
            *self.facts.entry(entry.what().to_owned()).or_default() += 1;
        }
        for reason in book.cars.values().flat_map(|car| &car.ejections) {
            *self.facts.entry(format!("ejected {reason}")).or_default() += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((entries, last)) = &self.chain {
            let short = last.get(..12).unwrap_or(last);
            writeln!(f, "chain    {entries} entries, whole, the last is {short}")?;
        }
        for landing in &self.landings {
            writeln!(f, "landed   {landing}")?;
        }
        if self.proven > 0 || !self.landings.is_empty() {
            writeln!(f, "proofs   {} of runs, by {} runs", self.proven, self.runs.len())?;
        }
        let ejected = self.facts.iter().filter(|(name, _)| name.starts_with("ejected "));
        let ejected: Vec<String> = ejected.map(|(name, n)| format!("{} {n}", &name[8..])).collect();
        if !ejected.is_empty() {
            writeln!(f, "ejected  {}", ejected.join(", "))?;
        }
        if self.met > 0 {
            writeln!(f, "expected {} facts, as asked", self.met)?;
        }
        for violation in &self.violations {
            writeln!(f, "WRONG    {violation}")?;
        }
        match self.violations.len() {
            0 => writeln!(f, "ok"),
            n => writeln!(f, "failed   {n} violations"),
        }
    }
}
