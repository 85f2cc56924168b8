//! The checker checks: a genuine story holds, and each way in which a fleet can be wrong is found.

use std::time::Duration;

use molt_domain::audit::{self, Anchor};
use molt_domain::board::{Actor, Event, Now};
use molt_domain::id::BoardTime;
use molt_tests::verify::Report;
use molt_tests::verify::fleet::journal::{Holding, Line, Sign};
use molt_tests::verify::fleet::{Run, check};
use serde_json::{Value, json};

use crate::harness::scratch;

/// What happened on a board, by board time, and what holders wrote down.
#[derive(Clone)]
struct Story {
    events: Vec<(u64, Value)>,
    lines: Vec<Line>,
    least: (u64, u64, u64),
}

fn fence(n: u64) -> Value {
    json!({ "epoch": 0, "n": n })
}

fn claimed(claim: &str, session: &str, scope: &str, n: u64) -> Value {
    json!({
        "what": "claimed", "claim": claim, "session": session, "name": "ann", "scopes": [scope],
        "fence": fence(n), "task": null
    })
}

fn released(claim: &str, session: &str, scope: &str) -> Value {
    json!({
        "what": "released", "claim": claim, "session": session, "scopes": [scope],
        "outcome": "done"
    })
}

fn queued(claim: &str, session: &str, scope: &str) -> Value {
    json!({
        "what": "queued", "claim": claim, "session": session, "name": "bob", "scopes": [scope],
        "ahead": 1
    })
}

fn locked(hold: &str, n: u64) -> Value {
    json!({
        "what": "lock_granted", "repo": "main", "lock": "diff", "hold": hold,
        "holder": {"session": "ses_0001"}, "fence": fence(n)
    })
}

fn freed(hold: &str, end: &str) -> Value {
    json!({"what": "lock_freed", "repo": "main", "lock": "diff", "hold": hold, "end": end})
}

fn slot(hold: &str, n: u32) -> Value {
    json!({
        "what": "slot_granted", "host": "h1", "pool": "cargo", "slot": n, "hold": hold,
        "holder": {"session": "ses_0001"}, "in_use": 1, "size": 1
    })
}

fn build(what: &str, hold: &str) -> Value {
    let mut event = json!({"what": what, "build": "app,00ff,dev,all", "hold": hold});
    match what {
        "build_begun" => event["session"] = json!("ses_0001"),
        _ => {
            event["class"] = json!("passed");
            event["artifacts"] = Value::Null;
            event["waiters"] = json!(0);
        }
    }
    event
}

fn lost(grace: u64) -> Value {
    json!({
        "what": "lost", "session": "ses_0001", "name": "ann", "cause": "silence", "grace": grace
    })
}

fn assigned(attempt: u32, host: &str) -> Value {
    json!({
        "what": "job_assigned", "job": "job_0001", "gate": "lint", "host": host,
        "attempt": attempt
    })
}

fn finished(attempt: u32, host: &str) -> Value {
    let finding = json!({
        "class": "passed", "green": 1, "red": [], "red_count": 0, "exit": 0, "note": "",
        "log": "", "argv": ["sh"], "commit": "c", "tree": "t",
        "duration": {"secs": 1, "nanos": 0}, "peak": 1
    });
    json!({
        "what": "job_finished", "job": "job_0001", "gate": "lint", "host": host,
        "attempt": attempt, "digest": "d".repeat(64), "finding": finding
    })
}

fn taken(task: &str, session: &str, claim: &str) -> Value {
    json!({
        "what": "task_taken", "task": task, "session": session, "name": "cyd", "claim": claim
    })
}

fn ended(task: &str) -> Value {
    json!({"what": "task_ended", "task": task, "state": "done", "reason": ""})
}

fn landed(car: &str) -> Value {
    json!({
        "what": "landed", "car": car, "branch": "main", "base": "b", "commit": "c", "tree": "t",
        "fence": fence(90)
    })
}

fn holding(kind: &str, what: &str, by: &str, fence: &str) -> Holding {
    let text = str::to_owned;
    Holding { kind: text(kind), what: text(what), by: text(by), fence: text(fence) }
}

fn heard(kind: &str, id: &str, fence: Option<&str>) -> Sign {
    let fence = fence.map(str::to_owned);
    Sign::Acknowledged { kind: kind.to_owned(), id: id.to_owned(), fence }
}

impl Story {
    /// Claims, a lock in two hands one after the other, a slot, a build, a job that went to
    /// another host, a landing, a task; a fault and what went on after it.
    fn new() -> Self {
        let returned = json!({
            "what": "job_returned", "job": "job_0001", "gate": "lint", "attempt": 1,
            "reason": "h1 fell silent"
        });
        let submitted = json!({
            "what": "submitted", "car": "car_0001", "repo": "main", "session": "ses_0002",
            "name": "bob", "head": "1".repeat(40), "title": "one", "scopes": []
        });
        let events = vec![
            (0, claimed("clm_0001", "ses_0001", "a", 1)),
            (10, queued("clm_0002", "ses_0002", "a")),
            (20, released("clm_0001", "ses_0001", "a")),
            (20, claimed("clm_0002", "ses_0002", "a", 2)),
            (30, locked("hld_0001", 3)),
            (40, freed("hld_0001", "silent")),
            (2_040, locked("hld_0002", 4)),
            (2_050, freed("hld_0002", "gone")),
            (2_060, slot("hld_0003", 1)),
            (2_070, build("build_begun", "hld_0004")),
            (2_080, build("build_ended", "hld_0004")),
            (2_090, assigned(1, "h1")),
            (2_100, returned),
            (2_110, assigned(2, "h2")),
            (2_120, finished(2, "h2")),
            (2_130, submitted),
            (2_140, landed("car_0001")),
            (
                2_142,
                json!({"what": "task_added", "task": "tsk_0001", "repo": "main", "title": "c"}),
            ),
            (2_144, claimed("clm_0005", "ses_0003", "c", 5)),
            (2_144, taken("tsk_0001", "ses_0003", "clm_0005")),
            (2_148, ended("tsk_0001")),
            (2_148, released("clm_0005", "ses_0003", "c")),
            (2_150, lost(9_000)),
            (2_160, json!({"what": "resumed", "session": "ses_0001", "epoch": 2})),
            (2_170, json!({"what": "left", "session": "ses_0001", "name": "ann"})),
        ];
        let mut story = Self { events, lines: Vec::new(), least: (5, 1, 1) };
        let first = holding("lock", "diff", "run-1", "3");
        let second = holding("lock", "diff", "run-2", "4");
        story.line(1, heard("claim", "clm_0001", Some("1")));
        story.line(2, Sign::Lives(holding("claim", "a", "clm_0001", "1")));
        story.line(3, heard("release", "clm_0001", None));
        story.line(4, Sign::Lives(holding("claim", "a", "clm_0002", "2")));
        story.line(5, Sign::Lives(first.clone()));
        story.line(6, Sign::Fault { name: "a freeze".to_owned() });
        story.line(7, Sign::Lives(first));
        story.line(8, Sign::Effect { name: "a freeze".to_owned() });
        story.line(9, Sign::Healed { name: "a freeze".to_owned() });
        story.line(2_010, Sign::Lives(second.clone()));
        story.line(2_020, Sign::Ends(second));
        story.line(2_030, Sign::Ends(holding("build", "00ff", "build-hld_0004-1", "5")));
        story.line(2_040, heard("build", "00ff", None));
        story.line(2_050, heard("submit", "car_0001", None));
        story.line(2_060, heard("landing", "car_0001", None));
        story.line(2_070, heard("add", "tsk_0001", None));
        story.line(2_080, heard("task", "tsk_0001", Some("5")));
        story.line(2_090, heard("done", "tsk_0001", None));
        story.line(60_000, Sign::Over);
        story
    }

    fn line(&mut self, millis: u64, sign: Sign) {
        self.lines.push(Line { at: millis * 1_000_000, sign });
    }

    /// Puts an event in after the first that is `after`.
    fn insert(&mut self, after: &str, event: Value) {
        let (at, place) = self.find(after);
        self.events.insert(place + 1, (at, event));
    }

    fn find(&self, what: &str) -> (u64, usize) {
        let found = self.events.iter().position(|(_, event)| event["what"] == what);
        let place = found.expect("it is in the story");
        (self.events[place].0, place)
    }

    /// Makes something else of the first event that is `what`, or of its time.
    fn change(&mut self, what: &str, change: impl FnOnce(&mut u64, &mut Value)) {
        let (_, place) = self.find(what);
        let (at, event) = &mut self.events[place];
        change(at, event);
    }

    fn remove(&mut self, what: &str) {
        let (_, place) = self.find(what);
        self.events.remove(place);
    }

    fn check(&self) -> Report {
        let scratch = scratch();
        let mut anchor = Anchor::genesis();
        let mut audit = String::new();
        for (at, event) in &self.events {
            let now = Now { board: BoardTime(*at), wall: 1_700_000_000_000 };
            let event: Event = serde_json::from_value(event.clone())
                .unwrap_or_else(|error| panic!("the domain reads {event}: {error}"));
            for entry in audit::append(&mut anchor, now, &Actor::Coordinator, vec![event]) {
                audit += &serde_json::to_string(&entry).expect("an entry is JSON");
                audit += "\n";
            }
        }
        let line = |line: &Line| serde_json::to_string(line).expect("a line is JSON") + "\n";
        // Its writer was killed while it wrote the last line.
        let lines: String = self.lines.iter().map(line).chain([r#"{"at":9"#.to_owned()]).collect();
        std::fs::write(scratch.path().join("all.journal"), lines).expect("a journal");
        let path = scratch.path().join("audit.jsonl");
        std::fs::write(&path, audit).expect("an audit");
        let (grants, landings, faults) = self.least;
        let run = Run {
            audit: path,
            journals: scratch.path().to_owned(),
            grants,
            landings,
            faults,
            progress: Duration::from_secs(15),
            delay: Duration::from_secs(2),
            kinds: ["build".to_owned(), "landing".to_owned()].into(),
        };
        check(&run).expect("all is there")
    }

    /// What the checker says of the story after `change`; it must find exactly one kind of thing.
    #[track_caller]
    fn found(change: impl FnOnce(&mut Self), words: &str) {
        let mut story = Self::new();
        change(&mut story);
        let report = story.check();
        let said = report.violations();
        assert!(said.iter().any(|line| line.contains(words)), "`{words}` is not in {said:#?}");
    }
}

#[test]
fn a_genuine_story_holds() {
    let report = Story::new().check();
    assert!(report.holds(), "{report}");
    assert_eq!((report.fact("grants"), report.fact("lost in silence")), (7, 1));
    assert_eq!(report.fact("slowest progress in ms"), 2_051);
}

#[test]
fn two_claims_in_each_others_way_are_found() {
    Story::found(|story| story.remove("released"), "clm_0002 got a while clm_0001 held a");
    Story::found(
        |story| story.insert("build_ended", claimed("clm_0003", "ses_0003", "a/b", 8)),
        "clm_0003 got a/b while clm_0002 held a",
    );
    Story::found(
        |story| story.events[1].1["scopes"] = json!(["a", "b"]),
        "clm_0002 asked for a b and got a",
    );
}

#[test]
fn a_fence_that_does_not_grow_is_found() {
    Story::found(|story| story.events[4].1["fence"] = fence(2), "the fence goes back to 2");
}

#[test]
fn a_session_that_regains_what_is_gone_is_found() {
    Story::found(
        |story| story.insert("lost", claimed("clm_0003", "ses_0001", "b", 8)),
        "clm_0003 was granted to ses_0001, which was lost",
    );
    Story::found(
        |story| story.insert("left", claimed("clm_0003", "ses_0001", "b", 8)),
        "which had left",
    );
    Story::found(
        |story| {
            let (_, place) = story.find("lost");
            story.events[place].1 = lost(2_155);
        },
        "came back 5 ms after its grace",
    );
}

#[test]
fn barging_is_found() {
    let offered = |story: &mut Story| {
        let offer = json!({
            "what": "offered", "claim": "clm_0002", "session": "ses_0002", "scopes": ["a"],
            "until": 99
        });
        story.insert("released", claimed("clm_0003", "ses_0003", "a", 2));
        story.insert("released", offer);
    };
    Story::found(offered, "clm_0003 went past the offer to clm_0002");
    let overtaken = |story: &mut Story| {
        for n in (0..4).rev() {
            let claim = format!("clm_001{n}");
            story.insert("released", released(&claim, "ses_0003", "a"));
            story.insert("released", claimed(&claim, "ses_0003", "a", 2));
        }
    };
    Story::found(overtaken, "clm_0002 was overtaken 4 times");
    let waits = json!({
        "what": "waits", "hold": "hld_0009", "holder": {"session": "ses_0002"}, "line": "diff",
        "ahead": 0
    });
    Story::found(|story| story.insert("lock_freed", waits), "diff went to hld_0002 past hld_0009");
}

#[test]
fn a_lock_in_two_hands_or_too_early_is_found() {
    Story::found(|story| story.remove("lock_freed"), "diff went to hld_0002 beside hld_0001");
    Story::found(
        |story| (story.events[6].0, story.events[7].0) = (2_039, 2_039),
        "1999 ms after hld_0001 fell silent",
    );
    Story::found(
        |story| story.insert("left", freed("hld_0002", "gone")),
        "hld_0002 gave diff back unheld",
    );
}

#[test]
fn a_pool_with_too_many_users_is_found() {
    Story::found(|story| story.insert("slot_granted", slot("hld_0009", 1)), "beside hld_0003");
    Story::found(|story| story.insert("slot_granted", slot("hld_0009", 2)), "users of 1 slots");
}

#[test]
fn a_build_that_is_run_twice_is_found() {
    Story::found(
        |story| story.insert("build_begun", build("build_begun", "hld_0009")),
        "began by hld_0009 beside hld_0004",
    );
    let again = Sign::Ends(holding("build", "00ff", "run-9", "6"));
    Story::found(|story| story.line(2_035, again), "build 00ff was run to its end 2 times");
}

#[test]
fn a_late_result_is_found() {
    Story::found(
        |story| story.insert("job_returned", finished(1, "h1")),
        "a late result of job_0001, attempt 1 on h1",
    );
    Story::found(
        |story| story.insert("job_finished", assigned(3, "h1")),
        "job_0001 was over and went to h1",
    );
}

#[test]
fn a_task_without_its_claim_is_found() {
    let without = "tsk_0001 was taken without clm_0005";
    Story::found(|story| story.change("task_taken", |at, _| *at += 1), without);
    let by_another = |_: &mut u64, event: &mut Value| event["session"] = json!("ses_0001");
    Story::found(|story| story.change("task_taken", by_another), without);
    Story::found(
        |story| story.insert("task_ended", taken("tsk_0002", "ses_0001", "clm_0009")),
        "tsk_0002 was taken without clm_0009",
    );
    Story::found(
        |story| story.insert("task_taken", taken("tsk_0001", "ses_0003", "clm_0005")),
        "tsk_0001 was taken twice",
    );
    Story::found(
        |story| story.insert("task_ended", ended("tsk_0001")),
        "tsk_0001 was given up and nobody had it",
    );
}

#[test]
fn a_task_and_a_claim_that_outlive_each_other_are_found() {
    Story::found(|story| story.remove("task_ended"), "tsk_0001 outlived its clm_0005");
    Story::found(
        |story| {
            let (_, place) = story.find("task_ended");
            story.events.remove(place + 1);
        },
        "clm_0005 outlived its tsk_0001",
    );
}

#[test]
fn something_acknowledged_that_is_not_there_is_found() {
    let forgotten = [
        heard("claim", "clm_0001", Some("2")),
        heard("release", "clm_0002", None),
        heard("submit", "car_0002", None),
        heard("landing", "car_0002", None),
        heard("build", "11ff", None),
        heard("add", "tsk_0002", None),
        heard("task", "tsk_0001", Some("2")),
        heard("task", "tsk_0002", Some("5")),
        heard("done", "tsk_0002", None),
    ];
    for sign in forgotten {
        Story::found(|story| story.line(50, sign), "was acknowledged");
    }
}

#[test]
fn two_who_held_at_once_are_found() {
    let late = Sign::Lives(holding("lock", "diff", "run-1", "3"));
    Story::found(
        |story| story.line(2_011, late),
        "overlap: lock diff: run-1 (fence 3) still lived 1 ms after run-2 (fence 4) began",
    );
    let twice = Sign::Lives(holding("lock", "diff", "run-9", "4"));
    Story::found(|story| story.line(3_000, twice), "had the one fence 4");
    let never = Sign::Lives(holding("lock", "diff", "run-9", "77"));
    Story::found(|story| story.line(3_000, never), "run-9 had fence 77, never granted so");
}

#[test]
fn a_fleet_that_does_not_go_on_is_found() {
    let late = |story: &mut Story| {
        let landing = heard("landing", "car_0001", None);
        story.lines.retain(|line| line.sign != landing);
        story.line(15_010, landing);
    };
    Story::found(late, "no progress: no landing within 15s after a freeze was over");
    let short = |story: &mut Story| {
        story.lines.retain(|line| !matches!(line.sign, Sign::Over | Sign::Acknowledged { .. }));
        story.line(10_000, Sign::Over);
    };
    Story::found(short, "invalid run: no build after a freeze");
}

#[test]
fn a_run_with_too_little_in_it_is_invalid() {
    Story::found(|story| story.least = (200, 1, 1), "invalid run: 7 grants");
    Story::found(|story| story.least = (1, 20, 1), "invalid run: 1 landings");
    Story::found(|story| story.least = (1, 1, 3), "invalid run: 1 faults");
}

#[test]
fn an_audit_that_was_tampered_with_is_found() {
    let scratch = scratch();
    let path = scratch.path().join("audit.jsonl");
    std::fs::write(&path, "{\"seq\":1,\"at\":0,\"hash\":\"00\"}\n").expect("an audit");
    let run = Run {
        audit: path,
        journals: scratch.path().to_owned(),
        grants: 0,
        landings: 0,
        faults: 0,
        progress: Duration::ZERO,
        delay: Duration::ZERO,
        kinds: Vec::new(),
    };
    assert!(!check(&run).expect("all is there").holds());
}
