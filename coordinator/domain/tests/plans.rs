//! Plans: how ready work is dealt, and how `next` follows.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::board::{Caller, Command, Refusal, Reply};
use molt_domain::id::TaskId;
use molt_domain::plan::{Deal, Left};
use molt_domain::policy::{Policy, Repo};
use molt_domain::scope::{Case, Scope, ScopeName, ScopeTree, conflict};
use molt_domain::session::Credentials;
use molt_domain::task::{End, New};
use world::World;

fn add(
    world: &mut World,
    who: &Credentials,
    scopes: &[&str],
    needs: &[TaskId],
    priority: i32,
) -> TaskId {
    let new = New {
        title: format!("work on {scopes:?}"),
        body: String::new(),
        priority,
        needs: needs.to_vec(),
        scopes: scopes.iter().map(|name| name.parse().unwrap()).collect(),
        acceptance: String::new(),
    };
    match world.by(who, Command::AddTask(new)) {
        Ok(Reply::TaskAdded { task }) => task,
        other => panic!("{other:?}"),
    }
}

fn plan(world: &mut World, agents: u32) -> Result<Reply, Box<Refusal>> {
    let command = Command::PlanScopes { repo: "molt".parse().unwrap(), agents };
    world.ask(Caller::Operator("pat".to_owned()), command)
}

fn next(world: &mut World, who: &Credentials) -> TaskId {
    match world.by(who, Command::Next) {
        Ok(Reply::TaskTaken { task, .. }) => task.id,
        other => panic!("{other:?}"),
    }
}

fn done(world: &mut World, who: &Credentials, task: TaskId) {
    world.by(who, Command::EndTask { task, end: End::Done }).unwrap();
}

fn repo(world: &World) -> Repo {
    Repo::clone(world.board.tables().repos.values().next().unwrap())
}

fn shares(world: &World) -> Vec<Vec<String>> {
    let (plan, _) = world.board.planned(&repo(world)).unwrap();
    plan.shares.iter().map(|it| it.scopes.iter().map(ToString::to_string).collect()).collect()
}

/// Two agents and work in three places, one of which overlaps another.
fn fleet() -> (World, Credentials, Credentials) {
    let mut world = World::new(&[
        ("runtime", "runtime/**"),
        ("runtime/gc", "runtime/gc/**"),
        ("headers", "*/*.h"),
        ("docs", "docs/a/**"),
        ("tools", "tools/x/**"),
    ]);
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    (world, ann, bob)
}

#[test]
fn scopes_that_meet_stay_together_and_say_by_which_path() {
    let (mut world, ann, _) = fleet();
    for scope in ["runtime/gc", "headers", "docs", "docs", "tools"] {
        add(&mut world, &ann, &[scope], &[], 0);
    }
    add(&mut world, &ann, &["runtime"], &[], 0);
    plan(&mut world, 3).unwrap();
    assert_eq!(
        shares(&world),
        [vec!["headers", "runtime", "runtime/gc"], vec!["docs"], vec!["tools"]]
    );
    let why = world.why("headers");
    assert!(why.contains(&"plan     share 1 of 3, nobody's yet: headers".to_owned()), "{why:?}");
    assert!(why.contains(&"with     runtime: e.g. runtime/x.h".to_owned()), "{why:?}");
    let why = world.why("runtime/gc");
    assert!(why.contains(&"with     runtime: one family".to_owned()), "{why:?}");
}

#[test]
fn next_takes_ones_own_share_first_and_then_says_whose_work_it_is() {
    let (mut world, ann, bob) = fleet();
    let (docs, more, tools) = (
        add(&mut world, &ann, &["docs"], &[], 0),
        add(&mut world, &ann, &["docs"], &[], 0),
        add(&mut world, &ann, &["tools"], &[], 5),
    );
    plan(&mut world, 2).unwrap();
    assert_eq!(next(&mut world, &ann), tools, "the most urgent of a share that nobody has");
    let urgent = add(&mut world, &ann, &["tools"], &[], 9);
    assert_eq!(next(&mut world, &bob), docs, "the other share, though {urgent} is more urgent");
    let why = world.why(more);
    assert!(why.contains(&"plan     share 1 of 2, bob's: docs".to_owned()), "{why:?}");
    let why = world.why(ann.session);
    assert!(why.contains(&"plan     share 2 of 2, ann's: tools".to_owned()), "{why:?}");
    done(&mut world, &bob, docs);
    assert_eq!(next(&mut world, &bob), more, "its own before what is more urgent elsewhere");
    done(&mut world, &bob, more);
    done(&mut world, &ann, tools);
    assert_eq!(next(&mut world, &bob), urgent, "nothing is left of its own");
    let refused = world.by(&ann, Command::Next).unwrap_err();
    assert_eq!(refused.reason(), "NOTHING_READY");
}

#[test]
fn work_that_comes_later_finds_its_share_and_a_share_outlives_no_session() {
    let (mut world, ann, bob) = fleet();
    let first = add(&mut world, &ann, &["runtime"], &[], 0);
    add(&mut world, &ann, &["tools"], &[], 0);
    plan(&mut world, 2).unwrap();
    assert_eq!(next(&mut world, &ann), first);
    let child = add(&mut world, &ann, &["runtime/gc"], &[], 0);
    let nobodys = add(&mut world, &ann, &["docs"], &[], 9);
    let why = world.why(child);
    assert!(why.contains(&"plan     share 1 of 2, ann's: runtime/gc".to_owned()), "{why:?}");
    let why = world.why(nobodys);
    assert!(why.iter().any(|line| line.starts_with("plan     in no share")), "{why:?}");
    done(&mut world, &ann, first);
    assert_eq!(next(&mut world, &ann), child, "what a scope of the share covers is in it");
    done(&mut world, &ann, child);
    world.by(&ann, Command::Leave { park: None }).unwrap();
    let again = add(&mut world, &bob, &["runtime"], &[], 20);
    assert_eq!(next(&mut world, &bob), again, "the share of one who left is free");
    let why = world.why(bob.session);
    assert!(why.contains(&"plan     share 1 of 2, bob's: runtime".to_owned()), "{why:?}");
}

#[test]
fn a_plan_ends_with_its_policy_or_by_an_operator() {
    let (mut world, ann, _) = fleet();
    add(&mut world, &ann, &["docs"], &[], 0);
    let by_agent = Command::PlanScopes { repo: "molt".parse().unwrap(), agents: 2 };
    assert_eq!(world.by(&ann, by_agent).unwrap_err().reason(), "FORBIDDEN");
    assert_eq!(plan(&mut world, 257).unwrap_err().reason(), "INVALID");
    plan(&mut world, 2).unwrap();
    let task = next(&mut world, &ann);
    plan(&mut world, 3).unwrap();
    let (kept, _) = world.board.planned(&repo(&world)).unwrap();
    assert_eq!(kept.share_of(ann.session), Some(0), "whose work is under way keeps its share");
    done(&mut world, &ann, task);
    plan(&mut world, 0).unwrap();
    assert!(world.board.planned(&repo(&world)).is_none());
    plan(&mut world, 2).unwrap();
    let old = repo(&world);
    let policy = Ok(Policy { digest: "other".to_owned(), ..old.policy });
    let (branch, commit, tree) = (old.branch, old.base, old.tree);
    let read = Command::ReadBase { repo: old.name, branch, commit, tree, policy };
    world.ask(Caller::Coordinator, read).unwrap();
    assert!(world.board.planned(&repo(&world)).is_none());
}

#[test]
fn whoever_had_a_share_goes_on_with_what_is_most_like_it() {
    let (mut world, ann, _) = fleet();
    for scope in ["docs", "tools", "tools"] {
        add(&mut world, &ann, &[scope], &[], 0);
    }
    plan(&mut world, 2).unwrap();
    next(&mut world, &ann);
    let before = {
        let (plan, _) = world.board.planned(&repo(&world)).unwrap();
        shares(&world)[plan.share_of(ann.session).unwrap()].clone()
    };
    add(&mut world, &ann, &["headers"], &[], 0);
    plan(&mut world, 3).unwrap();
    let (plan, _) = world.board.planned(&repo(&world)).unwrap();
    let own = plan.share_of(ann.session).unwrap();
    let own: Vec<String> = plan.shares[own].scopes.iter().map(ToString::to_string).collect();
    assert!(before.iter().any(|scope| own.contains(scope)), "{before:?} and {own:?}");
}

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

/// A tree of random work: scopes that nest and overlap, tasks that touch some and need some.
fn random_work(random: &mut Random) -> World {
    let folders = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut scopes: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..1 + random.below(12) {
        let folder = folders[random.below(folders.len())];
        let (name, path) = match random.below(6) {
            0 => (format!("{folder}/x"), format!("{folder}/x/**")),
            1 => (format!("every-{folder}"), format!("*/{folder}.h")),
            2 => (
                format!("wide-{folder}"),
                format!("{{{folder},{}}}/y/**", folders[random.below(8)]),
            ),
            _ => (folder.to_owned(), format!("{folder}/**")),
        };
        scopes.insert(name, path);
    }
    let listed: Vec<(&str, &str)> =
        scopes.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
    let mut world = World::new(&listed);
    let who = world.join("ann");
    let mut added: Vec<TaskId> = Vec::new();
    for _ in 0..random.below(30) {
        let touched: BTreeSet<&str> =
            (0..random.below(3)).map(|_| listed[random.below(listed.len())].0).collect();
        let touched: Vec<&str> = touched.into_iter().collect();
        let needs: Vec<TaskId> = added.iter().copied().filter(|_| random.below(12) == 0).collect();
        let priority = random.below(3) as i32;
        added.push(add(&mut world, &who, &touched, &needs, priority));
    }
    world
}

fn meets(scopes: &ScopeTree, left: &ScopeName, right: &ScopeName) -> bool {
    let whole = |name: &ScopeName| {
        let scope = scopes.get(name.as_str()).unwrap();
        Scope { paths: scopes.patterns(name.as_str()), ..scope.clone() }
    };
    conflict(&whole(left), &whole(right), Case::Sensitive).is_some()
}

/// The groups of scopes that a deal keeps together.
fn groups(deal: &Deal) -> Vec<BTreeSet<ScopeName>> {
    let scopes = deal.shares.iter().flatten();
    let mut groups: Vec<_> = scopes.map(|name| BTreeSet::from([name.clone()])).collect();
    for tie in &deal.ties {
        let (tied, rest): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| group.contains(&tie.left) || group.contains(&tie.right));
        groups = rest;
        groups.push(tied.into_iter().flatten().collect());
    }
    groups
}

/// The ready tasks of one group alone.
fn weight(world: &World, deal: &Deal, group: &BTreeSet<ScopeName>) -> usize {
    let tasks = &world.board.tables().tasks;
    let dealt = deal.tasks.iter().flatten();
    dealt.filter(|id| tasks[id].scopes.iter().all(|it| group.contains(it))).count()
}

#[test]
fn any_work_is_dealt_apart_whole_and_evenly() {
    let mut spanned = 0;
    for seed in 0..400 {
        let mut random = Random(seed);
        let world = random_work(&mut random);
        let repo = repo(&world);
        let scopes = &repo.policy.scopes;
        let agents = 1 + random.below(6) as u32;
        let deal = world.board.dealt(&repo, agents).unwrap();
        assert_eq!(deal, world.board.dealt(&repo, agents).unwrap(), "seed {seed}: the same twice");
        assert_eq!(deal.shares.len(), agents as usize);
        for (at, share) in deal.shares.iter().enumerate() {
            for (left, right) in deal.shares[at + 1..]
                .iter()
                .flatten()
                .flat_map(|right| share.iter().map(move |left| (left, right)))
            {
                assert!(!meets(scopes, left, right), "seed {seed}: {left} and {right}");
            }
        }
        let mut told: Vec<TaskId> = deal.tasks.iter().flatten().copied().collect();
        told.extend(deal.left.iter().map(|(id, _)| *id));
        told.sort_unstable();
        let open: Vec<TaskId> = world.board.tables().tasks.keys().copied().collect();
        assert_eq!(told, open, "seed {seed}: every open task once");
        for (id, why) in &deal.left {
            let task = &world.board.tables().tasks[id];
            match why {
                Left::Needs(needed) => assert!(task.needs.contains(needed)),
                Left::NoScopes => assert!(task.scopes.is_empty()),
                Left::Spans(_) => {
                    spanned += 1;
                    assert!(agents > 1 && task.scopes.len() > 1, "seed {seed}: {id}");
                }
                Left::Unknown(_) | Left::Later => panic!("seed {seed}: {id} {why}"),
            }
        }
        for (at, tasks) in deal.tasks.iter().enumerate() {
            for id in tasks {
                let touched = &world.board.tables().tasks[id].scopes;
                assert!(touched.iter().all(|it| deal.shares[at].contains(it)), "seed {seed}: {id}");
            }
        }
        // Graham's bound: no share outweighs another by more than one group.
        let groups = groups(&deal);
        let load = |share: &Vec<ScopeName>| -> usize {
            let own = groups.iter().filter(|it| it.iter().all(|name| share.contains(name)));
            own.map(|group| weight(&world, &deal, group)).sum()
        };
        let loads: Vec<usize> = deal.shares.iter().map(load).collect();
        let gap = loads.iter().max().unwrap() - loads.iter().min().unwrap();
        let heaviest = groups.iter().map(|group| weight(&world, &deal, group)).max().unwrap_or(0);
        assert!(gap <= heaviest, "seed {seed}: {loads:?}, {heaviest}");
        if agents == 1 {
            assert!(!deal.left.iter().any(|(_, why)| matches!(why, Left::Spans(_))));
        }
    }
    assert!(spanned > 10, "hardly a task spanned shares");
}
