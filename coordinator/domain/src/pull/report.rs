//! All that there is to say of a pull request at the forge: at its door, in the train, or after it.
//! Not here: how it is written ([`super::words`]), and what was said last ([`super::Told`]).

use std::time::Duration;

use super::admission::{Admission, Refusal, Wait};
use super::words::{Annotation, CheckRun, Light, Marker, Reason};
use super::{Known, annotations, standing, verdicts};
use crate::gate::Finding;
use crate::name::GateName;
use crate::policy::Method;
use crate::train::{Car, State};

/// What is said of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the check run of its head.
    pub check: CheckRun,
    /// At lines of the files.
    pub annotations: Vec<Annotation>,
    /// In our one comment, if there is to be one.
    pub comment: Option<String>,
    /// What it is only progress of, where nothing was decided and nobody new has to act. Reports
    /// of the same progress follow each other at a distance ([`pause`]).
    pub progress: Option<String>,
}

/// How long the next report of the same progress waits, after so many of them. Requests that
/// change something are few (80 a minute, 8 for a landing), and a run takes minutes.
#[must_use]
pub fn pause(reports: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(15);
    const LONGEST: Duration = Duration::from_secs(16 * 60);
    FIRST.saturating_mul(4_u32.saturating_pow(reports)).min(LONGEST)
}

/// What a report follows from.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// What the board keeps.
    pub known: &'a Known,
    /// The car that it was made last.
    pub car: Option<&'a Car>,
    /// What the run found that took it out of the train, as long as that is kept.
    pub found: Option<&'a Finding>,
    /// How it was judged at the door, if it was.
    pub judged: Option<&'a Admission>,
    /// The gates that its base requires.
    pub required: &'a [GateName],
    /// How its base lands.
    pub method: Method,
    /// Whether we close it.
    pub closes: Closes,
}

/// Whether a pull request is closed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closes {
    /// It is.
    Yes,
    /// It is not, or by somebody else.
    No,
}

impl Report {
    /// What there is to say, if anything: of who asked for nothing nothing is said. A comment is
    /// written on a refusal, to answer, before we close it, and to keep one true that was written
    /// before.
    #[must_use]
    pub fn of(basis: Basis<'_>) -> Option<Self> {
        let known = basis.known;
        let Said { check, reason, refused, progress } =
            at_the_door(basis.judged).or_else(|| in_the_train(basis)).or_else(|| unasked(known))?;
        let commented = refused
            || known.told.comment.is_some()
            || !known.answers.is_empty()
            || basis.closes == Closes::Yes;
        let comment = commented.then(|| Marker(known.number).comment(&reason, &known.answers));
        // Whoever asked something is answered at once.
        let answer = known.answers.last().map(ToString::to_string).unwrap_or_default();
        let progress = progress.map(|it| it + &answer);
        let annotations = in_force(basis).map(|car| annotations(car, basis.found));
        let annotations = annotations.unwrap_or_default();
        Some(Self { check, annotations, comment, progress })
    }

    /// The same as long as the same is said of the same head.
    #[must_use]
    pub fn digest(&self, head: &str) -> String {
        let CheckRun { light, title, summary } = &self.check;
        let comment = self.comment.as_deref().unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        for Annotation { path, line, .. } in &self.annotations {
            hasher.update(format!("{path}:{line}\n").as_bytes());
        }
        for part in [head, &format!("{light:?}"), title, summary, comment] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

struct Said {
    check: CheckRun,
    /// What is told first.
    reason: Reason,
    /// Whether somebody is refused.
    refused: bool,
    progress: Option<String>,
}

fn at_the_door(judged: Option<&Admission>) -> Option<Said> {
    let admission = judged?;
    let check = CheckRun::of(admission);
    match admission {
        Admission::Wait { first, .. } => {
            let reason = Reason::from(first);
            // Programs report one after the other: how many more are waited for is progress.
            let awaited = matches!(first, Wait::Check(it) if it.lack.may_pass());
            let progress = awaited.then(|| reason.what.clone());
            Some(Said { check, reason, refused: false, progress })
        }
        Admission::Refused(refusal) => {
            let refused = *refusal != Refusal::Withdrawn;
            Some(Said { check, reason: refusal.into(), refused, progress: None })
        }
        Admission::NotAsked | Admission::Enter { .. } => None,
    }
}

/// The car of the head that is there now.
fn in_force(basis: Basis<'_>) -> Option<&Car> {
    basis.car.filter(|car| basis.known.head().as_str() == car.head)
}

fn in_the_train(basis: Basis<'_>) -> Option<Said> {
    let car = in_force(basis)?;
    let (light, reason) = standing(car, basis.required, basis.method);
    let refused = matches!(car.state, State::Ejected { .. }) && light == Light::Red;
    let check = CheckRun::listing(light, std::slice::from_ref(&reason));
    let progress = (light == Light::Pending).then(|| "train".to_owned());
    Some(Said { check: check.with(verdicts(car, basis.required)), reason, refused, progress })
}

/// Somebody is to be answered, or what was said of an earlier wish to be taken back.
fn unasked(known: &Known) -> Option<Said> {
    if known.answers.is_empty() && known.told.check.is_none() {
        return None;
    }
    let what = "nobody asked for it to land".to_owned();
    let reason = Reason { code: "closed", what, remedy: "ask for it by a comment" };
    let check = CheckRun::of(&Admission::NotAsked);
    Some(Said { check, reason, refused: false, progress: None })
}

#[cfg(test)]
mod tests {
    use super::super::check::{Lack, Lacking, Required, Source};
    use super::super::words::Answer;
    use super::super::{AppId, CheckTold, ForgeTime, PullKey, Sighting, Told, UserId};
    use super::*;
    use crate::train::Origin;

    fn known() -> Known {
        let key = PullKey::of(&"main".parse().expect("a name"), 7);
        let head = "a".repeat(40).parse().expect("forty digits");
        Known::new(&key, Sighting { head, at: ForgeTime(0) }, Origin::Own, UserId(1))
    }

    fn said(known: &Known, judged: Option<&Admission>) -> Option<Report> {
        let (car, found, required, closes) = (None, None, &[], Closes::No);
        Report::of(Basis { known, car, found, judged, required, method: Method::Merge, closes })
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
        assert_eq!(said(&known(), Some(&DRAFT)).and_then(|it| it.progress), None);
        let answered = Known { answers: vec![Answer::new("ann", "no")], ..known() };
        assert!(comments(&answered, Some(&DRAFT)));
        assert!(comments(&answered, None));
        let told = Told { comment: Some(9), ..Told::default() };
        assert!(comments(&Known { told, ..known() }, Some(&DRAFT)));
    }

    #[test]
    fn only_what_ends_by_itself_is_progress() {
        let progress = |lack, more| {
            let required = Required { name: "ci".to_owned(), source: Source::App(AppId(3)) };
            let first = Wait::Check(Lacking { required, lack });
            said(&known(), Some(&Admission::Wait { first, more })).and_then(|it| it.progress)
        };
        let pending = progress(Lack::Pending, vec![Wait::Draft]);
        assert!(pending.is_some());
        assert_eq!(pending, progress(Lack::Pending, Vec::new()));
        assert_ne!(pending, progress(Lack::Unsaid, Vec::new()));
        assert_eq!(progress(Lack::Red { word: "failure".to_owned() }, Vec::new()), None);
    }

    #[test]
    fn an_answer_is_no_progress() {
        let required = Required { name: "ci".to_owned(), source: Source::App(AppId(3)) };
        let first = Wait::Check(Lacking { required, lack: Lack::Pending });
        let waits = Admission::Wait { first, more: Vec::new() };
        let progress = |answers: &[&str]| {
            let answers = answers.iter().map(|it| Answer::new("ann", it)).collect();
            said(&Known { answers, ..known() }, Some(&waits)).and_then(|it| it.progress)
        };
        assert_ne!(progress(&[]), progress(&["it waits"]));
        assert_ne!(progress(&["it waits"]), progress(&["it waits", "it still does"]));
    }

    #[test]
    fn reports_of_progress_are_few_however_long_it_takes() {
        let (mut passed, mut reports) = (Duration::ZERO, 0);
        while passed < Duration::from_secs(60 * 60) {
            passed += pause(reports);
            reports += 1;
        }
        assert!(reports <= 7, "{reports}");
        assert_eq!(pause(0), Duration::from_secs(15));
        assert_eq!(pause(u32::MAX), Duration::from_secs(16 * 60));
    }

    #[test]
    fn before_we_close_it_people_are_told_why() {
        let check = Some(CheckTold { head: known().head().clone(), id: 5 });
        let known = Known { told: Told { check, ..Told::default() }, ..known() };
        let commented = |closes| {
            let method = Method::Merge;
            let (known, car, found, judged, required) = (&known, None, None, None, &[]);
            Report::of(Basis { known, car, found, judged, required, method, closes })
                .expect("there is something to say")
                .comment
                .is_some()
        };
        assert_eq!((commented(Closes::Yes), commented(Closes::No)), (true, false));
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
