//! Jobs: what a host found in a gate's run.

use std::collections::BTreeSet;
use std::time::Duration;

use molt_domain::board::{Command, Invalid};
use molt_domain::gate::{Class, Finding, MAX_PLACES, MAX_RED, Place};

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
    let places = places(message.places, &red)?;
    Ok(Finding {
        class: class("finding.class", &message.class)?,
        green: message.green,
        red,
        red_count: message.red_count,
        places,
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

/// Places within the tree, of items that are named.
fn places(told: Vec<v1::RedPlace>, red: &BTreeSet<String>) -> Result<Vec<Place>, Invalid> {
    let invalid = |problem: String| Invalid::field("finding.places", problem);
    if told.len() > MAX_PLACES {
        return Err(invalid(format!("{} of them, the limit is {MAX_PLACES}", told.len())));
    }
    let texts = told.iter().flat_map(|it| [&it.item, &it.path, &it.says]);
    let texts: Vec<String> = texts.cloned().collect();
    field::limited_all("finding.places", &texts, 8 * 1024)?;
    let place = |it: v1::RedPlace| {
        let v1::RedPlace { item, path, line, says } = it;
        let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..");
        if path.is_empty() || leads_out || line == 0 || !red.contains(&item) {
            let item = item.escape_debug();
            return Err(invalid(format!(
                "`{item}` is no red item at a line of a file below the top"
            )));
        }
        Ok(Place { item, path, line, says })
    };
    told.into_iter().map(place).collect()
}
