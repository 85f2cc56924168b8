//! What must have happened, as a file says it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::Report;

/// How often each fact must have happened.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Expectations(BTreeMap<String, Count>);

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Count {
    AtLeast(u64),
    Exactly { exactly: u64 },
}

impl Expectations {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{}", path.display()))
    }

    pub(super) fn check(&self, report: &mut Report) {
        for (name, count) in &self.0 {
            let seen = report.fact(name);
            let (met, wanted) = match *count {
                Count::AtLeast(n) => (seen >= n, format!("at least {n}")),
                Count::Exactly { exactly } => (seen == exactly, format!("exactly {exactly}")),
            };
            if met {
                report.met();
            } else {
                report.violation(format!("`{name}` happened {seen} times, not {wanted}"));
            }
        }
    }
}
