//! `next` against its rule, over random boards: of the ready tasks whose scopes are free, the one
//! whose turn is first, then the most urgent, then the oldest.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[expect(dead_code, reason = "a room that several tests share")]
mod world;

use std::cmp::Reverse;

use molt_domain::board::{Caller, Command, Now, Refusal, Reply, Request};
use molt_domain::claim::{Mode, Otherwise, Wanted};
use molt_domain::id::TaskId;
use molt_domain::scope::{Risk, ScopeName};
use molt_domain::session::Credentials;
use molt_domain::task::{End, New, State, Task};
use proptest::prelude::*;
use world::World;

const SCOPES: [(&str, &str); 6] = [
    ("runtime", "runtime/**"),
    ("runtime/gc", "runtime/gc/**"),
    ("docs", "docs/**"),
    ("tools", "tools/**"),
    ("web", "web/**"),
    ("tests", "tests/**"),
];

/// What a task or a request may touch.
const TOUCHED: [&[&str]; 8] = [
    &["runtime"],
    &["runtime/gc"],
    &["docs"],
    &["tools"],
    &["web"],
    &["docs", "tools"],
    &["tests", "web"],
    &[],
];

#[derive(Debug, Clone)]
enum Deed {
    Add { touches: usize, priority: i32, needs: Option<usize> },
    Claim { who: usize, touches: usize },
    Release { who: usize },
    Next { who: usize },
    End { who: usize, end: End },
    Plan { agents: u32 },
}

fn deed() -> impl Strategy<Value = Deed> {
    let end = prop_oneof![
        3 => Just(End::Done),
        1 => Just(End::Fail("no".to_owned())),
        1 => Just(End::Return("later".to_owned())),
    ];
    prop_oneof![
        6 => (0..TOUCHED.len(), -2..3, prop::option::of(0_usize..6))
            .prop_map(|(touches, priority, needs)| Deed::Add { touches, priority, needs }),
        3 => (0_usize..3, 0..TOUCHED.len()).prop_map(|(who, touches)| Deed::Claim { who, touches }),
        2 => (0_usize..3).prop_map(|who| Deed::Release { who }),
        4 => (0_usize..3).prop_map(|who| Deed::Next { who }),
        3 => (0_usize..3, end).prop_map(|(who, end)| Deed::End { who, end }),
        1 => (0_u32..4).prop_map(|agents| Deed::Plan { agents }),
    ]
}

fn names(touches: usize) -> Vec<ScopeName> {
    TOUCHED[touches].iter().map(|name| name.parse().unwrap()).collect()
}

fn claim(scopes: Vec<ScopeName>, task: Option<TaskId>) -> Command {
    Command::Claim(Wanted {
        scopes,
        globs: Vec::new(),
        why: "work".to_owned(),
        task,
        mode: Mode::Exclusive,
        risk: Some(Risk::Low),
        tests: Vec::new(),
        max: None,
        otherwise: Otherwise::Refuse,
    })
}

/// Does it, if the board lets it.
fn act(world: &mut World, agents: &[Credentials], deed: Deed) {
    let taken = |world: &World, who: usize| {
        let tasks = world.board.tables().tasks.values();
        let its = |it: &Task| matches!(it.state, State::Taken { session, .. } if session == agents[who].session);
        tasks.map(AsRef::as_ref).find(|it| its(it)).map(|task| task.id)
    };
    let (who, command) = match deed {
        Deed::Add { touches, priority, needs } => {
            let known: Vec<TaskId> = world.board.tables().tasks.keys().copied().collect();
            let new = New {
                title: "work".to_owned(),
                body: String::new(),
                priority,
                needs: needs.and_then(|at| known.get(at)).copied().into_iter().collect(),
                scopes: names(touches),
                acceptance: String::new(),
            };
            (0, Command::AddTask(new))
        }
        Deed::Claim { who, touches } => (who, claim(names(touches), None)),
        Deed::Release { who } => {
            let outcome = molt_domain::claim::Outcome::Done;
            (who, Command::Release { scopes: Vec::new(), globs: Vec::new(), outcome })
        }
        Deed::Next { who } => (who, Command::Next),
        Deed::End { who, end } => match taken(world, who) {
            Some(task) => (who, Command::EndTask { task, end }),
            None => return,
        },
        Deed::Plan { agents } => {
            let command = Command::PlanScopes { repo: "molt".parse().unwrap(), agents };
            world.ask(Caller::Operator("pat".to_owned()), command).unwrap();
            return;
        }
    };
    // Where scopes are taken it is refused, and nothing changes.
    let _refused = world.by(&agents[who], command);
}

/// The ready tasks in the order in which somebody is to take them.
fn in_order<'a>(world: &'a World, who: &Credentials) -> Vec<&'a Task> {
    let tables = world.board.tables();
    let (name, repo) = tables.repos.iter().next().unwrap();
    let plan = tables.plans.get(name);
    let is_done = |id: &TaskId| tables.tasks.get(id).is_none_or(|it| it.state == State::Done);
    let tasks = tables.tasks.values().map(AsRef::as_ref);
    let mut ready: Vec<&Task> =
        tasks.filter(|it| it.state == State::Open && it.needs.iter().all(is_done)).collect();
    let turn = |task: &Task| {
        let Some(plan) = plan else { return 0 };
        let own = plan.share_of(who.session);
        match plan.share_with(task, &repo.policy.scopes) {
            None => 1,
            share if share == own => 0,
            Some(share) => match (plan.shares[share].session, own) {
                (None, None) => 0,
                (None, Some(_)) => 2,
                (Some(_), _) => 3,
            },
        }
    };
    ready.sort_by_key(|task| (turn(task), Reverse(task.priority), task.id));
    ready
}

/// Whether somebody would get all that a task touches.
fn is_free(world: &World, who: &Credentials, task: &Task) -> bool {
    let request = Request {
        caller: Caller::Session(who.clone()),
        ..Request::own(claim(task.scopes.clone(), Some(task.id)))
    };
    task.scopes.is_empty() || world.board.decide(&request, world.now).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn the_next_task_is_the_first_in_order_that_is_free(deeds in prop::collection::vec(deed(), 1..50)) {
        let mut world = World::new(&SCOPES);
        let agents = ["ann", "bob", "cid"].map(|name| world.join(name));
        for deed in deeds {
            world.now = Now { board: world.now.board.plus(std::time::Duration::from_millis(1)), ..world.now };
            act(&mut world, &agents, deed);
            for who in &agents {
                let its = |it: &Task| matches!(it.state, State::Taken { session, .. } if session == who.session);
                let own = world.board.tables().tasks.values().find(|it| its(it)).map(|it| it.id);
                let order = in_order(&world, who);
                let expected = own.or_else(|| Some(order.iter().find(|it| is_free(&world, who, it))?.id));
                let request = Request { caller: Caller::Session(who.clone()), ..Request::own(Command::Next) };
                match world.board.decide(&request, world.now).map(|decision| decision.reply) {
                    Ok(Reply::TaskTaken { task, .. }) => prop_assert_eq!(Some(task.id), expected),
                    Ok(other) => panic!("{other:?}"),
                    Err(refusal) => {
                        prop_assert_eq!(expected, None, "{}", refusal);
                        let Refusal::NothingReady { reasons } = *refusal else { panic!("{refusal}") };
                        let told: Vec<&str> = reasons.iter().filter_map(|it| it.split(' ').next()).collect();
                        let first: Vec<String> = order.iter().take(5).map(|it| it.id.to_string()).collect();
                        prop_assert_eq!(&told[..first.len()], &first);
                    }
                }
            }
        }
    }
}
