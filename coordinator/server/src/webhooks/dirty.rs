//! What is to be read again, in bounded memory.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use molt_forge::github::webhook::Dirty;
use tokio::sync::Notify;

/// Marks at once, at most. One more, and everything is dirty: to read all of it then costs less
/// than to read so many things one by one.
pub const MAX_MARKS: usize = 4096;

/// What was marked and not yet taken: in any order, and twice or once, the same marks are the same
/// set. Who takes them and then fails has lost nothing but time.
#[derive(Debug, Default)]
pub struct DirtySet {
    marks: Mutex<BTreeSet<Dirty>>,
    marked: Notify,
}

impl DirtySet {
    /// Marks a thing as dirty.
    pub fn mark(&self, dirty: Dirty) {
        let mut marks = self.lock();
        if marks.contains(&Dirty::Everything) || marks.contains(&dirty) {
            return;
        }
        if dirty == Dirty::Everything || marks.len() == MAX_MARKS {
            *marks = BTreeSet::from([Dirty::Everything]);
        } else {
            marks.insert(dirty);
        }
        drop(marks);
        self.marked.notify_one();
    }

    /// Takes all marks; [`Dirty::Everything`] stands alone.
    #[must_use]
    pub fn take(&self) -> BTreeSet<Dirty> {
        std::mem::take(&mut *self.lock())
    }

    /// Returns once there is a mark; for one waiter, who may give up at any time.
    pub async fn notified(&self) {
        while self.lock().is_empty() {
            self.marked.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Dirty>> {
        // Each change above is one step, so a panic leaves the set whole.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(number: u64) -> Dirty {
        Dirty::Pull { repository: 7, number }
    }

    #[test]
    fn marks_are_a_set_whatever_their_order() {
        let set = DirtySet::default();
        for number in [2, 1, 2, 3, 1] {
            set.mark(pull(number));
        }
        assert_eq!(set.take(), BTreeSet::from([pull(1), pull(2), pull(3)]));
        assert_eq!(set.take(), BTreeSet::new(), "they were taken");
    }

    #[test]
    fn beyond_the_limit_everything_is_dirty() {
        let set = DirtySet::default();
        for number in 0..2 * MAX_MARKS as u64 {
            set.mark(pull(number % MAX_MARKS as u64));
            assert!(set.lock().len() <= MAX_MARKS);
        }
        assert_eq!(set.lock().len(), MAX_MARKS, "so many are kept one by one");
        set.mark(pull(MAX_MARKS as u64));
        set.mark(pull(1));
        assert_eq!(set.take(), BTreeSet::from([Dirty::Everything]));
        set.mark(pull(1));
        assert_eq!(set.take(), BTreeSet::from([pull(1)]), "it begins anew");
    }

    #[test]
    fn everything_stands_alone() {
        let set = DirtySet::default();
        for dirty in [pull(1), Dirty::Everything, pull(2)] {
            set.mark(dirty);
        }
        assert_eq!(set.take(), BTreeSet::from([Dirty::Everything]));
    }

    #[tokio::test]
    async fn a_mark_is_heard_of_before_and_after_the_wait_begins() {
        let set = DirtySet::default();
        set.mark(pull(1));
        set.notified().await;
        assert_eq!(set.take().len(), 1);
        tokio::join!(set.notified(), async {
            tokio::task::yield_now().await;
            set.mark(pull(2));
        });
        assert_eq!(set.take(), BTreeSet::from([pull(2)]));
        let nothing = tokio::select! {
            biased;
            () = set.notified() => false,
            () = tokio::task::yield_now() => true,
        };
        assert!(nothing, "what was taken is not heard of again");
    }
}
