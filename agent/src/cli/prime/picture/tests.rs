//! What is told, and that it fits whatever the board is like.

use clap::Parser as _;

use super::*;
use crate::cli::Cli;

fn claim(id: u32, session: &str, scopes: &[&str], paths: &[&str]) -> v1::ClaimView {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    v1::ClaimView {
        id: format!("clm_{id:04}"),
        session: session.to_owned(),
        holder: session.to_owned(),
        state: "held".to_owned(),
        fence: format!("{id}"),
        scopes: texts(scopes),
        paths: texts(paths),
        ..v1::ClaimView::default()
    }
}

fn scope(claim: v1::ClaimView) -> v1::ScopeView {
    let name = claim.scopes.first().cloned().unwrap_or_default();
    let paths = claim.paths.clone();
    v1::ScopeView { name, paths, claim: Some(claim), ..v1::ScopeView::default() }
}

fn session() -> v1::SessionView {
    v1::SessionView {
        id: "ses_0001".to_owned(),
        name: "ada".to_owned(),
        host: "build1".to_owned(),
        state: "live".to_owned(),
        epoch: 1,
        ..v1::SessionView::default()
    }
}

fn picture() -> Picture {
    let status = v1::StatusView {
        repo: "main".to_owned(),
        branch: "main".to_owned(),
        base: "0123456789abcdef".to_owned(),
        session: Some(session()),
        ..v1::StatusView::default()
    };
    Picture { status, known: Some("ses_0001".to_owned()), ..Picture::default() }
}

/// What text may be at most, whatever it tells; and its commands are whole.
fn assert_fits(text: &str) {
    for command in text.lines().filter_map(|line| line.split_once("  molt-agent ")) {
        let words = std::iter::once("molt-agent").chain(command.1.split(' '));
        assert!(Cli::try_parse_from(words).is_ok(), "{command:?}");
    }
    let lines = text.lines().count();
    assert!(lines <= 60 && text.len() <= 3600, "{lines} lines, {} bytes:\n{text}", text.len());
    assert_eq!(text.matches("\nrule ").count(), RULES_TOLD.len(), "all rules:\n{text}");
    assert_eq!(text.matches("\nnext ").count(), 1, "{text}");
}

#[test]
fn the_shares_together_are_within_the_bound() {
    let all = [WHO, HOLDS, WAITS, TOLD, TASK, OTHERS, CHANGES, RULES, ALSO];
    assert!(all.iter().map(|share| share.lines).sum::<usize>() < 60);
    assert!(all.iter().map(|share| share.bytes).sum::<usize>() + NEXT_BYTES <= 3600);
}

#[test]
fn an_agent_at_work_is_told_all_that_it_has() {
    let mut picture = picture();
    let mine = claim(2, "ses_0001", &["runtime"], &["runtime/**"]);
    let waits = v1::ClaimView {
        state: "waiting".to_owned(),
        ahead: 1,
        ..claim(5, "ses_0001", &["docs"], &["docs/**"])
    };
    let manifests = v1::ClaimView {
        why: "raise serde".to_owned(),
        ..claim(3, "bob", &["manifests"], &["**/Cargo.toml"])
    };
    let own = scope(mine.clone());
    picture.scopes = vec![
        v1::ScopeView { waiting: 2, ..own },
        scope(manifests),
        scope(claim(4, "eve", &["frontend"], &["web/*.js"])),
        scope(claim(6, "fay", &["docs"], &["docs/**"])),
    ];
    picture.status.claims = vec![mine, waits];
    picture.status.task = Some(v1::TaskView {
        id: "tsk_0007".to_owned(),
        title: "mend the barrier".to_owned(),
        body: "one\n\ntwo".to_owned(),
        acceptance: "gc tests pass".to_owned(),
        scopes: vec!["runtime".to_owned()],
        ..v1::TaskView::default()
    });
    let car = |agent: &str, phase: &str| v1::CarView {
        id: "car_0009".to_owned(),
        agent: agent.to_owned(),
        phase: phase.to_owned(),
        state: "building".to_owned(),
        head: "fedcba9876543210".to_owned(),
        title: "fix".to_owned(),
        ..v1::CarView::default()
    };
    picture.cars = vec![car("ada", "open"), car("bob", "open"), car("ada", "landed")];
    let answer = picture.told();
    let text = answer.text();
    let before = text.split("rule ").next().unwrap();
    assert_eq!(
        before,
        "you      ada  ses_0001  live  epoch 1  on build1\n\
         repo     main  main at 0123456789\n\
         holds    clm_0002  fence 2  runtime\n\
         covers   runtime/**\n\
         waiting  clm_0005  1 ahead  docs\n\
         task     tsk_0007  mend the barrier  [runtime]\n\
         accept   gc tests pass\n\
         body     one\n\
         body     two\n\
         wanted   runtime  2 wait for it\n\
         others   bob has manifests  seen 0s ago  raise serde\n\
         others   fay has docs  seen 0s ago\n\
         change   car_0009  building  fedcba9876  fix\n"
    );
    assert!(text.ends_with("next     molt-agent claim docs --wait 15m\n"), "{text}");
    assert!(text.contains("\nalso     molt-agent gate wait car_0009\n"), "{text}");
    assert_fits(&text);
    let document: serde_json::Value = serde_json::from_str(&answer.json()).unwrap();
    assert_eq!((&document["ok"], &document["code"]), (&true.into(), &"at_work".into()));
    assert_eq!(document["data"]["others"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_stranger_is_told_that_it_is_one() {
    let mut picture = Picture { known: None, orphan: Some("ada".to_owned()), ..picture() };
    picture.status.session = None;
    picture.status.tasks_ready = 1;
    picture.scopes = vec![scope(claim(4, "eve", &["frontend"], &["web/*.js"]))];
    let text = picture.told().text();
    assert!(text.starts_with("you      no session here: the first"), "{text}");
    assert!(text.contains("\nearlier  ada waits here: molt-agent resume\n"), "{text}");
    assert!(text.contains("\nothers   eve has frontend"), "all that is held: {text}");
    assert!(text.ends_with("next     molt-agent next\n"), "{text}");
    picture.known = Some("ses_0001".to_owned());
    let text = picture.told().text();
    assert!(text.contains("ses_0001 is over") && text.contains("stop editing"), "{text}");
    assert!(text.ends_with("next     molt-agent join\n"), "{text}");
}

#[test]
fn a_suspended_session_is_told_to_resume_and_until_when_it_may() {
    let mut picture = picture();
    let parked = v1::SessionView { state: "parked".to_owned(), until_ms: 60_000, ..session() };
    picture.status.session = Some(parked);
    let text = picture.told().text();
    assert!(
        text.starts_with("you      ada  ses_0001  parked  epoch 1  on build1  1m left\n"),
        "{text}"
    );
    assert!(text.ends_with("next     molt-agent resume\n"), "{text}");
}

fn risky(from: &str, text: &str) -> v1::MessageView {
    v1::MessageView {
        id: "msg_0010".to_owned(),
        from: from.to_owned(),
        text: text.to_owned(),
        risky: true,
        ..v1::MessageView::default()
    }
}

#[test]
fn what_one_was_told_is_counted_and_what_is_risky_is_said() {
    let mut picture = picture();
    picture.status.unread = 3;
    picture.status.risky = vec![risky("bob", "runtime: runtime/vm.rs")];
    let answer = picture.told();
    let text = answer.text();
    let told =
        "\ninbox    3 unread  molt-agent inbox\nRISKY    bob  msg_0010  runtime: runtime/vm.rs\n";
    assert!(text.contains(told), "{text}");
    assert!(text.ends_with("next     molt-agent inbox\n"), "{text}");
    let document: serde_json::Value = serde_json::from_str(&answer.json()).unwrap();
    assert_eq!(
        (&document["data"]["unread"], &document["data"]["risky"][0]["from"]),
        (&3.into(), &"bob".into())
    );
}

#[test]
fn a_pattern_that_cannot_be_read_may_touch() {
    let mut picture = picture();
    picture.status.claims = vec![claim(2, "ses_0001", &["runtime"], &["runtime/**"])];
    picture.scopes = vec![scope(claim(3, "bob", &["web"], &["[["]))];
    assert_eq!(picture.touching().len(), 1);
    picture.scopes = vec![scope(claim(3, "bob", &["web"], &["web/**"]))];
    assert_eq!(picture.touching().len(), 0);
}

/// A name of the most bytes that names have; `é` is of two.
fn long(at: u32, bytes: usize) -> String {
    format!("{at:03}{}", "é".repeat((bytes - 3) / 2))
}

#[test]
fn a_full_board_fits() {
    let many = |bytes: usize| -> Vec<String> { (0..64).map(|at| long(at, bytes)).collect() };
    let full = |id: u32, session: &str, state: &str| v1::ClaimView {
        holder: long(id, 64),
        state: state.to_owned(),
        fence: "18446744073709551615.18446744073709551615".to_owned(),
        scopes: many(128),
        paths: many(256),
        why: "why\n".repeat(400),
        task: "tsk_0123456789".to_owned(),
        until_ms: u64::MAX,
        ..claim(id, session, &[], &[])
    };
    let mut picture = picture();
    let me = v1::SessionView { name: long(1, 64), host: long(2, 64), ..session() };
    picture.status.session = Some(me);
    picture.status.branch = long(3, 250);
    picture.status.closed = "closed ".repeat(300);
    picture.orphan = Some(long(4, 64));
    let states = ["held", "waiting", "offered", "orphaned"];
    picture.status.claims =
        (0..64).map(|at| full(at, "ses_0001", states[at as usize % 4])).collect();
    picture.scopes = (100..164).map(|at| scope(full(at, "bob", "held"))).collect();
    for (at, scope) in (0..).zip(&mut picture.scopes) {
        scope.name = long(at, 128);
        scope.waiting = 9;
    }
    picture.status.task = Some(v1::TaskView {
        id: "tsk_0007".to_owned(),
        title: long(5, 200),
        body: "line of the body\n".repeat(900),
        acceptance: "must ".repeat(800),
        scopes: many(128),
        ..v1::TaskView::default()
    });
    picture.status.unread = u32::MAX;
    picture.status.risky = vec![risky(&long(7, 64), &"risk ".repeat(400)); 3];
    let car = v1::CarView {
        id: "car_0009".to_owned(),
        agent: long(1, 64),
        phase: "open".to_owned(),
        title: long(6, 200),
        remedy: "ask ".repeat(100),
        head: "fedcba9876543210".to_owned(),
        ..v1::CarView::default()
    };
    picture.cars = vec![car; 64];
    let text = picture.told().text();
    assert_fits(&text);
    for label in [
        "you ", "holds ", "covers ", "waiting ", "inbox ", "RISKY ", "task ", "wanted ", "change ",
        "also ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(label)), "no {label}in:\n{text}");
    }
    assert!(text.contains(" more: molt-agent status --json\n"), "{text}");
}
