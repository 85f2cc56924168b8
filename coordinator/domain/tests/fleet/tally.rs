//! How often each kind of command was accepted and refused.

use std::collections::BTreeMap;
use std::fmt;

/// Counts of answers by kind of command, and of what happened by kind of event.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub commands: BTreeMap<&'static str, Counts>,
    pub events: BTreeMap<String, usize>,
    /// How often another coordinator took the lead.
    pub takeovers: usize,
}

/// How often a kind of command was accepted and refused.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub accepted: usize,
    pub refused: usize,
}

impl Tally {
    /// Counts one of a kind.
    pub fn count(&mut self, kind: &'static str, accepted: bool) {
        let counts = self.commands.entry(kind).or_default();
        counts.accepted += usize::from(accepted);
        counts.refused += usize::from(!accepted);
    }

    pub fn add(&mut self, other: &Self) {
        for (word, counts) in &other.commands {
            let mine = self.commands.entry(word).or_default();
            mine.accepted += counts.accepted;
            mine.refused += counts.refused;
        }
        self.takeovers += other.takeovers;
        for (kind, count) in &other.events {
            *self.events.entry(kind.clone()).or_default() += count;
        }
    }

    pub fn total(&self) -> usize {
        self.commands.values().map(|counts| counts.accepted + counts.refused).sum()
    }

    /// The kinds of command that were accepted, or refused, in less than `percent` of their tries.
    pub fn rare(&self, percent: usize) -> Vec<String> {
        let rare = |part: usize, all: usize| part * 100 < all * percent;
        self.commands
            .iter()
            .filter(|(_, it)| {
                let all = it.accepted + it.refused;
                rare(it.accepted, all) || rare(it.refused, all)
            })
            .map(|(word, it)| format!("{word}: {} accepted, {} refused", it.accepted, it.refused))
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, Counts { accepted, refused }) in &self.commands {
            writeln!(f, "{word:<16} {accepted:>7} accepted {refused:>7} refused")?;
        }
        writeln!(f, "{} takeovers of the lead", self.takeovers)?;
        for (kind, count) in &self.events {
            writeln!(f, "  {kind:<20} {count:>7}")?;
        }
        Ok(())
    }
}
