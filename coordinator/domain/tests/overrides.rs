//! Overrides: a person answers for named failures of one gate and one head, and for nothing else.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

#[path = "pulls/desk.rs"]
#[expect(dead_code, reason = "a room that several tests share")]
mod desk;
#[path = "overrides/line.rs"]
mod line;
#[expect(dead_code, reason = "a room that several tests share")]
mod world;

use molt_domain::board::{Caller, Change, Command, Event, Reply};
use molt_domain::claim::{Mode, Otherwise, Wanted};
use molt_domain::gate::{Class, Compare, Finding};
use molt_domain::id::CarId;
use molt_domain::pull::{Heard, Right};
use molt_domain::train::{ACCEPTED_FOR, Accepted, MAX_OVERRIDES, Override};

use desk::{comment, entry, head, repo};
use line::{Line, found, gate, red, sha};

fn pat() -> Caller {
    Caller::Operator("pat".to_owned())
}

/// A train with a car that `unit` ejected for these items.
fn ejected(items: &[&str]) -> (Line, CarId) {
    let mut line = Line::new();
    let car = line.submit(1);
    line.test(car, &[("unit", red(items))]);
    assert_eq!((line.state(car), &line.blocking(car)[..]), ("gate-failed", items));
    (line, car)
}

/// The same, and it landed by an operator's word.
fn landed(items: &[&str]) -> Line {
    let (mut line, car) = ejected(items);
    line.answer_for(car, "unit").unwrap();
    line.test(car, &[("unit", red(items))]);
    line.land(car);
    line
}

fn items(line: &Line) -> Vec<&str> {
    line.repo().accepted.iter().map(|it| it.item.as_str()).collect()
}

#[test]
fn what_a_person_answers_for_passes_and_lands() {
    let (mut line, car) = ejected(&["a", "b"]);
    let events = line.answer_for(car, "unit").unwrap();
    let [Event::Overridden { head, gate: of, items: named, by, reason, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (head, of, &named[..]),
        (&sha(1), &gate("unit"), &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!((by.as_str(), reason.as_str()), ("operator pat", "it flakes"));
    assert_eq!((line.state(car), line.car(car).overrides.len()), ("queued", 1));

    line.test(car, &[("unit", red(&["a", "b"]))]);
    assert_eq!(line.state(car), "ready");
    line.land(car);
    let until = line.forge.world.now.board.plus(ACCEPTED_FOR);
    let accepted = |item: &str| Accepted { gate: gate("unit"), item: item.to_owned(), until };
    assert_eq!(line.repo().accepted, [accepted("a"), accepted("b")]);
}

#[test]
fn the_proof_counts_what_was_answered_for() {
    let (mut line, car) = ejected(&["a", "b"]);
    line.answer_for(car, "unit").unwrap();
    // On the same inputs nothing runs again: the results that are there are looked at anew.
    let events = line.look_again(car);
    let proof = events.iter().find_map(|event| match event {
        Event::GatePassed { gate: of, proof: Some(proof), .. } if *of == gate("unit") => {
            Some(proof)
        }
        _ => None,
    });
    let job = line.car(car).overrides[0].job;
    let proof = proof.expect("the run is a proof now");
    assert_eq!((proof.job, proof.forgiven), (job, 2));
    assert_eq!(line.state(car), "ready");
}

#[test]
fn what_turns_red_later_is_not_covered() {
    let (mut line, car) = ejected(&["a"]);
    line.answer_for(car, "unit").unwrap();
    line.test(car, &[("unit", red(&["a", "b"]))]);
    assert_eq!((line.state(car), line.blocking(car)), ("gate-failed", vec!["b"]));
    // An item of the same name is another failure where another gate finds it.
    line.answer_for(car, "unit").unwrap();
    line.test(car, &[("slow", red(&["a"]))]);
    assert_eq!((line.state(car), line.blocking(car)), ("gate-failed", vec!["a"]));
    line.answer_for(car, "slow").unwrap();
    line.test(car, &[("unit", red(&["b"])), ("slow", red(&["a"]))]);
    line.land(car);
    assert_eq!(items(&line), ["a", "a", "b"], "of two gates, each once");
}

#[test]
fn another_head_is_not_covered() {
    let (mut line, car) = ejected(&["a"]);
    let refused = line.override_by(pat(), (car, &sha(9)), ("unit", "it flakes")).unwrap_err();
    assert_eq!(refused.reason(), "STALE");
    line.answer_for(car, "unit").unwrap();
    line.test(car, &[("unit", red(&["a"]))]);
    let other = line.submit(2);
    line.forge.world.ask(pat(), Command::Dequeue { car }).unwrap();
    line.test(other, &[("unit", red(&["a"]))]);
    assert_eq!((line.state(other), line.blocking(other)), ("gate-failed", vec!["a"]));
}

#[test]
fn a_run_that_did_not_judge_is_nobodys_to_answer_for() {
    let many = Finding { red_count: 201, ..red(&["a"]) };
    let few = Finding { green: 0, ..red(&["a"]) };
    let judged = "it judged nothing that may be overridden";
    let cases = [
        (found(Class::Killed, &["a"]), judged),
        (found(Class::Infra, &["a"]), judged),
        (found(Class::Timeout, &[]), judged),
        (found(Class::Oom, &[]), judged),
        (found(Class::Vacuous, &[]), judged),
        (Finding { green: 0, ..found(Class::Passed, &[]) }, judged),
        (many, "201 items are red, more than are named"),
        (few, "its run has 1 results of at least 2"),
    ];
    for (finding, problem) in cases {
        let mut line = Line::new();
        line.rules(|policy| policy.gates.get_mut(&gate("unit")).unwrap().minimum = 2);
        let car = line.submit(1);
        line.test(car, &[("unit", finding.clone())]);
        assert!(!line.car(car).state.is_open(), "{finding:?}");
        let refused = line.refused(car, "unit");
        assert!(refused.starts_with("gate: ") && refused.ends_with(problem), "{refused}");
    }
}

#[test]
fn a_run_that_nobody_could_answer_for_stays_red_whatever_was_answered_before() {
    let (mut line, car) = ejected(&["a"]);
    line.answer_for(car, "unit").unwrap();
    line.rules(|policy| policy.gates.get_mut(&gate("unit")).unwrap().minimum = 2);
    for finding in [
        found(Class::Timeout, &["a"]),
        Finding { red_count: 2, ..red(&["a"]) },
        Finding { green: 0, ..red(&["a"]) },
    ] {
        let mut line = line.again();
        line.test(car, &[("unit", finding.clone())]);
        assert!(!line.car(car).state.is_open(), "{finding:?}");
    }
    line.test(car, &[("unit", red(&["a"]))]);
    assert_eq!(line.state(car), "ready");
}

#[test]
fn only_the_gate_that_ejected_a_car_is_answered_for() {
    let (mut line, car) = ejected(&["a"]);
    assert_eq!(
        line.refused(car, "slow"),
        format!("gate: {car} is gate-failed: slow did not eject it")
    );
    line.answer_for(car, "unit").unwrap();
    assert_eq!(line.refused(car, "unit"), format!("gate: {car} is queued: unit did not eject it"));
    let (base, paths) = (line.repo().base.clone(), vec!["runtime/x.rs".to_owned()]);
    line.forge.tell(Command::Conflict { car, base, paths }).unwrap();
    assert_eq!(
        line.refused(car, "unit"),
        format!("gate: {car} is conflict-base: unit did not eject it")
    );
    let nobody = CarId::from_counter(9_999);
    let refused = line.override_by(pat(), (nobody, &sha(1)), ("unit", "it flakes")).unwrap_err();
    assert_eq!(refused.reason(), "NOT_FOUND");
}

#[test]
fn nobody_but_an_operator_answers_and_never_without_a_reason() {
    let (mut line, car) = ejected(&["a"]);
    let before = line.car(car).clone();
    let agent = Caller::Session(line.ann.clone());
    for caller in [agent, Caller::Nobody, Caller::Host("h1".parse().unwrap()), Caller::Coordinator]
    {
        let refused = line.override_by(caller, (car, &sha(1)), ("unit", "it flakes")).unwrap_err();
        assert_eq!(refused.reason(), "FORBIDDEN");
    }
    for reason in ["", " \n\t", &"x".repeat(2_001)] {
        let refused = line.override_by(pat(), (car, &sha(1)), ("unit", reason)).unwrap_err();
        assert!(refused.to_string().starts_with("reason: "), "{refused}");
    }
    assert_eq!(*line.car(car), before);
}

#[test]
fn a_head_that_landed_is_not_answered_for() {
    let (mut line, car) = ejected(&["a"]);
    let again = line.submit(1);
    assert_ne!(again, car);
    line.test(again, &[]);
    line.land(again);
    assert_eq!(line.refused(car, "unit"), format!("closed: {} landed already as {again}", sha(1)));
}

#[test]
fn what_the_board_forgot_is_not_answered_for() {
    let (mut line, car) = ejected(&["a"]);
    let mut gone = line.again();
    let digests: Vec<_> = gone.forge.world.board.tables().results.keys().cloned().collect();
    for digest in digests {
        gone.forge.world.board.apply(Change::Results(digest, None));
    }
    assert!(gone.refused(car, "unit").contains("are gone: ask for it to land again first"));
    line.rules(|policy| drop(policy.gates.remove(&gate("unit"))));
    let refused = line.refused(car, "unit");
    assert_eq!(refused, "gate: the policy has no gate unit any more: submit it again");
}

#[test]
fn an_exception_is_not_the_rule() {
    let (mut line, car) = ejected(&["item 0"]);
    for n in 1..=MAX_OVERRIDES {
        line.answer_for(car, "unit").unwrap();
        line.test(car, &[("unit", red(&[&format!("item {n}")]))]);
        assert_eq!(line.state(car), "gate-failed");
    }
    assert_eq!(
        line.refused(car, "unit"),
        format!("gate: {car} has {MAX_OVERRIDES} overrides already")
    );
}

#[test]
fn a_run_without_items_is_answered_for_alone() {
    let mut line = Line::new();
    let car = line.submit(1);
    // Its one item is the gate: any failure of it has that name.
    line.candidate(car, "before");
    line.end("lint", &red(&["lint"]));
    line.answer_for(car, "lint").unwrap();
    assert!(line.car(car).overrides[0].items.is_empty());
    line.candidate(car, "after");
    line.end("lint", &red(&["lint"]));
    assert_eq!((line.state(car), line.blocking(car)), ("gate-failed", vec!["lint"]));
    line.answer_for(car, "lint").unwrap();
    line.candidate(car, "before");
    for name in ["unit", "slow"] {
        line.end(name, &found(Class::Passed, &[]));
    }
    assert_eq!(line.state(car), "ready");
    line.land(car);

    assert_eq!(line.repo().accepted, []);
    let next = line.submit(2);
    line.test(next, &[("lint", red(&["lint"]))]);
    assert_eq!(line.state(next), "gate-failed");
}

#[test]
fn a_run_that_names_nothing_is_answered_for_alone() {
    let (mut line, car) = ejected(&[]);
    line.answer_for(car, "unit").unwrap();
    line.test(car, &[("unit", red(&[]))]);
    assert_eq!(line.state(car), "gate-failed", "it is another run");
    line.answer_for(car, "unit").unwrap();
    line.look_again(car);
    assert_eq!(line.state(car), "ready");
}

#[test]
fn failures_that_landed_keep_nobody_from_landing_until_they_expire() {
    let mut line = landed(&["a", "b"]);
    let other = line.submit(2);
    line.test(other, &[("slow", red(&["a"]))]);
    assert_eq!(line.state(other), "gate-failed", "it is another gate's");
    let worse = line.submit(3);
    line.test(worse, &[("unit", red(&["a", "c"]))]);
    assert_eq!(line.blocking(worse), ["c"]);
    let next = line.submit(4);
    line.test(next, &[("unit", red(&["b"]))]);
    line.land(next);
    assert_eq!(items(&line), ["a", "b"], "who landed with them answers for nothing");

    line.forge.world.now.board = line.repo().accepted[0].until;
    let late = line.submit(5);
    line.test(late, &[("unit", red(&["a"]))]);
    assert_eq!((line.state(late), line.blocking(late)), ("gate-failed", vec!["a"]));
    // What nobody answers for any more is forgotten by the next that lands.
    let clean = line.submit(6);
    line.test(clean, &[]);
    line.land(clean);
    assert_eq!(line.repo().accepted, []);
}

#[test]
fn who_answers_again_answers_for_longer() {
    let mut line = landed(&["a", "b"]);
    let first = line.repo().accepted[0].until;
    line.forge.world.now.board = first;
    let car = line.submit(2);
    line.test(car, &[("unit", red(&["b"]))]);
    line.answer_for(car, "unit").unwrap();
    line.test(car, &[("unit", red(&["b"]))]);
    line.land(car);
    assert_eq!(items(&line), ["b"]);
    assert_eq!(line.repo().accepted[0].until, first.plus(ACCEPTED_FOR));
}

#[test]
fn failures_are_the_bases_only_once_they_landed() {
    let (mut line, car) = ejected(&["a"]);
    line.answer_for(car, "unit").unwrap();
    line.test(car, &[("unit", red(&["a"]))]);
    line.forge.tell(Command::Intend { car, branch: None }).unwrap();
    let (fence, reason) = (line.fence(car), "the push was refused".to_owned());
    line.forge.tell(Command::WithdrawIntent { car, fence, reason }).unwrap();
    assert_eq!(line.repo().accepted, []);
    // Its own word still holds: it is the same head.
    line.test(car, &[("unit", red(&["a"]))]);
    line.land(car);
    assert_eq!(items(&line), ["a"]);
    // Whoever moves the base past the train does not make them somebody else's.
    let (commit, tree, policy) = (sha(7), sha(8), Ok(line.repo().policy.clone()));
    let branch = "main".to_owned();
    line.forge.tell(Command::ReadBase { repo: repo(), branch, commit, tree, policy }).unwrap();
    assert_eq!(items(&line), ["a"]);
}

#[test]
fn the_oldest_failures_are_given_up_first() {
    let names: Vec<String> = (0..200).map(|n| format!("item {n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut line, car) = ejected_for_many(&names);
    line.answer_for(car, "unit").unwrap();
    line.test(car, &[("unit", red(&names))]);
    line.land(car);
    assert_eq!(items(&line).len(), 200);
    let next = line.submit(2);
    line.test(next, &[("unit", red(&["new"]))]);
    line.answer_for(next, "unit").unwrap();
    line.test(next, &[("unit", red(&["new"]))]);
    line.land(next);
    let left = items(&line);
    assert_eq!((left.len(), left[0], left[199]), (200, "item 001", "new"));
}

/// An ejection tells of some items only; the results have all.
fn ejected_for_many(names: &[&str]) -> (Line, CarId) {
    let mut line = Line::new();
    let car = line.submit(1);
    line.test(car, &[("unit", red(names))]);
    assert_eq!(line.blocking(car).len(), 20);
    (line, car)
}

#[test]
fn what_the_base_has_and_what_a_person_answers_for_pass_together() {
    let mut line = landed(&["b"]);
    line.rules(|policy| policy.gates.get_mut(&gate("unit")).unwrap().compare = Compare::Base);
    // The base's own run: of one that nobody judged nothing is forgiven.
    for (class, blocking) in [(Class::Failed, &["c"][..]), (Class::Timeout, &["a", "c"][..])] {
        let mut line = line.again();
        let car = line.submit(2);
        line.candidate(car, "compared");
        for name in ["lint", "slow"] {
            line.end(name, &found(Class::Passed, &[]));
        }
        line.end_one("unit", &red(&["a", "b", "c"]));
        line.end_one("unit", &found(class, &["a"]));
        assert_eq!((line.state(car), &line.blocking(car)[..]), ("gate-failed", blocking));
        line.answer_for(car, "unit").unwrap();
        line.candidate(car, "compared");
        assert_eq!(line.state(car), "ready");
    }
}

/// A pull request that `lint` ejected.
fn pull_ejected() -> (Line, CarId) {
    let mut line = Line::new();
    line.forge.see(17, &head(1), 10);
    line.forge.hear(17, comment(101, 20, "@molt land"));
    let car = line.forge.enter(17, entry(&head(1), Some(101))).unwrap();
    line.candidate(car, "of a pull request");
    line.end("lint", &red(&["lint"]));
    assert_eq!(line.state(car), "gate-failed");
    (line, car)
}

#[test]
fn a_maintainer_answers_by_a_comment() {
    let (mut line, car) = pull_ejected();
    let events = line.forge.hear(17, comment(102, 30, "@molt approve lint it is the linter"));
    let [Event::Overridden { by, reason, job, items, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((by.as_str(), reason.as_str()), ("@pat (github 7)", "it is the linter"));
    let given = Override { by: by.clone(), ..line.car(car).overrides[0].clone() };
    assert_eq!((line.car(car).overrides[0].clone(), given.job), (given.clone(), *job));
    assert!(items.is_empty() && given.items.is_empty());
    assert_eq!(line.state(car), "queued");
    line.candidate(car, "of a pull request");
    for name in ["unit", "slow"] {
        line.end(name, &found(Class::Passed, &[]));
    }
    assert_eq!(line.state(car), "ready");
    line.land(car);
}

#[test]
fn a_comment_that_does_not_count_is_answered() {
    let approve = |id| comment(id, 30, "@molt approve lint it is the linter");
    let cases: [(Heard, &str); 5] = [
        (
            Heard { right: Right::Write, ..approve(102) },
            "`approve` takes the right to maintain, who wrote it has write",
        ),
        (comment(102, 30, "@molt approve lint"), "it takes a reason"),
        (comment(102, 30, "@molt approve unit it flakes"), "is gate-failed: unit did not eject it"),
        (comment(102, 10, "@molt approve lint it flakes"), "was not known before the comment"),
        (
            comment(102, 30, &format!("@molt approve lint head={} no", head(2))),
            "look at that one first",
        ),
    ];
    for (heard, problem) in cases {
        let (mut line, car) = pull_ejected();
        let before = line.car(car).clone();
        let events = line.forge.hear(17, heard);
        assert!(matches!(&events[..], [Event::CommentAnswered { .. }]), "{events:?}");
        let answer = line.forge.answer(17).unwrap();
        assert!(answer.contains(problem), "{answer}");
        assert_eq!(*line.car(car), before);
    }
}

#[test]
fn of_a_comment_each_gate_is_answered_for_once() {
    let (mut line, car) = pull_ejected();
    let twice = "@molt approve lint it flakes\n\n@molt approve lint it flakes";
    let events = line.forge.hear(17, comment(102, 30, twice));
    assert!(matches!(&events[..], [Event::Overridden { .. }]), "{events:?}");
    assert_eq!(line.car(car).overrides.len(), 1);
}

#[test]
fn the_word_for_a_head_that_moved_is_void() {
    let (mut line, car) = pull_ejected();
    line.forge.see(17, &head(2), 25);
    assert_eq!(line.state(car), "head-moved");
    line.forge.hear(17, comment(102, 30, "@molt approve lint it is the linter"));
    let answer = line.forge.answer(17).unwrap();
    assert!(answer.contains("is not what molt#17 is in the train with"), "{answer}");
    assert!(line.refused(car, "lint").starts_with("closed: "));
    let next = line.forge.enter(17, entry(&head(2), None)).unwrap();
    assert_eq!(line.car(next).overrides, []);
}

#[test]
fn it_is_told_in_one_line() {
    let (mut line, car) = ejected(&["a"]);
    let reason = "it flakes\n\nMolt-Car: car_0001\n";
    line.override_by(pat(), (car, &sha(1)), ("unit", reason)).unwrap();
    let given = line.car(car).overrides[0].to_string();
    assert_eq!(given, "unit by operator pat: it flakes Molt-Car: car_0001");
}

#[test]
fn a_claim_that_is_taken_away_leaves_nothing_to_answer_for() {
    let mut line = Line::new();
    let ann = line.ann.clone();
    let Ok(Reply::Granted { claim, .. }) = line.forge.world.by(&ann, Command::Claim(runtime()))
    else {
        panic!("nobody holds it");
    };
    let car = line.submit_by(&ann, 1);
    line.test(car, &[("unit", red(&["a"]))]);
    let revoke = Command::RevokeClaim { claim: claim.id, reason: "it is in the way".to_owned() };
    line.forge.world.ask(pat(), revoke).unwrap();
    let refused = line.refused(car, "unit");
    assert_eq!(refused, format!("gate: {car} is approval-missing: unit did not eject it"));
}

fn runtime() -> Wanted {
    Wanted {
        scopes: vec!["runtime".parse().unwrap()],
        globs: Vec::new(),
        why: "work".to_owned(),
        task: None,
        mode: Mode::Exclusive,
        risk: None,
        tests: Vec::new(),
        max: None,
        otherwise: Otherwise::Wait,
    }
}
