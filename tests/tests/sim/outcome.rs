//! How a run ended: what broke, what it did, and where another run parts from it.

use std::collections::BTreeMap;
use std::fmt;

/// How a run ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) faults: u64,
    /// Virtual time, in milliseconds.
    pub(crate) lasted: u64,
    pub(crate) digest: String,
    pub(crate) tally: Tally,
    pub(crate) broken: Option<Broken>,
    /// The step at which it broke.
    pub(crate) broken_at: u64,
    /// The last steps.
    pub(crate) last: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, steps, faults, lasted, broken, .. } = self;
        write!(f, "seed {seed:#x}: {steps} steps, {faults} faults, {lasted} ms")?;
        if let Some(broken) = broken {
            for step in &self.last {
                write!(f, "\n  {step}")?;
            }
            write!(f, "\nstep {}: {broken}", self.broken_at)?;
        }
        Ok(())
    }
}

impl Outcome {
    /// Where another run parts from this one, with what both did before; `None`: nowhere.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<String> {
        let differs = self.last.iter().zip(&other.last).position(|(one, other)| one != other);
        match differs {
            Some(at) => {
                let before = self.last[at.saturating_sub(20)..at].join("\n");
                Some(format!("{before}\n1: {}\n2: {}", self.last[at], other.last[at]))
            }
            None if self.digest == other.digest => None,
            None => Some(format!("1: {} steps\n2: {} steps", self.steps, other.steps)),
        }
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) invariant: &'static str,
    pub(crate) detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is broken: {}", self.invariant, self.detail)
    }
}

pub(crate) type Checked<T = ()> = Result<T, Broken>;

pub(crate) fn ensure(
    holds: bool,
    invariant: &'static str,
    detail: impl FnOnce() -> String,
) -> Checked {
    if holds { Ok(()) } else { Err(Broken { invariant, detail: detail() }) }
}

/// What was done in a run, so that a run that tested nothing shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) commits: u64,
    pub(crate) terms: u64,
    pub(crate) answers: u64,
    pub(crate) events: BTreeMap<String, u64>,
    /// Commits of deposed leaders that fitted the head: only who sent them kept them out.
    pub(crate) deposed: u64,
    /// Commits that came too late for the head.
    pub(crate) overtaken: u64,
    /// Times that a coordinator heard from the store what had been said long before.
    pub(crate) heard_late: u64,
    /// Answers of older terms than a host had seen.
    pub(crate) outdated: u64,
    /// Children that were still running when they had to end.
    pub(crate) stopped: u64,
    /// Sessions that came back in a commit that was sent when the grace was over that they had.
    pub(crate) returned_late: u64,
}
