//! Exchanges with the real api.github.com, as others recorded them.

use serde::Deserialize;
use serde_json::Value;

/// One recording a line.
const FILES: [&str; 2] = [
    include_str!("../data/recordings/github3py-bsd3.jsonl"),
    include_str!("../data/recordings/octokit-mit.jsonl"),
];

#[derive(Debug, Deserialize)]
pub(crate) struct Recording {
    /// `METHOD /template`, as its collector took it.
    pub(crate) op: String,
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// Null when there was none.
    pub(crate) request: Value,
    pub(crate) status: u16,
    /// Null when it was empty, a string when it was no JSON.
    pub(crate) body: Value,
    /// The day it was recorded on.
    pub(crate) date: String,
}

pub(crate) fn all() -> Vec<Recording> {
    let lines = FILES.iter().flat_map(|file| file.lines());
    lines.map(|line| serde_json::from_str(line).expect("a recording has this shape")).collect()
}
