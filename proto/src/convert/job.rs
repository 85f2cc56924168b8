//! Jobs: what a host found in a gate's run.

use std::collections::BTreeSet;
use std::time::Duration;

use molt_domain::board::{Command, Invalid};
use molt_domain::gate::{Class, Finding, MAX_RED};

use super::field;
use crate::v1;

pub(super) fn class(name: &str, text: &str) -> Result<Class, Invalid> {
    const CLASSES: [Class; 7] = [
        Class::Passed,
        Class::Failed,
        Class::Oom,
        Class::Timeout,
        Class::Killed,
        Class::Infra,
        Class::Vacuous,
    ];
    let words = CLASSES.map(|class| (class.to_string(), class));
    let words: Vec<(&str, Class)> = words.iter().map(|(word, class)| (&**word, *class)).collect();
    field::word(name, text, &words)
}

impl TryFrom<v1::EndJob> for Command {
    type Error = Invalid;

    fn try_from(end: v1::EndJob) -> Result<Self, Invalid> {
        let finding = end.finding.ok_or_else(|| Invalid::field("finding", field::MISSING))?;
        Ok(Self::EndJob {
            job: field::parse("job", &end.job)?,
            attempt: end.attempt,
            finding: found(finding)?,
        })
    }
}

/// A finding that fits a record: the host names the first red items and counts the rest.
fn found(message: v1::Finding) -> Result<Finding, Invalid> {
    field::counted("finding.red", &message.red, MAX_RED)?;
    field::limited_all("finding.red", &message.red, 16 * 1024)?;
    field::limited_all("finding.argv", &message.argv, 4096)?;
    field::limited("finding.note", &message.note, 2000)?;
    for (name, text) in [
        ("finding.log", &message.log),
        ("finding.commit", &message.commit),
        ("finding.tree", &message.tree),
    ] {
        field::limited(name, text, 128)?;
    }
    let red: BTreeSet<String> = message.red.into_iter().collect();
    if (message.red_count as usize) < red.len() {
        let problem = format!("{} is less than the {} items named", message.red_count, red.len());
        return Err(Invalid::field("finding.red_count", problem));
    }
    Ok(Finding {
        class: class("finding.class", &message.class)?,
        green: message.green,
        red,
        red_count: message.red_count,
        exit: message.exit,
        note: message.note,
        log: message.log,
        argv: message.argv,
        commit: message.commit,
        tree: message.tree,
        duration: Duration::from_millis(message.duration_ms),
        peak: message.peak,
    })
}
