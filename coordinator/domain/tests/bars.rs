//! How long people wait, on virtual time: in a crowd, after a clean release, after a dead host.
//!
//! Time passes here as the coordinator lets it pass: it looks at it every 200 ms. Not here: what
//! a decision costs on a real machine, which the benchmarks measure.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod world;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use molt_domain::board::{Caller, Command, Event, Presence, Reply, Request};
use molt_domain::claim::{Mode, Otherwise, Outcome, State, Wanted};
use molt_domain::id::{BoardTime, ClaimId, SessionId};
use molt_domain::session::Credentials;
use world::World;

/// How often the coordinator looks at the time, in milliseconds (`reconcile/tick.rs`).
const TICK: u64 = 200;

fn wanted(scope: &str) -> Wanted {
    Wanted {
        scopes: vec![scope.parse().unwrap()],
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

/// Does a command and tells what happened by it.
fn act(world: &mut World, caller: Caller, command: Command) -> (Reply, Vec<Event>) {
    let request = Request { caller, ..Request::own(command) };
    let decision = world.board.decide(&request, world.now).unwrap();
    for change in decision.changes {
        world.board.apply(change);
    }
    let ledger = world.board.ledger().clone();
    world.board.set_ledger(ledger.at(decision.fence));
    (decision.reply, decision.events)
}

/// Who holds what, as those who are told see it.
#[derive(Default)]
struct Watch {
    holders: BTreeMap<String, SessionId>,
    doubles: usize,
}

impl Watch {
    fn granted(&mut self, scope: String, session: SessionId) {
        self.doubles += usize::from(self.holders.insert(scope, session).is_some());
    }

    fn released(&mut self, scope: &str) {
        self.holders.remove(scope);
    }
}

#[test]
fn the_watch_sees_a_scope_that_two_hold() {
    let mut watch = Watch::default();
    let session = |text: &str| text.parse::<SessionId>().unwrap();
    watch.granted("docs".to_owned(), session("ses_0001"));
    watch.released("docs");
    watch.granted("docs".to_owned(), session("ses_0002"));
    assert_eq!(watch.doubles, 0);
    watch.granted("docs".to_owned(), session("ses_0003"));
    assert_eq!(watch.doubles, 1);
}

const AGENTS: usize = 50;
const SCOPES: usize = 10;
/// A third of a minute: many times what an agent waits.
const SPAN: u64 = 20_000;

/// What comes next for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ask,
    Release,
}

/// 50 agents want 10 scopes and hold each for 50 to 150 ms. Five want each scope, so who asks
/// has four turns before it at most: that is the fair share of waiting. A turn is what a scope
/// takes for one agent after the other on average; twice that leaves room for four long ones.
#[test]
fn nobody_in_a_crowd_waits_for_more_than_twice_the_fair_share() {
    let names: Vec<String> = (0..SCOPES).map(|n| format!("s{n}")).collect();
    let paths: Vec<String> = names.iter().map(|name| format!("{name}/**")).collect();
    let scopes: Vec<(&str, &str)> =
        names.iter().map(String::as_str).zip(paths.iter().map(String::as_str)).collect();
    let mut world = World::new(&scopes);
    let agents: Vec<Credentials> = (0..AGENTS).map(|n| world.join(&format!("agent-{n}"))).collect();
    let of: BTreeMap<SessionId, usize> =
        agents.iter().enumerate().map(|(n, it)| (it.session, n)).collect();
    let begun = world.now.board.0;
    let mut steps: BinaryHeap<Reverse<(u64, usize, Step)>> =
        (0..AGENTS).map(|n| Reverse((begun + n as u64 % 100, n, Step::Ask))).collect();
    let (mut watch, mut asked) = (Watch::default(), [0; AGENTS]);
    let (mut longest, mut grants, mut ticked) = (0, 0_u64, begun);
    let mut drawn = 7_u64;
    while let Some(Reverse((at, n, step))) = steps.pop() {
        if at > begun + SPAN {
            break;
        }
        while ticked + TICK <= at {
            ticked += TICK;
            world.now.board = BoardTime(ticked);
            for agent in &agents {
                world.board.beat(agent.session, world.now.board);
            }
            act(&mut world, Caller::Coordinator, Command::Tick);
        }
        world.now.board = BoardTime(at);
        let (scope, caller) = (&names[n % SCOPES], Caller::Session(agents[n].clone()));
        let events = match step {
            Step::Ask => {
                asked[n] = at;
                let (reply, events) = act(&mut world, caller, Command::Claim(wanted(scope)));
                if let Reply::Queued { claim, .. } = reply {
                    world.board.attend(claim, Presence::Here);
                }
                events
            }
            Step::Release => {
                watch.released(scope);
                let release = Command::Release {
                    scopes: Vec::new(),
                    globs: Vec::new(),
                    outcome: Outcome::Done,
                };
                steps.push(Reverse((at + 1, n, Step::Ask)));
                act(&mut world, caller, release).1
            }
        };
        for event in events {
            let Event::Claimed { session, scopes, .. } = event else { continue };
            let who = of[&session];
            watch.granted(scopes[0].to_string(), session);
            longest = longest.max(at - asked[who]);
            grants += 1;
            drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            steps.push(Reverse((at + 50 + (drawn >> 33) % 101, who, Step::Release)));
        }
    }
    let turn = SPAN as f64 * SCOPES as f64 / grants as f64;
    let fair = (AGENTS / SCOPES - 1) as f64 * turn;
    println!("{grants} grants, a turn of {turn:.0} ms, longest wait {longest} ms, fair {fair:.0}");
    assert_eq!(watch.doubles, 0);
    assert!(grants > 1_500, "only {grants} grants");
    assert!(longest as f64 <= 2.0 * fair, "{longest} ms, and the fair share is {fair:.0}");
}

/// Lets time pass until a claim is no longer waiting, its waiter's session and no other renewed.
fn until_served(
    world: &mut World,
    claim: ClaimId,
    alive: &Credentials,
    within: Duration,
) -> Duration {
    let begun = world.now.board;
    loop {
        world.now.board = BoardTime(world.now.board.0 + TICK);
        world.board.beat(alive.session, world.now.board);
        act(world, Caller::Coordinator, Command::Tick);
        let passed = world.now.board.since(begun);
        let state = &world.board.tables().claims[&claim].state;
        if !matches!(state, State::Waiting { .. }) {
            return passed;
        }
        assert!(passed <= within, "nothing after {passed:?}: {:?}", world.why(claim));
    }
}

#[test]
fn the_scope_of_a_dead_host_is_offered_within_ttl_and_grace_and_five_seconds() {
    let mut world = World::new(&[("docs", "docs/**")]);
    let (holder, waiter) = (world.join("ann"), world.join("bob"));
    world.by(&holder, Command::Claim(wanted("docs"))).unwrap();
    world.board.beat(holder.session, world.now.board);
    let Ok(Reply::Queued { claim, .. }) = world.by(&waiter, Command::Claim(wanted("docs"))) else {
        panic!("nothing to wait for");
    };
    let spans = *world.board.spans();
    let bar = spans.session_ttl + spans.grace + Duration::from_secs(5);
    let passed = until_served(&mut world, claim, &waiter, bar);
    assert!(passed >= spans.session_ttl + spans.grace, "it was still its holder's: {passed:?}");
    assert!(passed <= bar, "{passed:?}");
}

#[test]
fn a_clean_release_reaches_the_waiter_within_a_second() {
    for presence in [Presence::Here, Presence::Gone] {
        let mut world = World::new(&[("docs", "docs/**")]);
        let (holder, waiter) = (world.join("ann"), world.join("bob"));
        world.by(&holder, Command::Claim(wanted("docs"))).unwrap();
        let Ok(Reply::Queued { claim, .. }) = world.by(&waiter, Command::Claim(wanted("docs")))
        else {
            panic!("nothing to wait for");
        };
        world.board.attend(claim, presence);
        let released = world.now.board;
        let release =
            Command::Release { scopes: Vec::new(), globs: Vec::new(), outcome: Outcome::Done };
        let (_, events) = act(&mut world, Caller::Session(holder), release);
        let reached = events.iter().any(|event| match event {
            Event::Claimed { claim: id, .. } => *id == claim && presence == Presence::Here,
            Event::Offered { claim: id, .. } => *id == claim && presence == Presence::Gone,
            _ => false,
        });
        // In the very decision of the release: no time passes before it.
        assert!(reached, "{presence:?}: {events:?}");
        assert!(world.now.board.since(released) <= Duration::from_secs(1));
    }
}
