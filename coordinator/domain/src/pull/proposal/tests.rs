//! What an agent wrote, on its way into a pull request.

use super::super::words::quoted;
use super::*;
use crate::claim::Part;
use crate::id::{BoardTime, CarId, ClaimId, SessionId};
use crate::scope::Reach;
use crate::train::{Announced, Origin, Proposer, State};

const HOSTILE: &str = "fixes #1 @all <!-- molt:car:car_0002 --> `x` \u{202e}gpj\n# heading";

fn car(agent: &str, title: &str) -> Car {
    let part = |scope: &str| Part {
        scope: scope.parse().expect("a scope"),
        reach: Reach::default(),
        paths: Vec::new(),
    };
    Car {
        id: CarId::from_counter(7),
        repo: "widget".parse().expect("a name"),
        proposer: Proposer::Session(SessionId::from_counter(4)),
        shown: None,
        agent: agent.parse().expect("a name"),
        head: "1".repeat(40),
        title: title.to_owned(),
        body: String::new(),
        claims: Vec::new(),
        parts: vec![part("runtime/gc"), part("docs")],
        globs: Vec::new(),
        announced: Announced::All,
        submitted: BoardTime(5),
        proposed: 6,
        origin: Origin::Own,
        approval: None,
        overrides: Vec::new(),
        declined: false,
        state: State::Queued,
    }
}

fn announced(tests: &[&str], risk: Risk) -> Announcement {
    Announcement {
        claim: ClaimId::from_counter(3),
        files: Vec::new(),
        tests: tests.iter().map(|&test| test.to_owned()).collect(),
        risk,
        note: String::new(),
        at: BoardTime(5),
    }
}

fn body(car: &Car, announced: &[Announcement], changed: &[String]) -> String {
    Proposal { car, announced, changed, odd: 0 }.body()
}

#[test]
fn four_things_are_said_and_the_mark_is_the_last_line() {
    let announced = [announced(&["b", "a"], Risk::Low), announced(&["a"], Risk::High)];
    let body = body(&car("ann", "t"), &announced, &["src/x.rs".to_owned()]);
    for line in [
        "`ann` submitted this as `car_0007`.",
        "* **scope** `runtime/gc`, `docs`",
        "* **files** `src/x.rs`",
        "* **tests** `a`, `b`",
        "* **risk** high",
    ] {
        assert!(body.lines().any(|it| it == line), "{line} in {body}");
    }
    assert_eq!(body.lines().next_back(), Some("<!-- molt:car:car_0007 -->"));
    assert_eq!(Mark::of(&body), Some(Mark(CarId::from_counter(7))));
}

#[test]
fn what_was_not_said_is_told_so() {
    let body = body(&car("ann", "t"), &[], &[]);
    for line in ["* **files** none", "* **tests** none", "* **risk** not announced"] {
        assert!(body.lines().any(|it| it == line), "{line} in {body}");
    }
}

#[test]
fn of_many_names_the_first_are_shown_and_the_others_counted() {
    let changed: Vec<String> = (0..25).map(|at| format!("f{at}")).collect();
    let car = car("ann", "t");
    let body = Proposal { car: &car, announced: &[], changed: &changed, odd: 2 }.body();
    assert!(body.contains("`f19` and 7 more"), "{body}");
    assert!(!body.contains("f20"), "{body}");
}

#[test]
fn the_longest_texts_leave_room_for_the_mark() {
    let wide = "\u{1f600}".repeat(400);
    let changed: Vec<String> = (0..20).map(|at| format!("{at}{wide}")).collect();
    let mut car = car("ann", "t");
    car.body.clone_from(&wide);
    let globs = (0..20).map(|at| format!("g{at}-{}", "\u{1f600}".repeat(60)));
    car.globs = globs.map(|glob| glob.parse().expect("a pattern")).collect();
    let tests: Vec<&str> = changed.iter().map(String::as_str).collect();
    let body = body(&car, &[announced(&tests, Risk::Med)], &changed);
    assert!(body.len() <= MAX_PAGE, "{}", body.len());
    assert!(Mark::of(&body).is_some(), "{}", &body[body.len() - 200..]);
}

#[test]
fn what_an_agent_writes_is_foreign_text() {
    let mut car = car("ann", HOSTILE);
    HOSTILE.clone_into(&mut car.body);
    let announced = [announced(&[HOSTILE], Risk::Med)];
    let proposal =
        Proposal { car: &car, announced: &announced, changed: &[HOSTILE.into()], odd: 0 };
    let (title, body) = (proposal.title(), proposal.body());
    assert!(!title.contains(['@', '#', '\n', '\u{202e}']), "{title}");
    assert_eq!(body.matches(&quoted(HOSTILE)).count(), 3, "{body}");
    assert!(!body.contains('\u{202e}') && !body.contains("\n# "), "{body}");
    assert_eq!(Mark::of(&body), Some(Mark(car.id)), "of several the last");
}

#[test]
fn an_empty_title_names_the_change() {
    let title =
        |text| Proposal { car: &car("ann", text), announced: &[], changed: &[], odd: 0 }.title();
    assert_eq!(title("  "), "car_0007");
    assert_eq!(title(" x "), "x");
}

#[test]
fn a_branch_is_a_name_that_git_takes() {
    assert_eq!(branch(&car("ann", "t")), "molt/ann/car_0007");
    assert_eq!(branch(&car("codex-3@build2#2", "t")), "molt/codex-3-build2-2/car_0007");
    assert_eq!(branch(&car("../..{x}.lock", "t")), "molt/x--lock/car_0007");
    assert_eq!(branch(&car("@", "t")), "molt/agent/car_0007");
}

#[test]
fn only_the_last_line_is_a_mark() {
    assert_eq!(Mark::of("x\n<!-- molt:car:car_0007 -->\r\n\n"), Some(Mark(CarId::from_counter(7))));
    for text in [
        "",
        "<!-- molt:car:car_0007 -->\nmore",
        "> <!-- molt:car:car_0007 -->",
        "<!-- molt:car:x -->",
        "<!-- molt:pull:7 -->",
    ] {
        assert_eq!(Mark::of(text), None, "{text}");
    }
}
