//! What happened in a run: counted, digested, and its end kept for people.

use std::collections::VecDeque;

pub(crate) struct Trace {
    /// How many steps are kept for people.
    kept: usize,
    steps: u64,
    hasher: blake3::Hasher,
    last: VecDeque<String>,
}

impl Trace {
    pub(crate) fn new(kept: usize) -> Self {
        Self { kept, steps: 0, hasher: blake3::Hasher::new(), last: VecDeque::new() }
    }

    pub(crate) fn step(&mut self, now: u64, line: impl FnOnce() -> String) {
        self.steps += 1;
        let line = format!("{:>8} {}", now, line());
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        if self.last.len() == self.kept {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Notes what is no step of its own, where everything is kept.
    pub(crate) fn detail(&mut self, now: u64, line: impl FnOnce() -> String) {
        if self.kept == usize::MAX {
            self.last.push_back(format!("{now:>8} {}", line()));
        }
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn digest(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    pub(crate) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
