//! Claims that are shared, changed, extended, narrowed and handed over.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod world;

use molt_domain::board::{Already, Command, Format, Formats, Kind, Refusal, Reply};
use molt_domain::claim::{Accepted, Claim, MAX_OVERTAKEN, Mode, Named, Otherwise, State, Wanted};
use molt_domain::id::BoardTime;
use molt_domain::session::Credentials;
use molt_domain::task;

use world::World;

const SCOPES: [(&str, &str); 5] = [
    ("runtime", "runtime/*.c"),
    ("runtime/gc", "runtime/gc/**"),
    ("runtime/jit", "runtime/jit/**"),
    ("docs", "docs/**"),
    ("brief", "brief/**"),
];

fn wanted(scopes: &[&str], mode: Mode) -> Wanted {
    Wanted {
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        globs: Vec::new(),
        why: String::new(),
        task: None,
        mode,
        risk: None,
        tests: Vec::new(),
        max: None,
        otherwise: Otherwise::Refuse,
    }
}

fn exclusive(scopes: &[&str]) -> Command {
    Command::Claim(wanted(scopes, Mode::Exclusive))
}

fn shared(scopes: &[&str]) -> Command {
    Command::Claim(wanted(scopes, Mode::Shared))
}

fn release() -> Command {
    Command::Release { scopes: Vec::new(), globs: Vec::new(), outcome: Default::default() }
}

fn narrow(from: &str, to: &[&str]) -> Command {
    let to = to.iter().map(|scope| scope.parse().unwrap()).collect();
    Command::Narrow { from: from.parse().unwrap(), to, globs: Vec::new() }
}

#[track_caller]
fn granted(world: &mut World, who: &Credentials, command: Command) -> Claim {
    match world.by(who, command) {
        Ok(Reply::Granted { claim, .. }) => *claim,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(world: &mut World, who: &Credentials, command: Command) -> String {
    match world.by(who, command) {
        Err(refusal) => refusal.to_string(),
        Ok(reply) => panic!("{reply:?}"),
    }
}

fn until(claim: &Claim) -> Option<u64> {
    match claim.state {
        State::Held { until, .. } => until.map(|until| until.0),
        _ => None,
    }
}

#[test]
fn those_who_share_hold_the_same_and_nobody_else_does() {
    let mut world = World::new(&SCOPES);
    let [ann, bob, cyd] = ["ann", "bob", "cyd"].map(|name| world.join(name));
    let first = granted(&mut world, &ann, shared(&["runtime"]));
    assert_eq!(granted(&mut world, &bob, shared(&["runtime/gc"])).mode, Mode::Shared);
    assert!(matches!(world.by(&cyd, exclusive(&["runtime"])).map_err(|it| *it),
        Err(Refusal::ScopeHeld { obstacle, .. }) if obstacle.claim == first.id));
    granted(&mut world, &cyd, exclusive(&["docs"]));
    refused(&mut world, &ann, shared(&["docs"]));
    assert!(world.why(first.id)[0].contains("ann"), "{:?}", world.why(first.id));
}

#[test]
fn who_wants_what_it_shares_alone_gets_it_when_the_others_are_gone() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    let before = granted(&mut world, &ann, shared(&["docs"]));
    granted(&mut world, &bob, shared(&["docs"]));
    refused(&mut world, &ann, exclusive(&["docs"]));
    refused(&mut world, &ann, exclusive(&["docs", "runtime"]));
    world.by(&bob, release()).unwrap();
    let after = granted(&mut world, &ann, exclusive(&["docs", "runtime"]));
    assert_eq!(after.scope_list().len(), 1, "what is new is a claim of its own");
    let docs = world.board.tables().claims[&before.id].clone();
    assert_eq!((docs.mode, docs.state), (Mode::Exclusive, before.state), "the same grant");
    refused(&mut world, &bob, shared(&["docs"]));
    granted(&mut world, &ann, shared(&["docs"]));
    granted(&mut world, &bob, shared(&["docs"]));
}

#[test]
fn asking_again_with_another_end_or_task_changes_it() {
    let mut world = World::new(&SCOPES);
    let ann = world.join("ann");
    let before = granted(&mut world, &ann, exclusive(&["docs"]));
    assert_eq!(until(&before), None);
    let brief = Wanted { max: Some(5_000), ..wanted(&["docs"], Mode::Exclusive) };
    let after = granted(&mut world, &ann, Command::Claim(brief));
    assert_eq!((after.id, until(&after)), (before.id, Some(6_000)));
    let again = world.by(&ann, exclusive(&["docs"]));
    assert!(
        matches!(again, Ok(Reply::Granted { claim, already: Already::Yes }) if *claim == after),
        "who asks for nothing new changes nothing"
    );
}

#[test]
fn a_claim_lasts_longer_as_far_as_its_scope_allows() {
    let mut world = World::new(&SCOPES);
    let ann = world.join("ann");
    let extend = |span, scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Command::Extend { scopes, globs: Vec::new(), span }
    };
    let kept = granted(&mut world, &ann, exclusive(&["docs"]));
    let nothing = world.by(&ann, extend(1_000, &[])).unwrap();
    assert_eq!(
        nothing,
        Reply::Extended { scopes: Vec::new(), globs: Vec::new() },
        "it does not end by itself"
    );
    let max = Wanted { max: Some(10_000), ..wanted(&["brief"], Mode::Exclusive) };
    let brief = granted(&mut world, &ann, Command::Claim(max));
    assert_eq!(until(&brief), Some(11_000));
    world.now.board = BoardTime(5_000);
    assert!(matches!(world.by(&ann, extend(20_000, &[])).unwrap(),
        Reply::Extended { scopes, .. } if scopes == brief.scope_list()));
    assert_eq!(until(&world.board.tables().claims[&brief.id]), Some(25_000));
    world.by(&ann, extend(500_000, &["brief"])).unwrap();
    assert_eq!(until(&world.board.tables().claims[&brief.id]), Some(61_000), "a minute in all");
    let told = refused(&mut world, &ann, extend(500_000, &["brief"]));
    assert!(told.contains("as long as its scope allows"), "{told}");
    assert!(refused(&mut world, &ann, extend(1, &["runtime"])).contains("runtime"));
    assert_eq!(world.board.tables().claims[&kept.id].state, kept.state);
}

#[test]
fn what_is_narrowed_leaves_the_rest_to_others_and_is_never_free() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    let whole = granted(&mut world, &ann, exclusive(&["runtime", "docs"]));
    assert!(refused(&mut world, &ann, narrow("runtime", &["docs"])).contains("not below"));
    assert!(refused(&mut world, &ann, narrow("runtime", &["runtime/gcc"])).contains("runtime/gc"));
    assert!(refused(&mut world, &bob, narrow("runtime", &["runtime/gc"])).contains("runtime"));
    let less = granted(&mut world, &ann, narrow("runtime", &["runtime/gc"]));
    assert_eq!((less.id, less.state), (whole.id, whole.state), "the same grant");
    let names: Vec<String> = less.scopes().map(ToString::to_string).collect();
    assert_eq!(names, ["docs", "runtime/gc"]);
    granted(&mut world, &bob, exclusive(&["runtime/jit"]));
    refused(&mut world, &bob, exclusive(&["runtime/gc"]));
    refused(&mut world, &bob, exclusive(&["runtime"]));
}

#[test]
fn a_shared_request_does_not_pass_one_who_waits_to_be_alone_for_ever() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    granted(&mut world, &ann, shared(&["docs"]));
    let alone = Wanted { otherwise: Otherwise::Wait, ..wanted(&["docs"], Mode::Exclusive) };
    assert!(matches!(world.by(&bob, Command::Claim(alone)), Ok(Reply::Queued { .. })));
    let passed = (0..10).take_while(|n| {
        let next = world.join(&format!("next-{n}"));
        world.by(&next, shared(&["docs"])).is_ok()
    });
    assert_eq!(passed.count(), MAX_OVERTAKEN as usize);
}

fn handoff(scope: &str, to: &str) -> Command {
    let (claim, to) = (Named::Scope(scope.parse().unwrap()), to.parse().unwrap());
    Command::Handoff { claim, to, note: "half done".to_owned() }
}

fn accept() -> Command {
    Command::Accept(Accepted::Only)
}

fn waits(world: &mut World, who: &Credentials, scopes: &[&str]) {
    let wanted = Wanted { otherwise: Otherwise::Wait, ..wanted(scopes, Mode::Exclusive) };
    assert!(matches!(world.by(who, Command::Claim(wanted)), Ok(Reply::Queued { .. })));
}

#[test]
fn a_claim_is_its_givers_until_it_is_accepted_and_nothing_of_it_after() {
    let mut world = World::new(&SCOPES);
    let [ann, bob, cyd] = ["ann", "bob", "cyd"].map(|name| world.join(name));
    let before = granted(&mut world, &ann, exclusive(&["docs", "runtime"]));
    waits(&mut world, &cyd, &["docs"]);
    let offered = granted(&mut world, &ann, handoff("docs", "bob"));
    assert_eq!((offered.id, offered.state), (before.id, before.state), "it is ann's as before");
    assert!(world.why(before.id).iter().any(|line| line.contains("offered to bob")));
    refused(&mut world, &bob, exclusive(&["docs"]));

    let after = granted(&mut world, &bob, accept());
    assert_eq!((after.id, after.session), (before.id, bob.session));
    assert_eq!(after.scope_list(), before.scope_list(), "whole");
    let fence = |claim: &Claim| match claim.state {
        State::Held { fence, .. } => fence,
        _ => panic!("{claim:?}"),
    };
    assert!(fence(&after) > fence(&before));
    let told = refused(
        &mut world,
        &ann,
        Command::Release {
            scopes: vec!["docs".parse().unwrap()],
            globs: Vec::new(),
            outcome: Default::default(),
        },
    );
    assert!(told.contains("no held scope `docs`"), "{told}");
    refused(&mut world, &ann, exclusive(&["runtime/gc"]));
    let again = world.by(&bob, Command::Accept(Accepted::Claim(before.id)));
    assert!(matches!(again, Ok(Reply::Granted { already: Already::Yes, .. })), "{again:?}");
    world.by(&bob, release()).unwrap();
    let line = world.board.tables().claims.values().any(|claim| claim.session == cyd.session);
    assert!(line, "who waited has its turn, or an offer of it, now");
}

#[test]
fn a_handover_needs_a_holder_a_living_agent_and_an_offer() {
    let mut world = World::new(&SCOPES);
    let [ann, bob, cyd] = ["ann", "bobby", "cyd"].map(|name| world.join(name));
    assert!(refused(&mut world, &ann, handoff("docs", "bobby")).contains("no held scope `docs`"));
    let claim = granted(&mut world, &ann, exclusive(&["docs"]));
    let told = refused(&mut world, &ann, handoff("docs", "bobbi"));
    assert!(told.contains("no agent `bobbi`: did you mean `bobby`?"), "{told}");
    assert!(refused(&mut world, &ann, handoff("docs", "ann")).contains("ann is you"));
    world.by(&bob, Command::Leave { park: Some(60_000) }).unwrap();
    assert!(refused(&mut world, &ann, handoff("docs", "bobby")).contains("bobby is parked"));
    assert!(refused(&mut world, &cyd, accept()).contains("no claim offered to `cyd`"));
    granted(&mut world, &ann, handoff("docs", "cyd"));
    let named = |name: &str| Command::Accept(Accepted::Scope(name.parse().unwrap()));
    let told = refused(&mut world, &cyd, named("doc"));
    assert!(told.contains("no offer of `doc`: did you mean `docs`?"), "{told}");
    granted(&mut world, &ann, Command::Withdraw { claim: Named::Scope("docs".parse().unwrap()) });
    refused(&mut world, &cyd, accept());
    granted(&mut world, &ann, handoff("docs", "cyd"));
    world.now.board = BoardTime(1_000 + 300_000);
    refused(&mut world, &cyd, accept());
    let kept = world.board.tables().claims[&claim.id].clone();
    assert_eq!((kept.session, kept.state), (ann.session, claim.state), "it stays ann's");
}

fn add(title: &str, scope: &str) -> Command {
    Command::AddTask(task::New {
        title: title.to_owned(),
        body: String::new(),
        priority: 0,
        needs: Vec::new(),
        scopes: vec![scope.parse().unwrap()],
        acceptance: String::new(),
    })
}

#[test]
fn a_claim_serves_another_task_once_its_own_has_ended() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    let Ok(Reply::TaskAdded { task: first }) = world.by(&ann, add("one", "docs")) else {
        panic!("the scope is known");
    };
    world.by(&ann, add("two", "brief")).unwrap();
    let helps = Wanted { task: Some(first), ..wanted(&["brief"], Mode::Exclusive) };
    let kept = granted(&mut world, &ann, Command::Claim(helps));
    assert!(matches!(world.by(&bob, Command::Next), Ok(Reply::TaskTaken { task, .. })
        if task.id == first));
    world.by(&bob, Command::EndTask { task: first, end: task::End::Done }).unwrap();
    let Ok(Reply::TaskTaken { task, claim: Some(claim) }) = world.by(&ann, Command::Next) else {
        panic!("its scope is ann's");
    };
    assert_eq!((claim.id, claim.task), (kept.id, Some(task.id)));
}

#[test]
fn a_task_goes_with_its_claim() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    world.by(&ann, add("one", "docs")).unwrap();
    world.by(&ann, add("two", "brief")).unwrap();
    let Ok(Reply::TaskTaken { task, claim: Some(claim) }) = world.by(&ann, Command::Next) else {
        panic!("the task is ready");
    };
    let Ok(Reply::TaskTaken { task: own, .. }) = world.by(&bob, Command::Next) else {
        panic!("the other task is ready");
    };
    granted(&mut world, &ann, handoff("docs", "bob"));
    let told = refused(&mut world, &bob, accept());
    assert!(told.contains(&format!("you have {}", own.id)), "{told}");
    world.by(&bob, Command::EndTask { task: own.id, end: task::End::Done }).unwrap();
    granted(&mut world, &bob, accept());
    let taken = world.board.tables().tasks[&task.id].state.clone();
    assert!(matches!(taken, task::State::Taken { session, claim: Some(of), .. }
        if (session, of) == (bob.session, claim.id)));
    assert!(world.by(&ann, Command::EndTask { task: task.id, end: task::End::Done }).is_err());
    world.by(&bob, Command::EndTask { task: task.id, end: task::End::Done }).unwrap();
    assert!(!world.board.tables().claims.contains_key(&claim.id));
}

#[test]
fn a_claim_does_not_go_from_hand_to_hand_past_who_waits_for_ever() {
    let mut world = World::new(&SCOPES);
    let [ann, bob, cyd] = ["ann", "bob", "cyd"].map(|name| world.join(name));
    granted(&mut world, &ann, exclusive(&["docs"]));
    waits(&mut world, &cyd, &["docs"]);
    let mut hands = [(&ann, "bob", &bob), (&bob, "ann", &ann)].into_iter().cycle();
    let passed = hands.by_ref().take(10).take_while(|(from, name, to)| {
        world.by(from, handoff("docs", name)).is_ok() && world.by(to, accept()).is_ok()
    });
    assert_eq!(passed.count(), MAX_OVERTAKEN as usize);
    let holder = world.board.tables().claims.values().find(|claim| claim.is_held()).unwrap();
    let (from, to) = match holder.session == ann.session {
        true => (&ann, "cyd"),
        false => (&bob, "cyd"),
    };
    granted(&mut world, from, handoff("docs", to));
    granted(&mut world, &cyd, accept());
    assert_eq!(world.board.tables().claims.len(), 1, "who waited waits no more");
}

#[test]
fn a_handover_closes_no_circle_of_waits() {
    let mut world = World::new(&SCOPES);
    let [ann, bob, cyd] = ["ann", "bob", "cyd"].map(|name| world.join(name));
    granted(&mut world, &ann, exclusive(&["docs"]));
    granted(&mut world, &cyd, exclusive(&["brief"]));
    waits(&mut world, &cyd, &["docs"]);
    waits(&mut world, &bob, &["brief"]);
    granted(&mut world, &ann, handoff("docs", "bob"));
    assert!(matches!(world.by(&bob, accept()).map_err(|it| *it), Err(Refusal::WaitCycle { .. })));
}

#[test]
fn of_two_claims_that_overlap_none_goes_without_the_other() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    granted(&mut world, &ann, exclusive(&["runtime/gc"]));
    granted(&mut world, &ann, handoff("runtime/gc", "bob"));
    let whole = granted(&mut world, &ann, exclusive(&["runtime"]));
    let told = refused(&mut world, &ann, handoff("runtime", "bob"));
    assert!(told.contains("overlaps runtime/gc, which stays yours"), "{told}");
    assert!(matches!(world.by(&bob, accept()).map_err(|it| *it),
        Err(Refusal::ScopeHeld { obstacle, .. }) if obstacle.claim == whole.id));
    world
        .by(
            &ann,
            Command::Release {
                scopes: vec!["runtime".parse().unwrap()],
                globs: Vec::new(),
                outcome: Default::default(),
            },
        )
        .unwrap();
    granted(&mut world, &bob, accept());
}

#[test]
fn what_older_programs_do_not_know_waits_until_the_format_is_raised() {
    let mut world = World::new(&SCOPES);
    let first = Format { written: 1, min_reader: 1, min_writer: 1 };
    world.board.set_formats(Formats { stored: first, ..Formats::default() });
    let ann = world.join("ann");
    let digest = world.board.digest();
    let refused = world.by(&ann, shared(&["runtime"])).unwrap_err();
    assert_eq!(refused.kind(), Kind::Precondition);
    assert_eq!(
        refused.to_string(),
        "such a claim needs records of format 2, the store has 1: \
         an operator raises it with `molt-coordinator format raise`"
    );
    assert_eq!(world.board.digest(), digest);
    world.by(&ann, exclusive(&["runtime"])).unwrap();
    world.board.set_formats(Formats::default());
    world.by(&ann, shared(&["runtime"])).unwrap();
}

#[test]
fn what_an_older_policy_gave_shared_stays_shared() {
    let mut world = World::new(&SCOPES);
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    granted(&mut world, &ann, shared(&["docs", "runtime/jit"]));
    granted(&mut world, &bob, shared(&["runtime/jit"]));
    world.read_policy("q", &SCOPES[3..]);
    let words = refused(&mut world, &ann, exclusive(&["docs"]));
    let rule = "release it and claim again";
    assert_eq!(
        words,
        format!("scopes: the policy changed since docs runtime/jit was granted: {rule}")
    );
    assert_eq!(granted(&mut world, &ann, shared(&["docs"])).mode, Mode::Shared);
}

#[test]
fn who_wants_alone_what_it_shares_closes_no_circle() {
    let mut world = World::new(&SCOPES);
    let (ann, bob, eve) = (world.join("ann"), world.join("bob"), world.join("eve"));
    let waits = |scopes, mode| {
        Command::Claim(Wanted { otherwise: Otherwise::Wait, ..wanted(scopes, mode) })
    };
    granted(&mut world, &ann, shared(&["runtime"]));
    granted(&mut world, &eve, exclusive(&["docs"]));
    for (who, scopes, mode) in
        [(&bob, &["docs", "runtime"][..], Mode::Shared), (&ann, &["docs"], Mode::Exclusive)]
    {
        let queued = world.by(who, waits(scopes, mode)).unwrap();
        assert!(matches!(queued, Reply::Queued { .. }), "{queued:?}");
    }
    let words = refused(&mut world, &ann, exclusive(&["runtime"]));
    assert_eq!(words, "waiting would close a circle: docs waits for docs");
}
