//! The answers of commits, page by page, as the store has them: read without the engine's help.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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
    if is_page(key) {
        let page: BTreeMap<AnswerKey, Answer> =
            value.decode().map_err(|error| format!("{key}: {error}"))?;
        let answer = |(key, answer)| Change::Answer(key, Some(Arc::new(answer)));
        return Ok(page.into_iter().map(answer).collect());
    }
    let read = Change::read(key, value.as_str().as_bytes());
    read.map(|change| vec![change]).map_err(|error| error.to_string())
}

/// An answer: its place, and the number of its request.
type Kept = (AnswerKey, u64);

/// What is on each page.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pages: BTreeMap<String, Vec<Kept>>,
    /// On how many pages an answer is.
    copies: BTreeMap<Kept, usize>,
}

impl Pages {
    /// Follows a commit, whose pages have been read.
    pub(crate) fn turn(&mut self, changes: &[molt_store::Change]) {
        for change in changes.iter().filter(|change| is_page(change.key().as_str())) {
            let key = change.key().as_str();
            let new: Vec<Kept> = match change {
                molt_store::Change::Put(record) => answers(record),
                molt_store::Change::Delete { .. } => Vec::new(),
            };
            for kept in &new {
                *self.copies.entry(*kept).or_default() += 1;
            }
            let old = match new.is_empty() {
                true => self.pages.remove(key),
                false => self.pages.insert(key.to_owned(), new),
            };
            old.into_iter().flatten().for_each(|kept| self.drop_one(kept));
        }
    }

    fn drop_one(&mut self, kept: Kept) {
        if let Entry::Occupied(mut copies) = self.copies.entry(kept) {
            *copies.get_mut() -= 1;
            if *copies.get() == 0 {
                copies.remove();
            }
        }
    }

    /// Nothing that lives was written over or removed.
    pub(crate) fn keep(&self, board: &Board, commit: u64) -> Checked {
        let tables = board.tables();
        for (place, answer) in &tables.answers {
            let lives = tables.sessions.contains_key(&place.session);
            let is_kept = || self.copies.contains_key(&(*place, answer.number));
            ensure(!lives || is_kept(), "12 answers are kept", || {
                format!("commit {commit}: {} at {}", answer.number, String::from(*place))
            })?;
        }
        Ok(())
    }
}

/// Whether a key is of a page.
pub(crate) fn is_page(key: &str) -> bool {
    key.starts_with(KIND)
}

fn answers(page: &Record) -> Vec<Kept> {
    let number = |change| match change {
        Change::Answer(place, Some(answer)) => Some((place, answer.number)),
        _ => None,
    };
    read(page).unwrap_or_default().into_iter().filter_map(number).collect()
}

/// The removal of the answers of who is gone: it needs none, and no change of the store tells.
pub(crate) fn orphaned(board: &Board) -> Vec<Change> {
    let tables = board.tables();
    let places = tables.answers.keys();
    let gone = places.filter(|place| !tables.sessions.contains_key(&place.session));
    gone.map(|place| Change::Answer(*place, None)).collect()
}
