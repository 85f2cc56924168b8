//! Which head a person's word is about.
//!
//! What is said in a comment is about what its writer saw. The head that was the last one seen
//! before the comment was written is taken for it, and only while it is still the head; in every
//! other case the writer is asked for the id (merging.md, Override; B22). Both times are the
//! forge's, so no two clocks are compared. Not here: what is said ([`super::command`]).

use serde::{Deserialize, Serialize};

use super::{CommitId, ForgeTime};

/// That a pull request had a head when the forge was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The head.
    pub head: CommitId,
    /// When it was first seen, by the date of the forge's answer.
    pub at: ForgeTime,
}

/// Why a word is about no head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbound {
    /// The head was not seen before the word was written.
    #[error("its head {now} was not known before the comment: name it, head={now}")]
    Unsure {
        /// The head now.
        now: CommitId,
    },
    /// It names a head that is not there any more, or never was.
    #[error("it names {named}, the head is {now}: look at that one first")]
    Other {
        /// What it names.
        named: CommitId,
        /// The head now.
        now: CommitId,
    },
    /// No head was ever seen.
    #[error("no head of the change is known yet")]
    Unseen,
}

/// The head that a word is about, which is always the one now.
///
/// `seen` is what was seen of the pull request, in order; the last one is the head now.
///
/// # Errors
///
/// [`Unbound`], when the writer may have looked at something else.
pub fn bind(
    named: Option<&CommitId>,
    written: ForgeTime,
    seen: &[Sighting],
) -> Result<CommitId, Unbound> {
    let now = &seen.last().ok_or(Unbound::Unseen)?.head;
    if let Some(named) = named {
        if named == now {
            return Ok(now.clone());
        }
        return Err(Unbound::Other { named: named.clone(), now: now.clone() });
    }
    // Seconds are coarse: what was seen in the same one may have been seen after.
    let looked_at = seen.iter().rfind(|sighting| sighting.at < written);
    match looked_at {
        Some(sighting) if sighting.head == *now => Ok(now.clone()),
        _ => Err(Unbound::Unsure { now: now.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn commit(digit: u8) -> CommitId {
        format!("{digit:x}").repeat(40).parse().unwrap()
    }

    fn seen(heads: &[(u8, u64)]) -> Vec<Sighting> {
        let sighting = |&(digit, at)| Sighting { head: commit(digit), at: ForgeTime(at) };
        heads.iter().map(sighting).collect()
    }

    fn unsure(digit: u8) -> Result<CommitId, Unbound> {
        Err(Unbound::Unsure { now: commit(digit) })
    }

    #[test]
    fn a_word_is_about_the_head_that_was_there_before_it() {
        let one = seen(&[(1, 10)]);
        assert_eq!(bind(None, ForgeTime(11), &one), Ok(commit(1)));
        assert_eq!(bind(None, ForgeTime(10), &one), unsure(1), "the same second");
        assert_eq!(bind(None, ForgeTime(9), &one), unsure(1));
        assert_eq!(bind(None, ForgeTime(9), &[]), Err(Unbound::Unseen));
    }

    #[test]
    fn a_push_around_the_comment_is_asked_about() {
        let two = seen(&[(1, 10), (2, 25)]);
        assert_eq!(bind(None, ForgeTime(20), &two), unsure(2));
        assert_eq!(bind(None, ForgeTime(26), &two), Ok(commit(2)));
        // Pushed back to a head that was seen early, while the comment was about the other.
        let back = seen(&[(1, 10), (2, 25), (1, 40)]);
        assert_eq!(bind(None, ForgeTime(30), &back), unsure(1));
        assert_eq!(bind(None, ForgeTime(12), &back), Ok(commit(1)));
    }

    #[test]
    fn a_named_head_must_be_the_head() {
        let two = seen(&[(1, 10), (2, 25)]);
        assert_eq!(bind(Some(&commit(2)), ForgeTime(1), &two), Ok(commit(2)));
        let other = Unbound::Other { named: commit(1), now: commit(2) };
        assert_eq!(bind(Some(&commit(1)), ForgeTime(30), &two), Err(other));
    }

    proptest! {
        #[test]
        fn no_word_is_ever_about_a_head_that_is_gone(
            heads in proptest::collection::vec((1u8..4, 0u64..40), 0..6),
            named in proptest::option::of(1u8..4),
            written in 0u64..40,
        ) {
            let seen = seen(&heads);
            if let Ok(bound) = bind(named.map(commit).as_ref(), ForgeTime(written), &seen) {
                prop_assert_eq!(&bound, &seen.last().unwrap().head);
                let before = |it: &Sighting| it.head == bound && it.at < ForgeTime(written);
                prop_assert!(named.is_some() || seen.iter().any(before));
            }
        }
    }
}
