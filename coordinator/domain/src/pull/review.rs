//! What people say of a head: reviews, and whether the base's rules have as many as they want.
//!
//! Of each person the latest word counts that says yes or no (B23). A yes is of one commit, and a
//! new head has none; a no stays until its writer takes it back or it is dismissed. Only who may
//! write is heard. Not here: approvals of gates and heads by command ([`super::command`]), and
//! code owners, which the forge alone knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{CommitId, Right, UserId};

/// A review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its number at the forge; later ones are higher.
    pub id: u64,
    /// Who wrote it; an account that is gone has no word.
    pub by: UserId,
    /// The commit that it is about; the forge forgets those that are gone.
    pub head: Option<CommitId>,
    /// What it says.
    pub opinion: Opinion,
}

/// What a review says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// Yes.
    Approved,
    /// No.
    ChangesRequested,
    /// Neither.
    Commented,
    /// It said something that does not count any more.
    Dismissed,
    /// It is still being written.
    Pending,
    /// A word that is none of the forge's when this was written.
    Unknown(String),
}

impl Opinion {
    /// What a review's `state` says.
    #[must_use]
    pub fn of(state: &str) -> Self {
        match state {
            "APPROVED" => Self::Approved,
            "CHANGES_REQUESTED" => Self::ChangesRequested,
            "COMMENTED" => Self::Commented,
            "DISMISSED" => Self::Dismissed,
            "PENDING" => Self::Pending,
            state => Self::Unknown(state.to_owned()),
        }
    }
}

/// What reviews come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opinions {
    /// Who may write and approved this very head.
    pub approved: BTreeSet<UserId>,
    /// Who may write and approved another head last.
    pub stale: BTreeSet<UserId>,
    /// Who may write and wants changes.
    pub against: BTreeSet<UserId>,
}

/// Why a head has not the reviews that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreviewed {
    /// Somebody wants changes.
    Against {
        /// Who.
        by: BTreeSet<UserId>,
    },
    /// Too few approved it.
    Few {
        /// How many did.
        approved: usize,
        /// How many it takes.
        wanted: u32,
        /// How many approved another head.
        stale: usize,
    },
}

impl fmt::Display for Unreviewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Against { by } => write!(f, "changes are requested by {}", people(by.len())),
            Self::Few { approved, wanted, stale } => {
                write!(f, "{approved} of {wanted} approvals of this head")?;
                match stale {
                    0 => Ok(()),
                    stale => write!(f, "; {} approved another one", people(*stale)),
                }
            }
        }
    }
}

fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

/// What `reviews` come to for a head that `opened_by` proposed, who has no say in it. Who is not
/// in `rights`, read now, has none.
#[must_use]
pub fn opinions(
    reviews: &[Review],
    rights: &BTreeMap<UserId, Right>,
    opened_by: UserId,
    head: &CommitId,
) -> Opinions {
    let mut ordered: Vec<&Review> = reviews.iter().collect();
    ordered.sort_by_key(|review| review.id);
    let mut latest: BTreeMap<UserId, &Review> = BTreeMap::new();
    for review in ordered {
        match review.opinion {
            Opinion::Commented | Opinion::Pending => {}
            Opinion::Approved | Opinion::ChangesRequested | Opinion::Dismissed => {
                latest.insert(review.by, review);
            }
            // Whatever it says, it takes a yes back and no no.
            Opinion::Unknown(_) => {
                let known = latest.get(&review.by).map(|review| &review.opinion);
                if known != Some(&Opinion::ChangesRequested) {
                    latest.insert(review.by, review);
                }
            }
        }
    }
    let mut opinions = Opinions::default();
    let may = |by: &UserId| rights.get(by).is_some_and(|right| *right >= Right::Write);
    for (by, review) in latest.into_iter().filter(|(by, _)| *by != opened_by && may(by)) {
        match review.opinion {
            Opinion::Approved if review.head.as_ref() == Some(head) => opinions.approved.insert(by),
            Opinion::Approved => opinions.stale.insert(by),
            Opinion::ChangesRequested => opinions.against.insert(by),
            Opinion::Commented | Opinion::Pending | Opinion::Dismissed | Opinion::Unknown(_) => {
                continue;
            }
        };
    }
    opinions
}

impl Opinions {
    /// What is missing where `wanted` approvals are.
    #[must_use]
    pub fn lacking(&self, wanted: u32) -> Option<Unreviewed> {
        let approved = self.approved.len();
        if !self.against.is_empty() {
            Some(Unreviewed::Against { by: self.against.clone() })
        } else if approved < wanted as usize {
            Some(Unreviewed::Few { approved, wanted, stale: self.stale.len() })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AUTHOR: UserId = UserId(1);

    fn commit(digit: u8) -> CommitId {
        format!("{digit:x}").repeat(40).parse().unwrap()
    }

    fn review(id: u64, by: u64, head: u8, state: &str) -> Review {
        Review { id, by: UserId(by), head: Some(commit(head)), opinion: Opinion::of(state) }
    }

    fn rights() -> BTreeMap<UserId, Right> {
        [(AUTHOR, Right::Admin), (UserId(2), Right::Write), (UserId(3), Right::Maintain)]
            .into_iter()
            .chain([(UserId(4), Right::Triage)])
            .collect()
    }

    fn lacking(reviews: &[Review], wanted: u32) -> Option<Unreviewed> {
        opinions(reviews, &rights(), AUTHOR, &commit(1)).lacking(wanted)
    }

    fn few(approved: usize, wanted: u32, stale: usize) -> Option<Unreviewed> {
        Some(Unreviewed::Few { approved, wanted, stale })
    }

    fn against(by: u64) -> Option<Unreviewed> {
        Some(Unreviewed::Against { by: [UserId(by)].into() })
    }

    #[test]
    fn the_latest_word_of_each_who_may_write_counts() {
        assert_eq!(lacking(&[review(1, 2, 1, "APPROVED")], 1), None);
        assert_eq!(
            lacking(&[review(1, 2, 1, "APPROVED"), review(2, 2, 1, "APPROVED")], 2),
            few(1, 2, 0)
        );
        for by in [1, 4, 9] {
            assert_eq!(lacking(&[review(1, by, 1, "APPROVED")], 1), few(0, 1, 0), "{by}");
        }
        let comment = [review(1, 2, 1, "APPROVED"), review(2, 2, 1, "COMMENTED")];
        assert_eq!(lacking(&comment, 1), None);
        let turned = [review(2, 2, 1, "CHANGES_REQUESTED"), review(1, 2, 1, "APPROVED")];
        assert_eq!(lacking(&turned, 0), against(2));
        let back = [review(1, 2, 1, "CHANGES_REQUESTED"), review(2, 2, 1, "APPROVED")];
        assert_eq!(lacking(&back, 1), None);
        assert_eq!(lacking(&[review(1, 4, 1, "CHANGES_REQUESTED")], 0), None, "no say");
    }

    #[test]
    fn an_older_head_and_a_dismissed_review_count_no_more() {
        assert_eq!(lacking(&[review(1, 2, 2, "APPROVED")], 1), few(0, 1, 1));
        let gone = Review { head: None, ..review(1, 2, 1, "APPROVED") };
        assert_eq!(lacking(&[gone], 1), few(0, 1, 1));
        assert_eq!(lacking(&[review(1, 2, 2, "CHANGES_REQUESTED")], 0), against(2));
        assert_eq!(lacking(&[review(1, 2, 1, "DISMISSED")], 0), None);
        let dismissed = [review(1, 2, 1, "APPROVED"), review(2, 2, 1, "DISMISSED")];
        assert_eq!(lacking(&dismissed, 1), few(0, 1, 0));
    }

    #[test]
    fn an_unknown_word_takes_a_yes_back_and_no_no() {
        let yes = [review(1, 2, 1, "APPROVED"), review(2, 2, 1, "ENDORSED")];
        assert_eq!(lacking(&yes, 1), few(0, 1, 0));
        let no = [review(1, 2, 1, "CHANGES_REQUESTED"), review(2, 2, 1, "ENDORSED")];
        assert_eq!(lacking(&no, 0), against(2));
        let told = few(0, 2, 1).map(|few| few.to_string());
        assert_eq!(
            told.as_deref(),
            Some("0 of 2 approvals of this head; 1 person approved another one")
        );
    }

    fn reviews() -> impl Strategy<Value = Vec<Review>> {
        let states = vec!["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "LIKED"];
        let one = (1u64..6, 1u8..3, proptest::sample::select(states));
        proptest::collection::vec(one, 0..8).prop_map(|all| {
            let numbered = (1..).zip(all);
            numbered.map(|(id, (by, head, state))| review(id, by, head, state)).collect()
        })
    }

    proptest! {
        #[test]
        fn to_lose_a_yes_or_a_right_never_lets_more_pass(
            reviews in reviews(), wanted in 0u32..3, who in 2u64..5,
        ) {
            let before = lacking(&reviews, wanted);
            let mut less = reviews.clone();
            // The last word of somebody, as what it took back would be in force again.
            if let Some(last) = less.iter().rposition(|review| review.by == UserId(who))
                && less[last].opinion == Opinion::Approved
            {
                less[last].opinion = Opinion::Unknown("gone".to_owned());
                prop_assert!(lacking(&less, wanted).is_some() || before.is_none());
            }
            let mut fewer = rights();
            fewer.insert(UserId(who), Right::Read);
            let approved = |rights| opinions(&reviews, rights, AUTHOR, &commit(1)).approved.len();
            prop_assert!(approved(&fewer) <= approved(&rights()));
        }

        #[test]
        fn who_counts_approved_this_head_and_may_write(reviews in reviews()) {
            let opinions = opinions(&reviews, &rights(), AUTHOR, &commit(1));
            for by in opinions.approved {
                prop_assert!(by != AUTHOR && rights()[&by] >= Right::Write);
                let its = |it: &Review| {
                    it.by == by && it.head == Some(commit(1)) && it.opinion == Opinion::Approved
                };
                prop_assert!(reviews.iter().any(its));
            }
        }
    }
}
