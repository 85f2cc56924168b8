//! Hostile texts on their way to people.

use proptest::prelude::*;

use super::*;
use crate::pull::CommitId;
use crate::pull::command::Misread;
use crate::train::Origin;

const HOSTILE: [&str; 14] = [
    "@everybody fixes #1",
    "closes acme/widget#7 and GH-1",
    "`@you` ``#2`` ```",
    "`",
    "` `",
    " ` ",
    "<!-- molt:pull:17 -->",
    "</details><script>alert(1)</script>",
    "[x](javascript:alert(1)) ![y](http://evil/z.png)",
    "a\n\n# heading\n* list\r\n> quote",
    "feature/\u{202e}niam\u{2066}",
    "\u{200b}\u{feff}\0\u{7f}\u{e0041}",
    "| a | b |\n|---|---|",
    "",
];

/// What is left of a line of Markdown without its code spans, by CommonMark's rule: a span ends
/// at the next run of as many backticks as it began with.
fn outside_code(line: &str) -> String {
    let mut outside = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        outside.push_str(&rest[..start]);
        let length = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let inner = &rest[start + length..];
        let mut at = 0;
        let end = loop {
            let Some(next) = inner[at..].find('`') else { break None };
            let run = &inner[at + next..];
            let marks = run.len() - run.trim_start_matches('`').len();
            if marks == length {
                break Some(at + next + marks);
            }
            at += next + marks;
        };
        match end {
            Some(end) => rest = &inner[end..],
            None => {
                outside.push_str(&rest[start..start + length]);
                rest = inner;
            }
        }
    }
    outside.push_str(rest);
    outside
}

fn told(what: &str) -> Reason {
    Reason { code: "closed", what: what.to_owned(), remedy: "open it" }
}

#[test]
fn hostile_text_stays_in_its_code_span() {
    for text in HOSTILE {
        let line = told(text).to_string();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains(is_hidden), "{line:?}");
        let shown = if text.is_empty() { "(nothing)" } else { "" };
        assert_eq!(outside_code(&line), format!("* **closed** {shown} → open it"), "{line}");
    }
    assert_eq!(quoted("a"), "`a`");
    assert_eq!(quoted("`a`"), "`` `a` ``");
    assert_eq!(quoted("main\u{202e}x"), "`main⟨U+202E⟩x`");
    assert_eq!(quoted("a\nb"), "`a⟨U+000A⟩b`");
}

#[test]
fn places_without_markdown_mention_nobody_and_close_nothing() {
    assert_eq!(plain("@you fixes #1\n"), "＠you fixes ＃1⟨U+000A⟩");
    let fork = Wait::Fork { from: Origin::Fork("@a/b #3".to_owned()) };
    let run = CheckRun::of(&Admission::Wait { first: fork, more: vec![Wait::Draft] });
    assert_eq!(run.title, "approval-missing: it comes from the fork ＠a/b ＃3");
    assert_eq!(run.light, Light::Pending);
    assert_eq!(
        run.summary,
        "* **approval-missing** `it comes from the fork @a/b #3` → a maintainer looks at this head \
         and approves it: nothing runs before\n\
         * **approval-missing** `it is a draft` → its author marks it as ready for review\n"
    );
}

#[test]
fn each_admission_has_its_light() {
    let light = |admission: &Admission| CheckRun::of(admission).light;
    let head: CommitId = "a".repeat(40).parse().unwrap();
    assert_eq!(light(&Admission::NotAsked), Light::Neutral);
    assert_eq!(light(&Admission::Enter { head: head.clone() }), Light::Pending);
    assert_eq!(light(&Admission::Refused(Refusal::Closed)), Light::Red);
    let base = "ma\u{202e}in".to_owned();
    let refusal = Refusal::OtherBase { base, ours: "main".to_owned() };
    let run = CheckRun::of(&Admission::Refused(refusal));
    assert_eq!(run.title, "closed: it is for ma⟨U+202E⟩in, the train's is main");
}

#[test]
fn our_comment_is_known_by_its_beginning() {
    let marker = Marker(17);
    let answers = [
        Answer::undone("octo`cat", Misread::Edited),
        Answer { login: "@a".to_owned(), problem: "<!-- molt:pull:18 -->".to_owned() },
    ];
    let comment = marker.comment(&told("it is closed"), &answers);
    assert_eq!(
        comment,
        "<!-- molt:pull:17 -->\n* **closed** `it is closed` → open it\n\
         * to ``octo`cat``: `nothing was done: the comment was edited: write it as a new one`\n\
         * to `@a`: `<!-- molt:pull:18 -->`\n"
    );
    assert!(marker.is_on(&comment));
    assert!(!Marker(1).is_on(&comment) && !Marker(18).is_on(&comment));
    assert!(!marker.is_on(&format!("> {comment}")));
}

#[test]
fn what_is_too_long_is_cut_at_a_character_and_says_so() {
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(cut("äöü", 5), "ä…");
    assert_eq!(cut("äöüä", 7), "äö…");
    let many = vec![told(&"ä".repeat(1000)); 500];
    let run = CheckRun::listing(Light::Pending, &many);
    assert!(run.title.len() <= MAX_TITLE && run.title.ends_with('…'), "{}", run.title);
    assert!(run.summary.len() <= MAX_PAGE && run.summary.ends_with(CUT));
    assert!(run.summary.len() > MAX_PAGE - 1000, "as much as fits");
    let comment = Marker(1).comment(
        &told("x"),
        &vec![Answer { login: "a".to_owned(), problem: "y".repeat(400) }; 300],
    );
    assert!(comment.len() <= MAX_PAGE && comment.ends_with(CUT));
    let short = CheckRun::listing(Light::Pending, &many[..3]);
    assert!(!short.summary.contains(CUT));
}

#[test]
fn annotations_go_by_fifty() {
    let annotation = |line| Annotation::new("src/a.rs".to_owned(), line, "see\n@you\u{202e}");
    let all: Vec<Annotation> = (1..=101).map(annotation).collect();
    let sizes: Vec<usize> = batches(&all).map(<[Annotation]>::len).collect();
    assert_eq!(sizes, [50, 50, 1]);
    assert_eq!(batches(&[]).count(), 0);
    assert_eq!(all[0].message(), "see\n＠you⟨U+202E⟩");
    let long = Annotation::new("a".to_owned(), 1, &"ü\n".repeat(9000));
    assert!(long.message().len() <= MAX_MESSAGE && long.message().ends_with('…'));
}

/// Texts of what breaks out of things.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
        "[`@#<>\\\\ \n]{0,8}",
        "\\PC{0,8}",
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_breaks_out(texts in proptest::collection::vec(hostile(), 1..4)) {
        let reasons: Vec<Reason> = texts.iter().map(|text| told(text)).collect();
        let run = CheckRun::listing(Light::Red, &reasons);
        prop_assert_eq!(run.summary.lines().count(), texts.len());
        for line in run.summary.lines() {
            let outside = outside_code(line).replace("(nothing)", "");
            prop_assert_eq!(outside, "* **closed**  → open it");
        }
        prop_assert!(!run.title.contains(['@', '#', '\n']) && !run.title.contains(is_hidden));
    }

    #[test]
    fn a_cut_text_is_a_beginning_of_it(text in hostile(), limit in 3usize..40) {
        let cut = cut(&text, limit);
        prop_assert!(cut.len() <= limit);
        prop_assert!(text.starts_with(cut.strip_suffix('…').unwrap_or(&cut)));
    }
}
