//! What other programs say of a head: check runs and commit statuses, and whether those that the
//! base's rules require are green.
//!
//! A name alone proves nothing: whoever may push can set a status under any (B12). So a context
//! that is bound to an App counts from that App alone, and a status proves no App. What was said
//! of another commit, what is not known to be the whole of it, and words that nobody knows are
//! never green. Not here: our own gates ([`crate::gate`]), and which contexts are required, which
//! the forge's rules say.

use std::collections::BTreeMap;
use std::fmt;

use super::{AppId, CommitId};

/// A context that the base's rules require.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Required {
    /// Its name.
    pub name: String,
    /// Who must say it.
    pub source: Source,
}

/// Who must say that a context is green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// One App.
    App(AppId),
    /// Anybody, so everybody who speaks under the name must.
    Anybody,
}

/// A check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number at the forge; later ones are higher.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The App that wrote it.
    pub app: AppId,
    /// The commit that it is about.
    pub head: CommitId,
    /// What it says.
    pub word: Word,
}

/// A commit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its number at the forge; later ones are higher.
    pub id: u64,
    /// Its name.
    pub context: String,
    /// The commit that it is about.
    pub head: CommitId,
    /// What it says.
    pub word: Word,
}

/// What a check run or a status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It passes.
    Green,
    /// It is not decided.
    Pending,
    /// It does not pass.
    Red(&'static str),
    /// A word that is none of the forge's when this was written: it does not pass.
    Unknown(String),
}

impl Word {
    /// What a check run says by its `status` and, once that is `completed`, its `conclusion`
    /// (B13).
    #[must_use]
    pub fn of_run(status: &str, conclusion: Option<&str>) -> Self {
        match (status, conclusion) {
            ("queued" | "in_progress" | "waiting" | "requested" | "pending", None) => Self::Pending,
            ("completed", Some("success" | "skipped" | "neutral")) => Self::Green,
            ("completed", Some("failure")) => Self::Red("failure"),
            ("completed", Some("cancelled")) => Self::Red("cancelled"),
            ("completed", Some("timed_out")) => Self::Red("timed out"),
            ("completed", Some("action_required")) => Self::Red("action required"),
            ("completed", Some("stale")) => Self::Red("stale"),
            ("completed", Some("startup_failure")) => Self::Red("startup failure"),
            (status, None) => Self::Unknown(status.to_owned()),
            (status, Some(conclusion)) => Self::Unknown(format!("{status} {conclusion}")),
        }
    }

    /// What a commit status says by its `state`.
    #[must_use]
    pub fn of_status(state: &str) -> Self {
        match state {
            "success" => Self::Green,
            "pending" => Self::Pending,
            "failure" => Self::Red("failure"),
            "error" => Self::Red("error"),
            state => Self::Unknown(state.to_owned()),
        }
    }
}

/// What was read of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The check runs.
    pub runs: Vec<Run>,
    /// The statuses.
    pub statuses: Vec<Status>,
    /// Whether that is all there are.
    pub listing: Listing,
}

/// Whether a list was read to its end (B14, B20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// As many as the forge counts.
    Whole,
    /// Some are missing.
    Cut,
}

/// A required context that is not green.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lacking {
    /// The context.
    pub required: Required,
    /// What it lacks.
    pub lack: Lack,
}

/// What a required context lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// It is red.
    Red {
        /// The forge's word for it, which may be one that nobody knows.
        word: String,
    },
    /// It is not decided.
    Pending,
    /// Nobody who may has said anything: that is pending, never green (B14).
    Unsaid,
    /// Only others than its App speak under its name.
    Foreign,
    /// Not all that was said was read.
    Unread,
}

impl Lack {
    /// Whether it may be mended without another head or a person.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Red { .. })
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.required.name)?;
        match (&self.lack, self.required.source) {
            (Lack::Red { word }, _) => write!(f, "is red: {word}"),
            (Lack::Pending, _) => f.write_str("is not decided"),
            (Lack::Unsaid, _) => f.write_str("has not reported"),
            (Lack::Foreign, Source::App(app)) => {
                write!(f, "was reported by others than its App {}", app.0)
            }
            (Lack::Foreign, Source::Anybody) => f.write_str("was reported by others"),
            (Lack::Unread, _) => f.write_str("was not read to the end"),
        }
    }
}

/// The required contexts that are not green for a head, in order.
///
/// What `ours` says is left out: it is a conclusion of this, not a reason.
#[must_use]
pub fn lacking(required: &[Required], ours: AppId, head: &CommitId, said: &Said) -> Vec<Lacking> {
    let theirs = required.iter().filter(|required| required.source != Source::App(ours));
    let lacking = theirs.filter_map(|required| {
        let lack = lack(required, ours, head, said)?;
        Some(Lacking { required: required.clone(), lack })
    });
    let mut lacking: Vec<Lacking> = lacking.collect();
    lacking.sort();
    lacking.dedup();
    lacking
}

/// What a context lacks. All that counts under its name must be green: of every App the latest
/// run, and the latest status beside them (B13).
fn lack(required: &Required, ours: AppId, head: &CommitId, said: &Said) -> Option<Lack> {
    let mut latest: BTreeMap<AppId, &Run> = BTreeMap::new();
    for run in said.runs.iter().filter(|run| run.head == *head && run.name == required.name) {
        let known = latest.entry(run.app).or_insert(run);
        if run.id > known.id {
            *known = run;
        }
    }
    let statuses = said.statuses.iter();
    let status = statuses
        .filter(|status| status.head == *head && status.context == required.name)
        .max_by_key(|status| status.id);
    let our_own = latest.remove(&ours).is_some();
    let others = status.is_some() || !latest.is_empty();
    if let Source::App(app) = required.source {
        latest.retain(|by, _| *by == app);
    }
    let counts = match required.source {
        Source::App(_) => !latest.is_empty(),
        // Only we speak under the name: then it is for us to say.
        Source::Anybody => others || our_own,
    };
    let words = latest.values().map(|run| &run.word).chain(status.map(|status| &status.word));
    let worst = words.filter_map(of_word).min();
    match worst {
        Some(red @ Lack::Red { .. }) => Some(red),
        _ if said.listing == Listing::Cut => Some(Lack::Unread),
        Some(pending) => Some(pending),
        None if counts => None,
        None if others => Some(Lack::Foreign),
        None => Some(Lack::Unsaid),
    }
}

fn of_word(word: &Word) -> Option<Lack> {
    match word {
        Word::Green => None,
        Word::Pending => Some(Lack::Pending),
        Word::Red(word) => Some(Lack::Red { word: (*word).to_owned() }),
        Word::Unknown(word) => Some(Lack::Red { word: word.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: AppId = AppId(1);
    const CI: AppId = AppId(2);
    const OTHER: AppId = AppId(3);

    fn commit(digit: u8) -> CommitId {
        format!("{digit:x}").repeat(40).parse().unwrap()
    }

    fn run(id: u64, app: AppId, word: Word) -> Run {
        Run { id, name: "ci".to_owned(), app, head: commit(1), word }
    }

    fn status(id: u64, word: Word) -> Status {
        Status { id, context: "ci".to_owned(), head: commit(1), word }
    }

    fn lack(source: Source, runs: &[Run], statuses: &[Status]) -> Option<Lack> {
        let required = [Required { name: "ci".to_owned(), source }];
        let said =
            Said { runs: runs.to_vec(), statuses: statuses.to_vec(), listing: Listing::Whole };
        lacking(&required, OURS, &commit(1), &said).pop().map(|lacking| lacking.lack)
    }

    fn red() -> Option<Lack> {
        Some(Lack::Red { word: "failure".to_owned() })
    }

    const RED: Word = Word::Red("failure");

    #[test]
    fn green_are_success_skipped_and_neutral_of_a_completed_run() {
        for conclusion in ["success", "skipped", "neutral"] {
            assert_eq!(Word::of_run("completed", Some(conclusion)), Word::Green);
            for status in ["queued", "in_progress", "done", "COMPLETED", ""] {
                let word = Word::of_run(status, Some(conclusion));
                assert!(matches!(word, Word::Unknown(_)), "{status} {conclusion}");
            }
        }
        for conclusion in ["failure", "cancelled", "timed_out", "stale", "startup_failure"] {
            assert!(matches!(Word::of_run("completed", Some(conclusion)), Word::Red(_)));
        }
        assert!(matches!(Word::of_run("completed", None), Word::Unknown(_)));
        assert_eq!(Word::of_run("queued", None), Word::Pending);
        assert_eq!(Word::of_status("success"), Word::Green);
        assert_eq!(Word::of_status("expected"), Word::Unknown("expected".to_owned()));
    }

    #[test]
    fn a_context_of_an_app_counts_from_that_app_alone() {
        let ci = Source::App(CI);
        assert_eq!(lack(ci, &[run(1, CI, Word::Green)], &[]), None);
        assert_eq!(lack(ci, &[run(1, OTHER, Word::Green)], &[]), Some(Lack::Foreign));
        assert_eq!(lack(ci, &[], &[status(1, Word::Green)]), Some(Lack::Foreign));
        let both = [run(1, CI, RED), run(2, OTHER, Word::Green)];
        assert_eq!(lack(ci, &both, &[]), red());
    }

    #[test]
    fn our_own_word_is_no_reason() {
        let any = Source::Anybody;
        assert_eq!(lack(Source::App(OURS), &[], &[]), None);
        assert_eq!(lack(any, &[run(1, OURS, Word::Pending)], &[]), None);
        let both = [run(1, OURS, Word::Green), run(2, CI, RED)];
        assert_eq!(lack(any, &both, &[]), red());
        assert_eq!(lack(Source::App(CI), &both[..1], &[]), Some(Lack::Unsaid));
    }

    #[test]
    fn the_latest_of_each_app_counts_and_a_status_beside_it() {
        let any = Source::Anybody;
        let again = [run(2, CI, Word::Green), run(1, CI, RED)];
        assert_eq!(lack(any, &again, &[]), None);
        let worse = [run(1, CI, Word::Green), run(2, CI, RED)];
        assert_eq!(lack(any, &worse, &[]), red());
        let two = [run(1, CI, RED), run(2, OTHER, Word::Green)];
        assert_eq!(lack(any, &two, &[]), red());
        let green = [run(1, CI, Word::Green)];
        let pending = [status(1, Word::Green), status(2, Word::Pending)];
        assert_eq!(lack(any, &green, &pending), Some(Lack::Pending));
        assert_eq!(lack(Source::App(CI), &green, &pending), Some(Lack::Pending));
        assert_eq!(lack(any, &[], &[status(1, Word::Green)]), None);
    }

    #[test]
    fn silence_another_commit_and_half_a_list_are_not_green() {
        let any = Source::Anybody;
        assert_eq!(lack(any, &[], &[]), Some(Lack::Unsaid));
        let elsewhere = Run { head: commit(2), ..run(1, CI, Word::Green) };
        assert_eq!(lack(any, &[elsewhere], &[]), Some(Lack::Unsaid));
        let said =
            Said { runs: vec![run(1, CI, Word::Green)], statuses: vec![], listing: Listing::Cut };
        let required = [Required { name: "ci".to_owned(), source: any }];
        let lacking = lacking(&required, OURS, &commit(1), &said);
        assert_eq!(lacking[0].lack, Lack::Unread);
        assert_eq!(lacking[0].to_string(), "ci was not read to the end");
    }

    fn words() -> impl Strategy<Value = Word> {
        prop_oneof![
            3 => Just(Word::Green),
            1 => Just(Word::Pending),
            1 => Just(RED),
            1 => "[a-z]{1,8}".prop_map(Word::Unknown),
        ]
    }

    fn names() -> impl Strategy<Value = String> {
        proptest::sample::select(vec!["ci", "lint"]).prop_map(str::to_owned)
    }

    prop_compose! {
        fn anything()(
            runs in proptest::collection::vec((0u64..9, names(), 2u64..4, 1u8..3, words()), 0..6),
            statuses in proptest::collection::vec((0u64..9, names(), 1u8..3, words()), 0..4),
            cut in proptest::bool::weighted(0.1),
        ) -> Said {
            let run = |(at, (id, name, app, head, word))| {
                // Numbers differ at the forge.
                Run { id: id * 10 + at, name, app: AppId(app), head: commit(head), word }
            };
            let status = |(at, (id, context, head, word))| {
                Status { id: id * 10 + at, context, head: commit(head), word }
            };
            Said {
                runs: (0..).zip(runs).map(run).collect(),
                statuses: (0..).zip(statuses).map(status).collect(),
                listing: if cut { Listing::Cut } else { Listing::Whole },
            }
        }
    }

    fn required() -> impl Strategy<Value = Vec<Required>> {
        let source = prop_oneof![Just(Source::Anybody), Just(Source::App(CI))];
        let one = (names(), source).prop_map(|(name, source)| Required { name, source });
        proptest::collection::vec(one, 1..3)
    }

    proptest! {
        #[test]
        fn to_lose_a_green_word_never_lets_more_pass(
            said in anything(), required in required(), at in any::<proptest::sample::Index>(),
        ) {
            let before = lacking(&required, OURS, &commit(1), &said);
            let mut less = said.clone();
            let greens: Vec<usize> =
                (0..said.runs.len()).filter(|&at| said.runs[at].word == Word::Green).collect();
            if !greens.is_empty() {
                less.runs.remove(greens[at.index(greens.len())]);
            } else if let Some(at) = said.statuses.iter().position(|it| it.word == Word::Green) {
                less.statuses.remove(at);
            }
            let after = lacking(&required, OURS, &commit(1), &less);
            prop_assert!(!after.is_empty() || before.is_empty());
        }

        #[test]
        fn what_passes_has_a_green_word_for_that_head_and_no_other(
            said in anything(), required in required(),
        ) {
            if lacking(&required, OURS, &commit(1), &said).is_empty() {
                prop_assert_eq!(said.listing, Listing::Whole);
                for required in &required {
                    let green = |run: &&Run| {
                        run.head == commit(1)
                            && run.name == required.name
                            && run.word == Word::Green
                            && (required.source == Source::Anybody || run.app == CI)
                    };
                    let green_status = |it: &Status| {
                        it.head == commit(1)
                            && it.context == required.name
                            && it.word == Word::Green
                    };
                    let status = said.statuses.iter().any(green_status);
                    let run = said.runs.iter().any(|run| green(&run));
                    prop_assert!(run || (status && required.source == Source::Anybody));
                }
            }
        }

        #[test]
        fn a_word_that_nobody_knows_is_never_green(
            status in "\\PC{0,12}", conclusion in "\\PC{0,12}",
        ) {
            let known = ["success", "skipped", "neutral"].contains(&conclusion.as_str());
            prop_assert!(known || Word::of_run("completed", Some(&conclusion)) != Word::Green);
            prop_assert!(status == "success" || Word::of_status(&status) != Word::Green);
        }
    }
}
