//! All that there is to say of a pull request at the forge: at its door, in the train, or after it.
//! Not here: how it is written ([`super::words`]), and what was said last ([`super::Told`]).

use super::admission::{Admission, Refusal};
use super::words::{CheckRun, Light, Marker, Reason};
use super::{Known, standing};
use crate::name::GateName;
use crate::policy::Method;
use crate::train::{Car, State};

/// What is said of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the check run of its head.
    pub check: CheckRun,
    /// In our one comment, if there is to be one.
    pub comment: Option<String>,
}

/// What a report follows from.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// What the board keeps.
    pub known: &'a Known,
    /// The car that it was made last.
    pub car: Option<&'a Car>,
    /// How it was judged at the door, if it was.
    pub judged: Option<&'a Admission>,
    /// The gates that its base requires.
    pub required: &'a [GateName],
    /// How its base lands.
    pub method: Method,
}

impl Report {
    /// What there is to say, if anything: of who asked for nothing nothing is said. A comment is
    /// written on a refusal, to answer, and to keep one true that was written before.
    #[must_use]
    pub fn of(basis: Basis<'_>) -> Option<Self> {
        let known = basis.known;
        let (check, reason, refused) =
            at_the_door(basis.judged).or_else(|| in_the_train(basis)).or_else(|| unasked(known))?;
        let commented = refused || known.told.comment.is_some() || !known.answers.is_empty();
        let comment = commented.then(|| Marker(known.number).comment(&reason, &known.answers));
        Some(Self { check, comment })
    }

    /// The same as long as the same is said of the same head.
    #[must_use]
    pub fn digest(&self, head: &str) -> String {
        let CheckRun { light, title, summary } = &self.check;
        let comment = self.comment.as_deref().unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        for part in [head, &format!("{light:?}"), title, summary, comment] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// A check run, the reason that is told first, and whether somebody is refused.
type Said = (CheckRun, Reason, bool);

fn at_the_door(judged: Option<&Admission>) -> Option<Said> {
    let admission = judged?;
    let (reason, refused) = match admission {
        Admission::Wait { first, .. } => (Reason::from(first), false),
        Admission::Refused(refusal) => (Reason::from(refusal), *refusal != Refusal::Withdrawn),
        Admission::NotAsked | Admission::Enter { .. } => return None,
    };
    Some((CheckRun::of(admission), reason, refused))
}

fn in_the_train(basis: Basis<'_>) -> Option<Said> {
    let car = basis.car.filter(|car| basis.known.head().as_str() == car.head)?;
    let (light, reason) = standing(car, basis.required, basis.method);
    let refused = matches!(car.state, State::Ejected { .. }) && light == Light::Red;
    Some((CheckRun::listing(light, std::slice::from_ref(&reason)), reason, refused))
}

/// Somebody is to be answered, or what was said of an earlier wish to be taken back.
fn unasked(known: &Known) -> Option<Said> {
    if known.answers.is_empty() && known.told.check.is_none() {
        return None;
    }
    let what = "nobody asked for it to land".to_owned();
    let reason = Reason { code: "closed", what, remedy: "ask for it by a comment" };
    Some((CheckRun::of(&Admission::NotAsked), reason, false))
}

#[cfg(test)]
mod tests {
    use super::super::admission::Wait;
    use super::super::words::Answer;
    use super::super::{CheckTold, ForgeTime, PullKey, Sighting, Told, UserId};
    use super::*;
    use crate::train::Origin;

    fn known() -> Known {
        let key = PullKey::of(&"main".parse().expect("a name"), 7);
        let head = "a".repeat(40).parse().expect("forty digits");
        Known::new(&key, Sighting { head, at: ForgeTime(0) }, Origin::Own, UserId(1))
    }

    fn said(known: &Known, judged: Option<&Admission>) -> Option<Report> {
        Report::of(Basis { known, car: None, judged, required: &[], method: Method::Merge })
    }

    fn comments(known: &Known, judged: Option<&Admission>) -> bool {
        said(known, judged).expect("there is something to say").comment.is_some()
    }

    const CLOSED: Admission = Admission::Refused(Refusal::Closed);
    const DRAFT: Admission = Admission::Wait { first: Wait::Draft, more: Vec::new() };

    #[test]
    fn nothing_is_said_of_who_asked_for_nothing() {
        assert_eq!(said(&known(), None), None);
        assert_eq!(said(&known(), Some(&Admission::NotAsked)), None);
        let check = Some(CheckTold { head: known().head().clone(), id: 5 });
        let taken_back = Known { told: Told { check, ..Told::default() }, ..known() };
        assert!(!comments(&taken_back, None));
    }

    #[test]
    fn a_comment_is_for_a_refusal_an_answer_and_what_was_commented_before() {
        assert!(comments(&known(), Some(&CLOSED)));
        assert!(!comments(&known(), Some(&Admission::Refused(Refusal::Withdrawn))));
        assert!(!comments(&known(), Some(&DRAFT)));
        let answered = Known { answers: vec![Answer::new("ann", "no")], ..known() };
        assert!(comments(&answered, Some(&DRAFT)));
        assert!(comments(&answered, None));
        let told = Told { comment: Some(9), ..Told::default() };
        assert!(comments(&Known { told, ..known() }, Some(&DRAFT)));
    }

    #[test]
    fn other_words_and_another_head_have_another_digest() {
        let closed = said(&known(), Some(&CLOSED)).expect("it is told");
        let draft = said(&known(), Some(&DRAFT)).expect("it is told");
        assert_eq!(closed.digest("a"), closed.clone().digest("a"));
        assert_ne!(closed.digest("a"), closed.digest("b"));
        assert_ne!(closed.digest("a"), draft.digest("a"));
        assert_ne!(closed.digest("a"), Report { comment: None, ..closed.clone() }.digest("a"));
    }
}
