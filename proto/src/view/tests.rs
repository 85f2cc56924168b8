use std::collections::BTreeMap;

use molt_domain::audit::{self, Anchor};
use molt_domain::board::{Actor, Caller, Command, Event, Now, Reply};
use molt_domain::claim::Otherwise;
use molt_domain::gate::Class;
use molt_domain::id::TaskId;
use molt_domain::scope::ScopeTree;
use molt_domain::task::New;

use super::{Snapshots, beat_reply, entry, view};
use crate::convert::Beat;
use crate::fixture::{BASE, HEAD, MADE, World, parsed, session};
use crate::v1;
use crate::v1::query::What;
use crate::v1::view::View as Content;

const EMPTY: v1::Empty = v1::Empty {};

fn query(caller: Option<&Caller>, what: What) -> v1::Query {
    let who = caller.map(|caller| {
        let Caller::Session(proof) = caller else { panic!("{caller:?} has no session") };
        v1::caller::Who::Session(v1::Credentials {
            session: proof.session.to_string(),
            secret: proof.secret.clone(),
            epoch: proof.epoch,
        })
    });
    v1::Query { caller: Some(v1::Caller { who }), repo: String::new(), what: Some(what) }
}

fn ask(world: &World, caller: Option<&Caller>, what: What) -> Content {
    let view = view(&world.board, &query(caller, what), world.now, 3, 9).expect("an answer");
    assert_eq!((view.term, view.rev, view.now_ms), (3, 9, world.now.0));
    view.view.expect("a view")
}

macro_rules! asked {
    ($world:expr, $caller:expr, $what:ident => $content:ident) => {
        match ask($world, $caller, What::$what(EMPTY)) {
            Content::$content(content) => content,
            other => panic!("another view: {other:?}"),
        }
    };
}

fn add_task(
    world: &mut World,
    caller: &Caller,
    title: &str,
    needs: &[TaskId],
    scope: &str,
) -> TaskId {
    let new = New {
        title: title.to_owned(),
        body: "much".to_owned(),
        priority: 0,
        needs: needs.to_vec(),
        scopes: vec![parsed(scope)],
        acceptance: String::new(),
    };
    match world.act(caller.clone(), Command::AddTask(new)) {
        Reply::TaskAdded { task } => task,
        other => panic!("{other:?}"),
    }
}

#[test]
fn scopes_say_what_closes_them() {
    let mut world = World::new();
    let (ada, bob) = (world.join("ada", "build1"), world.join("bob", "build2"));
    world.claim(&ada, &["runtime"]);
    world.claim(&bob, &["runtime/gc"]);
    let scopes = asked!(&world, None, Scopes => Scopes).scopes;
    let rows: Vec<_> = scopes
        .iter()
        .map(|row| {
            let claim = row.claim.as_ref();
            (row.name.as_str(), claim.map(|claim| claim.holder.as_str()), row.waiting)
        })
        .collect();
    assert_eq!(
        rows,
        [("docs", None, 0), ("runtime", Some("ada"), 1), ("runtime/gc", Some("ada"), 1)]
    );
    assert_eq!(scopes[1].paths, ["runtime/**", "runtime/gc/**"]);
    assert_eq!((scopes[0].risk.as_str(), scopes[0].carve), ("med", false));
}

#[test]
fn a_claim_of_an_older_policy_closes_what_its_own_paths_meet() {
    let mut world = World::new();
    let ada = world.join("ada", "build1");
    world.claim(&ada, &["docs"]);
    // The runtime moves to where the docs were when they were claimed.
    let old = crate::fixture::policy("policy-2");
    let mut scopes = old.scopes.scopes().to_vec();
    for scope in &mut scopes {
        let path = if scope.name.as_str() == "runtime" { "docs/**" } else { "elsewhere/**" };
        scope.paths = vec![parsed(path)];
    }
    let scopes = ScopeTree::new(old.scopes.case(), Vec::new(), scopes).expect("a tree");
    world.own(Command::ReadBase {
        repo: parsed("molt"),
        branch: "main".to_owned(),
        commit: HEAD.to_owned(),
        tree: "tree".to_owned(),
        policy: Ok(molt_domain::policy::Policy { scopes, ..old }),
    });
    let scopes = asked!(&world, None, Scopes => Scopes).scopes;
    let closed: Vec<&str> =
        scopes.iter().filter(|row| row.claim.is_some()).map(|row| row.name.as_str()).collect();
    assert_eq!(closed, ["docs", "runtime"]);
}

#[test]
fn tasks_say_what_stands_in_their_way() {
    let mut world = World::new();
    let (ada, bob) = (world.join("ada", "build1"), world.join("bob", "build2"));
    world.claim(&bob, &["docs"]);
    let first = add_task(&mut world, &ada, "first", &[], "runtime");
    add_task(&mut world, &ada, "second", &[first], "runtime");
    add_task(&mut world, &ada, "third", &[], "docs");
    let rows = |caller| {
        let tasks = asked!(&world, caller, Tasks => Tasks).tasks;
        assert!(tasks.iter().all(|task| task.body.is_empty()), "{tasks:?}");
        let row = |task: v1::TaskView| (task.title, task.state, task.reason);
        tasks.into_iter().map(row).collect::<Vec<_>>()
    };
    let row = |title: &str, state: &str, reason: &str| {
        (title.to_owned(), state.to_owned(), reason.to_owned())
    };
    let second = row("second", "waiting", &format!("needs {first}"));
    let ready = row("first", "ready", "");
    let third = row("third", "waiting", "waits for docs of bob");
    assert_eq!(rows(None), [ready.clone(), second.clone(), third]);
    // What one holds oneself is in nobody's way.
    assert_eq!(rows(Some(&bob)), [ready, row("third", "ready", ""), second]);
    world.act(ada.clone(), Command::Next);
    let tasks = asked!(&world, None, Tasks => Tasks).tasks;
    assert_eq!((tasks[0].state.as_str(), tasks[0].holder.as_str()), ("taken", "ada"));
    let status = asked!(&world, Some(&ada), Status => Status);
    let task = status.task.expect("the task that ada has");
    assert_eq!(
        (task.body.as_str(), task.claim.expect("its claim").scopes),
        ("much", vec!["runtime".to_owned()])
    );
}

#[test]
fn status_tells_the_caller_of_its_own() {
    let mut world = World::new();
    let (ada, bob) = (world.join("ada", "build1"), world.join("bob", "build2"));
    world.claim(&ada, &["runtime"]);
    world.claim(&bob, &["runtime"]);
    world.see("build1");
    let status = asked!(&world, Some(&bob), Status => Status);
    assert_eq!(
        (status.repo.as_str(), status.branch.as_str(), status.base.as_str()),
        ("molt", "main", BASE)
    );
    assert_eq!(status.session.expect("bob's session").name, "bob");
    assert_eq!(status.claims.len(), 1);
    assert_eq!(status.claims[0].state, "waiting");
    let counts = (status.sessions, status.held, status.waiting, status.hosts, status.cars);
    assert_eq!(counts, (2, 1, 1, 1, 0));
    let nobody = asked!(&world, None, Status => Status);
    assert_eq!((nobody.session, nobody.claims.len()), (None, 0));
}

#[test]
fn a_lost_holder_leaves_its_claim_orphaned() {
    let mut world = World::new();
    let ada = world.join("ada", "build1");
    world.claim(&ada, &["runtime"]);
    let dead = Command::RootDead { session: session(&ada) };
    world.act(Caller::Host(parsed("build1")), dead);
    let scopes = asked!(&world, None, Scopes => Scopes).scopes;
    let claim = scopes[1].claim.as_ref().expect("the claim is kept");
    let grace = world.now.plus(world.board.spans().grace);
    assert_eq!((claim.state.as_str(), claim.until_ms), ("orphaned", grace.0));
    let sessions = asked!(&world, None, Sessions => Sessions).sessions;
    assert_eq!((sessions[0].state.as_str(), sessions[0].host.as_str()), ("lost", "build1"));
}

#[test]
fn locks_builds_and_slots_name_holders_and_lines() {
    let mut world = World::new();
    let (ada, bob) = (world.join("ada", "build1"), world.join("bob", "build1"));
    world.see("build1");
    world.see("build2");
    let lock = Command::AcquireLock {
        lock: parsed("publish"),
        what: "publish".to_owned(),
        otherwise: Otherwise::Wait,
    };
    let build = Command::AskBuild {
        build: "std,abcdef0123,dev,build1".to_owned().try_into().expect("a key"),
        missing: None,
        what: "make".to_owned(),
    };
    let slot = Command::AcquireSlot {
        pool: parsed("cargo"),
        host: parsed("build1"),
        what: "cargo".to_owned(),
        otherwise: Otherwise::Wait,
    };
    for caller in [&ada, &bob] {
        for command in [&lock, &build, &slot] {
            world.act(caller.clone(), command.clone());
        }
    }
    let holds = asked!(&world, None, Locks => Holds);
    let names = |rows: &[v1::HoldView]| {
        rows.iter().map(|row| format!("{} {}", row.of, row.holder)).collect::<Vec<_>>()
    };
    assert_eq!(names(&holds.holds), ["publish ada", "std:abcdef01 (dev, build1) ada"]);
    assert_eq!(names(&holds.waiting), ["publish bob", "std:abcdef01 (dev, build1) bob"]);
    let pools = asked!(&world, None, Slots => Slots).pools;
    let rows: Vec<_> = pools
        .iter()
        .map(|pool| (pool.host.as_str(), pool.size, names(&pool.used), pool.waiting))
        .collect();
    assert_eq!(rows, [("build1", 1, vec!["cargo ada".to_owned()], 1), ("build2", 1, vec![], 0)]);
    assert_eq!(pools[0].used[0].slot, Some(0));
}

fn gates(car: &v1::CarView) -> Vec<(&str, &str)> {
    car.gates.iter().map(|gate| (gate.gate.as_str(), gate.state.as_str())).collect()
}

#[test]
fn a_car_is_followed_from_the_queue_to_its_end() {
    let mut world = World::new();
    let ada = world.join("ada", "build1");
    world.claim(&ada, &["runtime"]);
    world.announce(&ada);
    let id = world.submit(&ada);
    let look = |world: &World| match ask(world, None, What::Car(id.to_string())) {
        Content::Car(car) => car,
        other => panic!("{other:?}"),
    };
    let queued = look(&world);
    assert_eq!(
        (queued.state.as_str(), queued.phase.as_str(), queued.detail.as_str()),
        ("queued", "open", "0 ahead")
    );
    assert_eq!(
        gates(&queued),
        [("scope", "pending"), ("announce", "pending"), ("test", "pending")]
    );

    world.candidate(id);
    let building = look(&world);
    assert_eq!((building.candidate.as_str(), building.base.as_str()), (MADE, BASE));
    assert_eq!(building.detail, "2 of 3 gates passed");
    assert_eq!(
        gates(&building),
        [("scope", "passed"), ("announce", "passed"), ("test", "pending")]
    );
    assert!(building.gates[2].job.starts_with("job_"), "{:?}", building.gates[2]);

    world.see("build1");
    let running = look(&world);
    assert_eq!(gates(&running)[2], ("test", "running"));
    assert_eq!(running.gates[2].host, "build1");

    world.finish(Class::Failed, &["a"]);
    let needs_base = look(&world);
    assert_eq!(gates(&needs_base)[2], ("test", "pending"));
    assert_eq!(needs_base.gates[2].note, "the base's own results are needed to compare");

    let inputs = BTreeMap::from([(parsed("test"), "base inputs".to_owned())]);
    world.own(Command::SetBaseInputs { car: id, base: BASE.to_owned(), inputs });
    assert_eq!(gates(&look(&world))[2], ("test", "running"));
    world.finish(Class::Failed, &["a", "b"]);
    let ready = look(&world);
    assert_eq!((ready.state.as_str(), gates(&ready)[2]), ("ready", ("test", "passed")));
    assert_eq!((ready.gates[2].green, ready.gates[2].red), (7, 1));

    world.own(Command::Intend { car: id, branch: None });
    let train = &world.board.tables().cars[&id].state;
    let molt_domain::train::State::Landing { fence, .. } = *train else { panic!("{train:?}") };
    world.own(Command::ConfirmLanding { car: id, fence });
    let landed = look(&world);
    assert_eq!((landed.phase.as_str(), landed.commit.as_str()), ("landed", MADE));
    let cars = asked!(&world, None, Queue => Cars).cars;
    assert_eq!(cars, [landed]);
}

#[test]
fn an_ejected_car_names_its_gate_and_the_remedy() {
    let mut world = World::new();
    let ada = world.join("ada", "build1");
    world.claim(&ada, &["docs"]);
    let escaped = world.submit(&ada);
    world.candidate(escaped);
    let cars = asked!(&world, None, Queue => Cars).cars;
    assert_eq!((cars[0].state.as_str(), cars[0].phase.as_str()), ("scope-escape", "ejected"));
    assert_eq!(gates(&cars[0]), [("scope", "failed")]);
    assert_eq!(cars[0].gates[0].red, 1);
    assert!(cars[0].remedy.starts_with("claim the scopes"), "{}", cars[0].remedy);

    world.claim(&ada, &["runtime"]);
    world.announce(&ada);
    let red = world.submit(&ada);
    world.candidate(red);
    world.see("build1");
    world.finish(Class::Oom, &[]);
    let cars = asked!(&world, None, Queue => Cars).cars;
    assert_eq!(cars[0].id, red.to_string());
    assert_eq!(
        (cars[0].state.as_str(), gates(&cars[0])),
        ("gate-failed", vec![("test", "failed")])
    );
    assert_eq!(cars[0].gates[0].note, "a note");
}

#[test]
fn a_snapshot_has_the_scopes_and_what_is_held() {
    let mut world = World::new();
    let (ada, bob) = (world.join("ada", "build1"), world.join("bob", "build2"));
    world.claim(&ada, &["runtime"]);
    world.claim(&bob, &["runtime"]);
    let snapshot = asked!(&world, None, Snapshot => Snapshot);
    let tree: ScopeTree = serde_json::from_str(&snapshot.scopes_json).expect("a tree");
    assert_eq!(tree, crate::fixture::policy("any").scopes);
    assert_eq!(snapshot.policy, "policy-1");
    assert_eq!(snapshot.claims.len(), 1);
    assert!(snapshot.claims[0].fence.parse::<molt_domain::id::Fence>().is_ok());
    assert_eq!(
        (snapshot.claims[0].holder.as_str(), &snapshot.claims[0].scopes[..]),
        ("ada", &["runtime".to_owned()][..])
    );
}

#[test]
fn a_beat_is_told_what_is_lost_run_and_held() {
    let mut world = World::new();
    let (ada, bob) = (world.join("ada", "build1"), world.join("bob", "build1"));
    world.see("build1");
    world.claim(&ada, &["runtime"]);
    world.announce(&ada);
    let lock = |lock: &str| Command::AcquireLock {
        lock: parsed(lock),
        what: "w".to_owned(),
        otherwise: Otherwise::Refuse,
    };
    let Reply::Held { hold, .. } = world.act(ada.clone(), lock("here")) else {
        panic!("a free lock is granted");
    };
    let elsewhere = world.join("eve", "build2");
    world.act(elsewhere, lock("there"));
    let car = world.submit(&ada);
    world.candidate(car);
    world.act(bob.clone(), Command::Leave { park: Some(60_000) });
    let gone = molt_domain::id::SessionId::from_counter(9999);
    let beat = v1::BeatRequest {
        host: "build1".to_owned(),
        sessions: [session(&ada), session(&bob), gone].map(|id| id.to_string()).to_vec(),
        ..v1::BeatRequest::default()
    };
    let beat = Beat::try_from(beat).expect("a beat");
    let remotes = BTreeMap::from([(parsed("molt"), "file:///r".to_owned())]);
    let now = world.board.ledger().time;
    let told = |wanted| beat_reply(&world.board, &beat, &remotes, wanted, now, (3, 9));
    let known = told(Snapshots::Known);
    let reply = told(Snapshots::Wanted);
    assert_eq!(known, v1::BeatReply { snapshots: Vec::new(), ..reply.clone() });
    assert_eq!(reply.lost, [session(&bob), gone].map(|id| id.to_string()));
    let [job] = &reply.jobs[..] else { panic!("one run: {:?}", reply.jobs) };
    assert_eq!(
        (job.gate.as_str(), job.run.as_str(), job.result.as_str()),
        ("test", "make test", "tap")
    );
    assert_eq!((job.commit.as_str(), job.slot, job.pool.as_str()), (MADE, Some(0), "cargo"));
    assert_eq!((job.timeout_ms, job.memory, job.minimum), (60_000, 1024, 1));
    assert_eq!(job.env["LANG"], "C");
    // The lock, and the slot of the run; not the lock that is held elsewhere.
    assert_eq!(reply.holds.len(), 2);
    assert!(reply.holds.contains(&hold.id.to_string()), "{:?}", reply.holds);
    assert_eq!((reply.heartbeat_ms, reply.session_ttl_ms), (5000, 60_000));
    assert_eq!(reply.remotes["molt"], "file:///r");
    let [only] = &reply.snapshots[..] else { panic!("{:?}", reply.snapshots) };
    assert_eq!(only.repo, "molt");
}

#[test]
fn a_query_finds_its_repository() {
    let mut world = World::new();
    let refused = |world: &World, query: &v1::Query| {
        view(&world.board, query, world.now, 0, 0).expect_err("a refusal").to_string()
    };
    let mut scopes = query(None, What::Scopes(EMPTY));
    scopes.repo = "other".to_owned();
    assert_eq!(refused(&world, &scopes), "repository `other` is not coordinated here");
    scopes.repo = "a b".to_owned();
    assert!(refused(&world, &scopes).starts_with("repo: repository name `a b` has ' '"));
    let ada = world.join("ada", "build1");
    world.read_base("other");
    assert_eq!(refused(&world, &query(None, What::Scopes(EMPTY))), "repo: name one of molt other");
    assert_eq!(asked!(&world, Some(&ada), Status => Status).repo, "molt");
    let nothing = v1::Query { what: None, ..query(None, What::Scopes(EMPTY)) };
    assert_eq!(refused(&world, &nothing), "what: missing");
    assert_eq!(
        refused(&world, &query(None, What::Car("car_0999".to_owned()))),
        "no car `car_0999`"
    );
    let empty =
        World { board: molt_domain::board::Board::new(*world.board.spans()), now: world.now };
    let closed = "closed: no repository's base has been read yet";
    assert_eq!(refused(&empty, &query(None, What::Queue(EMPTY))), closed);
}

#[test]
fn why_gives_the_facts_of_the_board() {
    let mut world = World::new();
    let ada = world.join("ada", "build1");
    let id = session(&ada).to_string();
    let Content::Why(why) = ask(&world, None, What::Why(id.clone())) else {
        panic!("another view");
    };
    assert_eq!(why.id, id);
    assert_eq!(why.facts, world.board.why(&id, world.now).expect("facts"));
    let unknown = query(None, What::Why("ses_0999".to_owned()));
    let refusal = view(&world.board, &unknown, world.now, 0, 0).expect_err("not there");
    assert_eq!(refusal.reason(), "NOT_FOUND");
}

#[test]
fn a_silent_holders_lock_is_closed_for_a_while() {
    let mut world = World::new();
    let ada = world.join("ada", "build1");
    let lock = Command::AcquireLock {
        lock: parsed("publish"),
        what: "publish".to_owned(),
        otherwise: Otherwise::Refuse,
    };
    world.act(ada, lock);
    world.now = world.now.plus(world.board.spans().session_ttl);
    world.own(Command::Tick);
    let [lock] = &asked!(&world, None, Locks => Holds).holds[..] else { panic!("one lock") };
    assert_eq!(
        (lock.of.as_str(), lock.holder.as_str(), lock.fence.as_str()),
        ("publish", "ada", "")
    );
    assert_eq!(lock.what, "closed until board time 76 s: its holder fell silent");
}

#[test]
fn the_digest_follows_the_board() {
    let mut world = World::new();
    let before = asked!(&world, None, Digest => Digest);
    world.join("ada", "build1");
    assert_ne!(asked!(&world, None, Digest => Digest), before);
}

#[test]
fn an_entry_reads_back_and_still_verifies() {
    let world = World::new();
    let event = Event::HostLost { host: parsed("build1") };
    let now = Now { board: world.now, wall: 5 };
    let mut anchor = Anchor::genesis();
    let entries = audit::append(&mut anchor, now, &Actor::Coordinator, vec![event]);
    let message = entry(&entries[0]);
    assert_eq!((message.seq, message.line.as_str()), (1, "host      build1 fell silent"));
    let read: audit::Entry = serde_json::from_str(&message.json).expect("an entry");
    assert_eq!(audit::verify(Anchor::genesis(), [&read]), Ok(anchor));
}

#[test]
fn a_change_that_waits_for_a_person_says_why_and_then_who_approved_it() {
    let mut world = World::new();
    let ada = world.join("ada", "build1");
    world.claim(&ada, &["runtime"]);
    world.announce(&ada);
    let id = world.submit(&ada);
    world.candidate_of(id, "runtime/build.rs");
    let told = |world: &World| {
        let Content::Car(car) = ask(world, None, What::Car(id.to_string())) else {
            panic!("a car")
        };
        car
    };
    let car = told(&world);
    assert_eq!((car.state.as_str(), car.phase.as_str()), ("approval-missing", "open"));
    assert_eq!(car.detail, "it changes runtime/build.rs, which the policy protects");
    assert_eq!(car.remedy, "ask an operator to look at this head and approve it");
    assert!(car.gates.iter().all(|gate| gate.state == "pending"), "{:?}", car.gates);
    let (head, reason) = (HEAD.to_owned(), "I read it".to_owned());
    let person = Caller::Operator("pat".to_owned());
    world.act(person, Command::Approve { car: id, head, reason });
    world.candidate_of(id, "runtime/build.rs");
    let car = told(&world);
    assert_eq!(car.state, "building");
    assert_eq!(car.approval, "operator pat: I read it");
}

#[test]
fn every_repository_has_its_own_status() {
    let mut world = World::new();
    world.read_base("docs");
    let ada = world.join("ada", "h1");
    world.claim(&ada, &["docs"]);
    let all = asked!(&world, None, Statuses => Statuses).statuses;
    let seen: Vec<(&str, u32, u32)> =
        all.iter().map(|status| (status.repo.as_str(), status.sessions, status.held)).collect();
    assert_eq!(seen, [("docs", 0, 0), ("molt", 1, 1)]);
}
