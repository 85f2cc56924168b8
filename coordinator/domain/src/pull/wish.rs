//! Whether somebody wants a pull request to land: by a command, by having submitted it, by the label,
//! or by the forge's auto-merge. Not here: whether it may ([`super::admission`]).

use super::admission::{Asked, How, Wish};
use super::{CommitId, Known, Right, UserId};

/// What the forge shows of wishes for a pull request.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its head now.
    pub head: &'a CommitId,
    /// Who opened it.
    pub opened_by: UserId,
    /// Whether it has the label.
    pub labelled: bool,
    /// Who chose auto-merge, if it is chosen.
    pub auto_merge: Option<UserId>,
}

/// What is wanted, and the comment that says so, if one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub wish: Wish,
    /// The comment.
    pub comment: Option<u64>,
}

impl Known {
    /// Who wants it to land: by a command, else by having submitted it, else by the label or
    /// auto-merge, unless somebody cancelled at this head.
    ///
    /// Whoever submitted the head pushed it, which takes the right to write.
    ///
    /// A label and auto-merge say nothing of heads, so they count for every head: one of our own
    /// repository was pushed by somebody who may write, and one of a fork is looked at by a
    /// maintainer before anything else. Whoever chose auto-merge has no right here: it is to be
    /// read when the wish is judged.
    #[must_use]
    pub fn wanted(&self, shown: Shown<'_>) -> Wanted {
        let by_command = self.asked.as_ref();
        if let Some(asked) = by_command.filter(|it| it.asked.head == *shown.head) {
            return Wanted { wish: Wish::Land(asked.asked.clone()), comment: Some(asked.comment) };
        }
        if self.cancelled.as_ref() == Some(shown.head) {
            return Wanted { wish: Wish::Withdrawn, comment: None };
        }
        let land = |by, right, how| Wish::Land(Asked { by, right, head: shown.head.clone(), how });
        let submitted = self.submitted();
        let wish = match (shown.labelled, shown.auto_merge, by_command) {
            _ if submitted == Some(shown.head) => {
                land(shown.opened_by, Right::Write, How::Submitted)
            }
            (true, _, _) => land(shown.opened_by, Right::Write, How::Label),
            (false, Some(by), _) => land(by, Right::None, How::AutoMerge),
            // It is told that the head moved.
            (false, None, Some(asked)) => Wish::Land(asked.asked.clone()),
            (false, None, None) => submitted.map_or(Wish::None, |head| {
                let (by, right) = (shown.opened_by, Right::Write);
                Wish::Land(Asked { by, right, head: head.clone(), how: How::Submitted })
            }),
        };
        Wanted { wish, comment: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AskedIn, ForgeTime, PullKey, Sighting};
    use super::*;
    use crate::train::Origin;

    const AUTHOR: UserId = UserId(1);
    const OTHER: UserId = UserId(2);

    fn head(digit: &str) -> CommitId {
        digit.repeat(40).parse().expect("forty digits")
    }

    fn known() -> Known {
        let key = PullKey::of(&"main".parse().expect("a name"), 7);
        Known::new(&key, Sighting { head: head("a"), at: ForgeTime(0) }, Origin::Own, AUTHOR)
    }

    fn asked_at(head: CommitId) -> Option<AskedIn> {
        let asked = Asked { by: OTHER, right: Right::Write, head, how: How::Command };
        Some(AskedIn { comment: 5, asked })
    }

    fn how(
        known: &Known,
        labelled: bool,
        auto_merge: Option<UserId>,
    ) -> (Option<How>, Option<u64>) {
        let shown = Shown { head: &head("a"), opened_by: AUTHOR, labelled, auto_merge };
        let Wanted { wish, comment } = known.wanted(shown);
        match wish {
            Wish::Land(asked) => (Some(asked.how), comment),
            Wish::None | Wish::Withdrawn => (None, comment),
        }
    }

    #[test]
    fn a_command_for_this_head_counts_before_all_else() {
        let known = Known { asked: asked_at(head("a")), cancelled: Some(head("a")), ..known() };
        assert_eq!(how(&known, true, Some(OTHER)), (Some(How::Command), Some(5)));
    }

    #[test]
    fn a_cancelled_head_is_wanted_by_no_label_and_no_auto_merge() {
        let known = Known { asked: asked_at(head("b")), cancelled: Some(head("a")), ..known() };
        assert_eq!(how(&known, true, Some(OTHER)), (None, None));
        let other = Known { cancelled: Some(head("b")), ..known };
        assert_eq!(how(&other, true, Some(OTHER)), (Some(How::Label), None));
    }

    #[test]
    fn auto_merge_counts_without_a_right_until_it_is_read() {
        let shown =
            Shown { head: &head("a"), opened_by: AUTHOR, labelled: false, auto_merge: Some(OTHER) };
        let Wish::Land(asked) = known().wanted(shown).wish else { panic!("it is wanted") };
        assert_eq!((asked.by, asked.right, asked.how), (OTHER, Right::None, How::AutoMerge));
    }

    #[test]
    fn a_command_for_another_head_is_told_so_and_wants_that_one() {
        let known = Known { asked: asked_at(head("b")), ..known() };
        let shown =
            Shown { head: &head("a"), opened_by: AUTHOR, labelled: false, auto_merge: None };
        let Wish::Land(asked) = known.wanted(shown).wish else { panic!("it is wanted") };
        assert_eq!(asked.head, head("b"));
        assert_eq!(how(&Known { asked: None, ..known }, false, None), (None, None));
    }
}
