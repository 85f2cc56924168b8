//! Pull requests of all kinds at the door of the train.

use proptest::prelude::*;

use super::*;
use crate::pull::check::{Listing, Required, Run, Source, Word};
use crate::pull::review::Opinion;
use crate::pull::rules::{Bypass, NEEDS, Permission, Place, Rule, Strict};

const AUTHOR: UserId = UserId(1);
const CI: AppId = AppId(2);

/// The stable codes, as merging.md lists them.
const CODES: &str = "queued waiting-scope waiting-ahead conflict-ahead frozen building ready \
    landing landed head-moved base-red conflict-base gate-failed composition flaky gate-timeout \
    gate-interrupted scope-escape surprise-diff announcement-missing approval-missing \
    policy-change override-void ruleset-blocked forge-cooldown auth-lost base-rewritten dequeued \
    closed superseded";

fn commit(digit: u8) -> CommitId {
    format!("{digit:x}").repeat(40).parse().unwrap()
}

/// What facts are made of.
#[derive(Debug, Clone)]
struct Case {
    pull: Pull,
    wish: Wish,
    looked: Vec<Looked>,
    rules: Vec<Found>,
    installation: Installation,
    changed: Vec<String>,
    said: Said,
    reviews: Vec<Review>,
    rights: BTreeMap<UserId, Right>,
}

fn asked(right: Right, head: u8) -> Wish {
    Wish::Land(Asked { by: AUTHOR, right, head: commit(head), how: How::Command })
}

fn run(word: Word) -> Run {
    Run { id: 1, name: "ci".to_owned(), app: CI, head: commit(1), word }
}

fn review(opinion: Opinion) -> Review {
    Review { id: 1, by: UserId(2), head: Some(commit(1)), opinion }
}

fn protection(rule: Rule) -> Found {
    Found { rule, place: Place::Protection, bypass: Bypass::Always }
}

impl Case {
    /// One that enters: a green check and an approval are required and there.
    fn sound() -> Self {
        let contexts = vec![Required { name: "ci".to_owned(), source: Source::App(CI) }];
        let rules = vec![
            protection(Rule::StatusChecks { contexts, strict: Strict::Yes }),
            protection(Rule::PullRequest { approvals: 1, beyond: [].into() }),
        ];
        Self {
            pull: Pull {
                head: commit(1),
                base: "main".to_owned(),
                origin: Origin::Own,
                opened_by: AUTHOR,
                stage: Stage::Open,
                stack: Stack::None,
            },
            wish: asked(Right::Write, 1),
            looked: Vec::new(),
            rules,
            installation: Installation::Active(NEEDS.into()),
            changed: vec!["src/lib.rs".to_owned()],
            said: Said {
                runs: vec![run(Word::Green)],
                statuses: Vec::new(),
                listing: Listing::Whole,
            },
            reviews: vec![review(Opinion::Approved)],
            rights: [(UserId(2), Right::Write)].into(),
        }
    }

    fn admission(&self) -> Admission {
        admission(&Facts {
            pull: &self.pull,
            branch: "main",
            method: Method::Merge,
            wish: &self.wish,
            looked: &self.looked,
            rules: &self.rules,
            installation: &self.installation,
            changed: &self.changed,
            said: &self.said,
            ours: AppId(1),
            reviews: &self.reviews,
            rights: &self.rights,
        })
    }

    /// The codes of everything in the way.
    fn codes(&self) -> Vec<&'static str> {
        match self.admission() {
            Admission::NotAsked | Admission::Enter { .. } => Vec::new(),
            Admission::Wait { first, more } => {
                std::iter::once(first).chain(more).map(|wait| wait.reason()).collect()
            }
            Admission::Refused(refusal) => vec![refusal.reason()],
        }
    }

    fn enters(&self) -> bool {
        matches!(self.admission(), Admission::Enter { .. })
    }
}

#[test]
fn what_was_asked_for_and_lacks_nothing_enters_with_its_head() {
    assert_eq!(Case::sound().admission(), Admission::Enter { head: commit(1) });
    let unasked = Case { wish: Wish::None, ..Case::sound() };
    assert_eq!(unasked.admission(), Admission::NotAsked);
}

#[test]
fn a_wish_is_of_one_head_and_takes_the_right_to_write() {
    let moved = Case { wish: asked(Right::Admin, 2), ..Case::sound() };
    let refusal = Refusal::HeadMoved { asked: commit(2), now: commit(1) };
    assert_eq!(moved.admission(), Admission::Refused(refusal));
    for right in [Right::None, Right::Read, Right::Triage] {
        let weak = Case { wish: asked(right, 1), ..Case::sound() };
        assert_eq!(weak.admission(), Admission::Refused(Refusal::NotAllowed { right }));
    }
    let back = Case { wish: Wish::Withdrawn, ..Case::sound() };
    assert_eq!(back.codes(), ["dequeued"]);
}

#[test]
fn what_is_closed_elsewhere_or_stacked_is_refused() {
    let with = |change: fn(&mut Pull)| {
        let mut case = Case::sound();
        change(&mut case.pull);
        case.codes()
    };
    assert_eq!(with(|pull| pull.stage = Stage::Closed), ["closed"]);
    assert_eq!(with(|pull| pull.stage = Stage::Merged), ["landed"]);
    assert_eq!(with(|pull| pull.base = "next".to_owned()), ["closed"]);
    assert_eq!(with(|pull| pull.stack = Stack::Part), ["ruleset-blocked"]);
    let on_top = |pull: &mut Pull| {
        pull.base = "feature/below".to_owned();
        pull.stack = Stack::OnTop { of: 7 };
    };
    assert_eq!(with(on_top), ["ruleset-blocked"], "which branch it is for is said by that");
    assert_eq!(with(|pull| pull.stage = Stage::Draft), ["approval-missing"]);
}

#[test]
fn of_a_fork_nothing_is_asked_before_a_person_looked_at_that_head() {
    let mut fork = Case::sound();
    fork.pull.origin = Origin::Fork("mallory/widget".to_owned());
    fork.said.runs.clear();
    assert_eq!(fork.codes(), ["approval-missing"], "and nothing of its checks");
    for (head, right) in [(2, Right::Admin), (1, Right::Write)] {
        fork.looked = vec![Looked { head: commit(head), right }];
        assert_eq!(fork.codes(), ["approval-missing"]);
    }
    fork.looked = vec![Looked { head: commit(1), right: Right::Maintain }];
    assert_eq!(fork.codes(), ["building"]);
    fork.said.runs = vec![run(Word::Green)];
    assert!(fork.enters());
}

#[test]
fn all_that_is_waited_for_is_told_at_once() {
    let mut case = Case::sound();
    case.pull.stage = Stage::Draft;
    case.said.runs = vec![run(Word::Red("failure"))];
    case.reviews = vec![review(Opinion::ChangesRequested)];
    case.changed = vec![".github/workflows/ci.yml".to_owned()];
    case.rules.push(protection(Rule::MergeQueue));
    let expected = ["approval-missing", "ruleset-blocked", "auth-lost", "gate-failed"];
    assert_eq!(case.codes()[..4], expected);
    assert_eq!(case.codes()[4..], ["approval-missing"]);
    case.said.listing = Listing::Cut;
    case.said.runs = vec![run(Word::Green)];
    assert!(case.codes().contains(&"building"));
}

#[test]
fn an_installation_that_is_gone_admits_nothing() {
    for installation in [Installation::Gone, Installation::Suspended] {
        let case = Case { installation, ..Case::sound() };
        assert_eq!(case.codes()[0], "auth-lost");
    }
}

/// Mostly yes, so that about as many enter as not.
fn mostly() -> impl Strategy<Value = bool> {
    proptest::bool::weighted(0.9)
}

/// What programs and people say: mostly yes, and mostly of the head.
fn sayings() -> impl Strategy<Value = Vec<(bool, u8)>> {
    let saying = (mostly(), prop_oneof![8 => Just(0u8), 1 => 1u8..4]);
    proptest::collection::vec(saying, 1..3)
}

prop_compose! {
    fn anything()(
        of_head in mostly(), ready in mostly(), own in any::<bool>(), looked in mostly(),
        may in mostly(), runs in sayings(), reviews in sayings(), plain in mostly(),
        whole in mostly(),
    ) -> Case {
        let mut case = Case::sound();
        let head = |of_head| commit(if of_head { 1 } else { 2 });
        let right = if may { Right::Write } else { Right::Read };
        case.wish = asked(right, if of_head { 1 } else { 2 });
        if !ready {
            case.pull.stage = Stage::Draft;
        }
        if !own {
            case.pull.origin = Origin::Fork("a/b".to_owned());
            case.looked = vec![Looked { head: head(looked), right: Right::Maintain }];
        }
        if !plain {
            case.changed.push(".github/workflows/ci.yml".to_owned());
        }
        if !whole {
            case.said.listing = Listing::Cut;
        }
        let word = |word| match word {
            0 => Word::Green,
            1 => Word::Pending,
            2 => Word::Red("failure"),
            _ => Word::Unknown("odd".to_owned()),
        };
        let numbered = (1..).zip(runs);
        case.said.runs = numbered
            .map(|(id, (of_head, said))| Run { id, head: head(of_head), ..run(word(said)) })
            .collect();
        let opinion = |word| match word {
            0 => Opinion::Approved,
            1 => Opinion::ChangesRequested,
            _ => Opinion::Commented,
        };
        let numbered = (1..).zip(reviews);
        case.reviews = numbered
            .map(|(id, (of_head, said))| {
                Review { id, head: Some(head(of_head)), ..review(opinion(said)) }
            })
            .collect();
        case
    }
}

/// Facts with one good thing fewer.
fn worse(case: &Case) -> Vec<Case> {
    let with = |change: &dyn Fn(&mut Case)| {
        let mut worse = case.clone();
        change(&mut worse);
        worse
    };
    let mut worse = vec![
        with(&|case| case.wish = Wish::None),
        with(&|case| case.looked.clear()),
        with(&|case| case.rights.clear()),
        with(&|case| case.said.listing = Listing::Cut),
        with(&|case| case.rules.push(protection(Rule::MergeQueue))),
        with(&|case| {
            let granted = NEEDS.into_iter().filter(|(it, _)| *it != Permission::Contents);
            case.installation = Installation::Active(granted.collect());
        }),
    ];
    let greens = (0..case.said.runs.len()).filter(|&at| case.said.runs[at].word == Word::Green);
    for at in greens {
        worse.push(with(&|case| drop(case.said.runs.remove(at))));
        let stale = |case: &mut Case| case.said.runs[at].head = commit(9);
        worse.push(with(&stale));
    }
    worse
}

proptest! {
    #[test]
    fn fewer_good_things_never_let_more_in(case in anything()) {
        if !case.enters() {
            for worse in worse(&case) {
                prop_assert!(!worse.enters(), "{:?}", worse);
            }
        }
    }

    #[test]
    fn only_the_head_that_was_asked_for_enters(case in anything()) {
        if let Admission::Enter { head } = case.admission() {
            prop_assert_eq!(&head, &case.pull.head);
            prop_assert!(matches!(&case.wish, Wish::Land(asked) if asked.head == head));
            let green = |it: &Run| it.head == head && it.word == Word::Green;
            prop_assert!(case.said.runs.iter().any(green));
            let moved = Case { pull: Pull { head: commit(7), ..case.pull.clone() }, ..case };
            prop_assert!(!moved.enters());
        }
    }

    #[test]
    fn every_code_is_a_stable_one(case in anything()) {
        for code in case.codes() {
            prop_assert!(CODES.split_whitespace().any(|stable| stable == code), "{}", code);
        }
    }
}
