//! What the board says when it is asked why: the deciding fact first, and only safe steps.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use molt_domain::board::{Actor, Caller, Command, Refusal, Reply};
use molt_domain::claim::{Mode, Otherwise, Outcome, Wanted};
use molt_domain::gate::Class;
use molt_domain::hold::End;
use molt_domain::id::{BoardTime, CarId, SessionId};
use molt_domain::task;
use molt_domain::train::{Candidate, Origin};

mod world;

use world::World;

/// Two that overlap.
const SCOPES: [(&str, &str); 2] = [("runtime", "runtime/**"), ("headers", "runtime/*.h")];

fn claim(scope: &str, otherwise: Otherwise) -> Command {
    Command::Claim(Wanted {
        scopes: vec![scope.parse().unwrap()],
        globs: Vec::new(),
        why: "to mend it".to_owned(),
        task: None,
        mode: Mode::Exclusive,
        risk: None,
        tests: Vec::new(),
        max: None,
        otherwise,
    })
}

#[test]
fn a_claim_says_who_holds_it_and_a_waiter_for_whom_it_waits() {
    let mut world = World::new(&SCOPES);
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    let Ok(Reply::Granted { claim: held, .. }) =
        world.by(&ann, claim("runtime", Otherwise::Refuse))
    else {
        panic!("runtime is free");
    };
    let Ok(Reply::Queued { claim: waits, .. }) = world.by(&bob, claim("headers", Otherwise::Wait))
    else {
        panic!("headers overlap");
    };
    world.now.board = BoardTime(31_000);
    assert_eq!(
        world.why(held.id),
        [
            format!("{} is held by ann: runtime", held.id),
            "since    30 s ago, fence 5".to_owned(),
            "rule     ends when it is released, or its session is gone".to_owned(),
            "why      to mend it".to_owned(),
            "holder   ann is live, seen 30 s ago".to_owned(),
        ]
    );
    let why = world.why(waits);
    assert_eq!(why[0], format!("{waits} of bob waits: headers"));
    let blocker =
        format!("for      runtime, e.g. runtime/x.h: held     by ann as {}, 30 s ago", held.id);
    assert_eq!(why[1], blocker);
    assert_eq!(world.why("runtime")[1], format!("held     by ann as {}, 30 s ago", held.id));
    assert_eq!(world.why("bob")[0], format!("{} bob is live, seen 30 s ago", bob.session));
}

#[test]
fn locks_slots_builds_and_tasks_explain_themselves() {
    let mut world = World::new(&SCOPES);
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    let what = || "cargo test".to_owned();
    let lock = || Command::AcquireLock {
        lock: "diff".parse().unwrap(),
        what: what(),
        otherwise: Otherwise::Wait,
    };
    let Ok(Reply::Held { hold, .. }) = world.by(&ann, lock()) else { panic!("it is free") };
    let Ok(Reply::Waiting { hold: waiter, .. }) = world.by(&bob, lock()) else {
        panic!("it is held")
    };
    let held =
        format!("lock diff is held by ann on h1 for `cargo test`, 0 s ago, fence {}", hold.fence);
    assert_eq!(world.why("diff")[0], held);
    assert_eq!(world.why(waiter)[..2], [format!("{waiter} waits, 0 ahead in its line"), held]);
    world.by(&ann, Command::ReleaseHold { hold: hold.id, end: End::Silent }).unwrap();
    assert_eq!(world.why(hold.id)[0], "lock diff is closed, opens in 75 s");

    let slot = Command::AcquireSlot {
        pool: "cargo".parse().unwrap(),
        host: "h1".parse().unwrap(),
        what: what(),
        otherwise: Otherwise::Refuse,
    };
    world.by(&ann, slot).unwrap();
    assert_eq!(world.why("cargo")[0], "pool cargo@h1 has 1 slots, 1 in use");

    let build = || Command::AskBuild {
        build: "molt,aa,dev,h1".to_owned().try_into().unwrap(),
        missing: None,
        what: what(),
    };
    let Ok(Reply::Held { hold, .. }) = world.by(&ann, build()) else { panic!("nobody built it") };
    assert!(world.why("molt")[0].contains("is being built by ann on h1"));
    let end = Command::EndBuild { hold: hold.id, class: Class::Failed, artifacts: None };
    world.by(&ann, end).unwrap();
    assert_eq!(world.why("molt")[0], "molt:aa (dev, h1) failed; remembered, forgotten in 60 s");
    assert_eq!(world.by(&bob, build()).unwrap_err().reason(), "BUILD_FAILED");

    let new = task::New {
        title: "mend it".to_owned(),
        body: String::new(),
        priority: 2,
        needs: Vec::new(),
        scopes: vec!["runtime".parse().unwrap()],
        acceptance: String::new(),
    };
    let Ok(Reply::TaskAdded { task }) = world.by(&ann, Command::AddTask(new)) else {
        panic!("added")
    };
    assert_eq!(
        world.why(task)[0],
        format!("{task} is open: `next` takes it when its scopes are free")
    );
    world.by(&bob, Command::Next).unwrap();
    assert!(world.why(task)[0].starts_with(&format!("{task} is taken by bob with clm_")));
    let head = "a".repeat(40);
    let submit = submit(&head, Origin::Own);
    let Ok(Reply::Submitted { car, .. }) = world.by(&bob, submit) else { panic!("submitted") };
    let why = world.why(car);
    assert_eq!(why[0], format!("{car} of bob is queued"));
    assert!(why.contains(&format!("head     {head}")), "{why:?}");
}

fn submit(head: &str, origin: Origin) -> Command {
    let (title, body) = ("t".to_owned(), String::new());
    Command::Submit { head: head.to_owned(), title, body, origin }
}

/// Tells the board of a candidate that changes `paths`.
fn set_candidate(world: &mut World, car: CarId, paths: &[&str]) {
    let candidate = Candidate {
        base: "0".repeat(40),
        commit: "2".repeat(40),
        tree: "3".repeat(40),
        from: "refs/molt/train/x".to_owned(),
        changed: paths.iter().map(|&path| path.to_owned()).collect(),
        odd: 0,
        unreadable: None,
        protected: Vec::new(),
        inputs: [].into(),
        base_inputs: [].into(),
    };
    world.ask(Caller::Coordinator, Command::SetCandidate { car, candidate }).unwrap();
}

fn approve(world: &mut World, car: CarId, head: &str) -> Result<Reply, Box<Refusal>> {
    let (head, reason) = (head.to_owned(), "I read it".to_owned());
    let person = Caller::Operator("pat".to_owned());
    world.ask(person, Command::Approve { car, head, reason })
}

#[test]
fn what_waits_for_a_person_says_so_and_who_let_it_go_on() {
    let mut world = World::new(&SCOPES);
    let ann = world.join("ann");
    let heads = ["a".repeat(40), "b".repeat(40)];
    let Ok(Reply::Submitted { car, .. }) = world.by(&ann, submit(&heads[0], Origin::Own)) else {
        panic!("submitted")
    };
    set_candidate(&mut world, car, &["src/x.rs", "tools/dev.py"]);
    let why = world.why(car);
    assert_eq!(why[0], format!("{car} of ann is approval-missing"));
    assert_eq!(why[1], "because  it changes tools/dev.py, which the policy protects");
    assert_eq!(why[3], "next     ask an operator to look at this head and approve it");

    // Another head is not what was looked at; nobody but a person may say so.
    let other = approve(&mut world, car, &heads[1]).unwrap_err();
    let words = format!("the head of {car} of ann is {} by now, not {}", heads[0], heads[1]);
    assert_eq!((other.reason(), other.to_string()), ("STALE", words));
    let (head, reason) = (heads[0].clone(), "mine".to_owned());
    let by_agent = world.by(&ann, Command::Approve { car, head, reason }).unwrap_err();
    assert_eq!(by_agent.to_string(), format!("the approval of {car} needs a person: an operator"));

    approve(&mut world, car, &heads[0]).unwrap();
    let digest = world.board.digest();
    approve(&mut world, car, &heads[0]).unwrap();
    assert_eq!(world.board.digest(), digest, "twice is once");
    set_candidate(&mut world, car, &["src/x.rs", "tools/dev.py"]);
    let why = world.why(car);
    assert_eq!(why[0], format!("{car} of ann is ready"));
    let told = |start: &str| why.iter().any(|line| line.starts_with(start));
    assert!(told("barrier  nothing is tested beside it: it changes tools/dev.py"), "{why:?}");
    assert!(told("approved by operator pat, 0 s ago: I read it"), "{why:?}");

    // A new head is a new car, and nobody approved it.
    let Ok(Reply::Submitted { car: next, .. }) = world.by(&ann, submit(&heads[1], Origin::Own))
    else {
        panic!("submitted")
    };
    let superseded = approve(&mut world, car, &heads[0]).unwrap_err();
    let words = format!("the head of {car} of ann is {} by now, not {}", heads[1], heads[0]);
    assert_eq!(superseded.to_string(), words);
    set_candidate(&mut world, next, &["molt.toml"]);
    assert_eq!(world.why(next)[0], format!("{next} of ann is policy-change"));
}

#[test]
fn a_fork_waits_before_anything_of_it_is_merged() {
    let mut world = World::new(&SCOPES);
    let (bot, ann) = (world.join("bot"), world.join("ann"));
    let fork = Origin::Fork("eve/molt".to_owned());
    let heads = ["a".repeat(40), "b".repeat(40)];
    let Ok(Reply::Submitted { car, ahead: 0 }) = world.by(&bot, submit(&heads[0], fork)) else {
        panic!("submitted")
    };
    let why = world.why(car);
    assert_eq!(
        why[..2],
        [format!("{car} of bot is approval-missing"), "because  it comes from a fork".to_owned()]
    );
    assert!(why.contains(&"from     the fork eve/molt".to_owned()), "{why:?}");
    // It holds nobody up, and a candidate of it is not taken.
    let Ok(Reply::Submitted { car: own, ahead: 0 }) =
        world.by(&ann, submit(&heads[1], Origin::Own))
    else {
        panic!("nobody is ahead")
    };
    set_candidate(&mut world, own, &["src/x.rs"]);
    assert_eq!(world.why(own)[0], format!("{own} of ann is ready"));
    approve(&mut world, car, &heads[0]).unwrap();
    assert_eq!(world.why(car)[0], format!("{car} of bot is queued"));
    for unnamed in ["", " ", "a\nb"] {
        let fork = Origin::Fork(unnamed.to_owned());
        let refused = world.by(&bot, submit(&heads[1], fork)).unwrap_err();
        assert_eq!(refused.to_string(), "fork: no name or address of a repository");
    }
}

#[test]
fn a_refusal_is_explained_by_the_facts_that_decided_it() {
    let mut world = World::new(&SCOPES);
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    world.by(&ann, claim("runtime", Otherwise::Refuse)).unwrap();
    let refusal = world.by(&bob, claim("headers", Otherwise::Refuse)).unwrap_err();
    let actor = Actor::Session { id: bob.session, name: "bob".parse().unwrap(), by: None };
    let digest = world.board.digest();
    let id = world.board.note_refusal(&refusal, "claim", &actor, world.now);
    assert_eq!(world.board.digest(), digest);
    let why = world.why(id);
    assert_eq!(why[0], "claim of bob was refused, 0 s ago: SCOPE_HELD");
    assert!(why[1].starts_with("rule     no two claims meet"), "{why:?}");
    assert!(why[2].starts_with("held     runtime by ann as clm_"), "{why:?}");
    assert!(why.iter().any(|line| line.contains("e.g. runtime/x.h")), "{why:?}");
    assert!(why.contains(&"next     molt-agent claim headers --wait 15m".to_owned()), "{why:?}");
    // The ring keeps the last thousand.
    for _ in 0..1_000 {
        world.board.note_refusal(&refusal, "claim", &actor, world.now);
    }
    let gone = world.board.why(&id.to_string(), world.now.board).unwrap_err();
    assert_eq!(gone.reason(), "NOT_FOUND");
    assert_eq!(world.board.why("clm_zzzz", world.now.board).unwrap_err().reason(), "NOT_FOUND");
    assert_eq!(world.board.why("what?", world.now.board).unwrap_err().reason(), "NOT_FOUND");
}

/// Whether a line says when: so long ago, or so soon.
fn says_when(line: &str) -> bool {
    line.contains(" ago") || line.contains(" in ") || line.contains("due now")
}

#[test]
fn every_kind_says_what_was_decided_when_and_by_which_rule() {
    let mut world = World::new(&SCOPES);
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    let Ok(Reply::Granted { claim: held, .. }) =
        world.by(&ann, claim("runtime", Otherwise::Refuse))
    else {
        panic!("runtime is free");
    };
    let Ok(Reply::Queued { claim: waits, .. }) = world.by(&bob, claim("headers", Otherwise::Wait))
    else {
        panic!("headers overlap");
    };
    let new = task::New {
        title: "mend it".to_owned(),
        body: String::new(),
        priority: 2,
        needs: Vec::new(),
        scopes: Vec::new(),
        acceptance: String::new(),
    };
    let Ok(Reply::TaskAdded { task: open }) = world.by(&ann, Command::AddTask(new)) else {
        panic!("added")
    };
    let lock = Command::AcquireLock {
        lock: "publish".parse().unwrap(),
        what: "release".to_owned(),
        otherwise: Otherwise::Refuse,
    };
    let Ok(Reply::Held { hold, .. }) = world.by(&ann, lock) else { panic!("the lock is free") };
    let slot = Command::AcquireSlot {
        pool: "cargo".parse().unwrap(),
        host: "h1".parse().unwrap(),
        what: "build".to_owned(),
        otherwise: Otherwise::Refuse,
    };
    world.by(&ann, slot).unwrap();
    let change = submit(&"a".repeat(40), Origin::Own);
    let Ok(Reply::Submitted { car, .. }) = world.by(&bob, change) else { panic!("submitted") };
    let refusal = world.by(&bob, claim("runtime", Otherwise::Refuse)).unwrap_err();
    let actor = Actor::Nobody;
    let refused = world.board.note_refusal(&refusal, "claim", &actor, world.now);
    let ids = [
        held.id.to_string(),
        waits.to_string(),
        ann.session.to_string(),
        open.to_string(),
        "publish".to_owned(),
        hold.id.to_string(),
        "cargo".to_owned(),
        car.to_string(),
        refused.to_string(),
    ];
    for id in ids {
        let why = world.why(&id);
        assert!(why.len() <= 12, "{id}: {why:#?}");
        assert!(!why[0].starts_with("rule"), "the decision comes first: {why:?}");
        assert!(why.iter().any(|line| line.starts_with("rule     ")), "by which rule? {why:#?}");
        assert!(why.iter().any(|line| says_when(line)), "when? {why:#?}");
    }
    world
        .by(
            &ann,
            Command::Release { scopes: Vec::new(), globs: Vec::new(), outcome: Outcome::Done },
        )
        .unwrap();
    let gone = world.board.why(&held.id.to_string(), world.now.board).unwrap_err();
    assert!(gone.to_string().contains("audit export"), "{gone}");
}

#[test]
fn no_next_step_takes_anything_away() {
    let harmful = ["force", "steal", "revoke", "kill", "bypass", "override", "take over"];
    let lost = Refusal::session_lost(SessionId::from_counter(7), "a\nb\nc\nd\ne\nf\ng\nh\ni");
    let refusals = [
        *lost,
        Refusal::Closed { reason: "x\n".repeat(30) },
        Refusal::WaitCycle { cycle: vec!["a".to_owned(), "b".to_owned()] },
        Refusal::NothingReady { reasons: vec!["tsk_0001 waits for a of ann".to_owned(); 5] },
        Refusal::Forbidden { what: "it".to_owned(), needs: "an operator".to_owned() },
    ];
    for refusal in refusals {
        assert!(refusal.to_string().lines().count() <= 8, "{refusal}");
        assert!(refusal.facts().len() <= 8 && !refusal.facts().is_empty(), "{refusal}");
        let steps = refusal.next_steps();
        assert!(!steps.is_empty(), "{refusal}");
        for word in harmful {
            assert!(!steps.iter().any(|step| step.contains(word)), "{steps:?}");
        }
    }
}
