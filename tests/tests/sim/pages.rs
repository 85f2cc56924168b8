//! The answers of commits, page by page, as the store has them: read without the engine's help.

use std::collections::BTreeMap;
use std::sync::Arc;

use molt_domain::board::answer::{Answer, AnswerKey};
use molt_domain::board::{Board, Change};
use molt_store::Record;

use crate::outcome::{Checked, ensure};

/// The kind of their records.
const KIND: &str = "answers/";

/// What a record says of the board: one thing, or the answers of one commit.
pub(crate) fn read(record: &Record) -> Result<Vec<Change>, String> {
    let (key, value) = (record.key.as_str(), &record.value);
    if key.starts_with(KIND) {
        let page: BTreeMap<AnswerKey, Answer> =
            value.decode().map_err(|error| format!("{key}: {error}"))?;
        let answer = |(key, answer)| Change::Answer(key, Some(Arc::new(answer)));
        return Ok(page.into_iter().map(answer).collect());
    }
    let read = Change::read(key, value.as_str().as_bytes());
    read.map(|change| vec![change]).map_err(|error| error.to_string())
}

/// What is on each page: places with the numbers of their requests.
#[derive(Debug, Default)]
pub(crate) struct Pages(BTreeMap<String, BTreeMap<AnswerKey, u64>>);

impl Pages {
    /// Follows a commit, whose pages have been read.
    pub(crate) fn turn(&mut self, changes: &[molt_store::Change]) {
        for change in changes {
            let key = change.key().as_str();
            if !key.starts_with(KIND) {
                continue;
            }
            self.0.remove(key);
            if let molt_store::Change::Put(record) = change {
                let answers = read(record).unwrap_or_default().into_iter();
                let number = |change| match change {
                    Change::Answer(place, Some(answer)) => Some((place, answer.number)),
                    _ => None,
                };
                self.0.insert(key.to_owned(), answers.filter_map(number).collect());
            }
        }
    }

    /// Nothing that lives was written over or removed.
    pub(crate) fn keep(&self, board: &Board, commit: u64) -> Checked {
        let tables = board.tables();
        for (place, answer) in &tables.answers {
            let is_kept = self.0.values().any(|page| page.get(place) == Some(&answer.number));
            let lives = tables.sessions.contains_key(&place.session);
            ensure(is_kept || !lives, "12 answers are kept", || {
                format!("commit {commit}: {} at {}", answer.number, String::from(*place))
            })?;
        }
        Ok(())
    }
}
