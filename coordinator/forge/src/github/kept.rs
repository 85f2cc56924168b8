//! What was answered last of what is read again and again and seldom changes: GitHub counts no answer
//! that says that nothing has changed (B04), and says so to who names what it has.
//!
//! It is asked each time all the same, and nothing here is believed unasked. Not here: long lists,
//! which whoever reads them goes on from ([`super::listing`]).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::{Answer, Head};
use super::operation::{Operation, Route};

/// What is read for each landing, and mostly as it was.
const OPERATIONS: [Operation; 5] = [
    Operation::REPOSITORY,
    Operation::BRANCH,
    Operation::RULES,
    Operation::RULESET,
    Operation::REVIEWS,
];

/// Answers that are kept; the oldest gives way.
const MOST: usize = 256;

/// The longest body that is kept, in bytes.
const LONGEST: usize = 64 * 1024;

/// Answers by the addresses that were asked.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<VecDeque<(String, Answer)>>);

impl Kept {
    /// What was answered to the same request before, if that is kept.
    pub(super) fn of(&self, route: &Route) -> Option<Answer> {
        let address = route.address();
        self.all().iter().find(|(of, _)| *of == address).map(|(_, answer)| answer.clone())
    }

    /// Takes an answer that came to who named none.
    pub(super) fn take(&self, route: &Route, answer: &Answer) {
        let is_short = answer.body.len() <= LONGEST;
        let is_known_again = answer.status == 200 && answer.head.etag.is_some();
        if !OPERATIONS.contains(&route.operation()) || !is_short || !is_known_again {
            return;
        }
        let address = route.address();
        let mut all = self.all();
        all.retain(|(of, _)| *of != address);
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back((address, answer.clone()));
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<(String, Answer)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an answer says by which nothing has changed since `before`: the same, at this moment.
pub(super) fn again(before: Answer, now: Head) -> Answer {
    let head = Head { etag: before.head.etag, next: before.head.next, ..now };
    Answer { head, ..before }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(number: usize) -> Route {
        Operation::REVIEWS.route().with("pull_number", number)
    }

    fn answer(etag: Option<&str>, length: usize) -> Answer {
        let head = Head { etag: etag.map(str::to_owned), ..Head::default() };
        Answer { status: 200, body: vec![b'x'; length], head }
    }

    #[test]
    fn only_what_is_short_and_known_again_is_kept_and_not_for_ever() {
        let kept = Kept::default();
        kept.take(&route(0), &answer(None, 1));
        kept.take(&route(0), &answer(Some("a"), LONGEST + 1));
        kept.take(&route(0), &Answer { status: 404, ..answer(Some("a"), 1) });
        assert_eq!(kept.of(&route(0)), None);
        let pulls = Operation::PULLS.route();
        kept.take(&pulls, &answer(Some("a"), 1));
        assert_eq!(kept.of(&pulls), None, "whoever reads a list keeps its mark");
        for number in 0..=MOST {
            kept.take(&route(number), &answer(Some("a"), 1));
        }
        assert_eq!(kept.of(&route(0)), None);
        kept.take(&route(1), &answer(Some("b"), 2));
        assert_eq!(kept.of(&route(1)), Some(answer(Some("b"), 2)));
        assert_eq!(kept.all().len(), MOST);
    }
}
