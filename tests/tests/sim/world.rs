//! A run: a fleet, its faults, and the loop that gives everybody a turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use molt_coordinator::clock::Clock;
use molt_coordinator::engine::Engine;
use molt_domain::board::{Command, Ledger};
use molt_domain::policy::Spans;
use molt_store::{Candidate, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::client::Client;
use crate::coordinator::{Coordinator, Fleet};
use crate::fault::{self, COORDINATORS, Fault, HOSTS, Timed};
use crate::host::{self, Beat, Disk, Here, Switches};
use crate::net::{Net, Weather};
use crate::news::News;
use crate::node::Node;
use crate::outcome::Outcome;
use crate::pipe::Doors;
use crate::random::Random;
use crate::referee::Referee;
use crate::store::Shelf;

/// Steps that are kept for people.
const KEPT: usize = 120;

/// Agents on each host.
const AGENTS: usize = 3;

/// The spans of the fleet: those of the defaults in their proportions, so that many leaders and
/// sessions live and die in one run.
pub(crate) const SPANS: Spans = Spans {
    heartbeat: Duration::from_secs(1),
    session_ttl: Duration::from_secs(16),
    margin: Duration::from_secs(4),
    kill_grace: Duration::from_secs(1),
    delay: Duration::from_secs(4),
    grace: Duration::from_secs(60),
    extension: Duration::from_secs(24 * 60 * 60),
    fresh: Duration::from_secs(15 * 60),
    idle: Duration::from_secs(30 * 60),
    answer: Duration::from_secs(10 * 60),
    offer: Duration::from_secs(10),
    failure_memory: Duration::from_secs(10),
    leader_ttl: Duration::from_secs(4),
};

/// When everybody is at work and somebody leads, in milliseconds.
const SETTLED: u64 = 10_000;

/// After the last heal, everything is given back within so many milliseconds: the grace of who was
/// lost last, and the offers of who does not come.
const WIND_UP: u64 = 150_000;

const POLICY: &str = r#"
version = 1
[scope.runtime]
paths = ["runtime/**"]
[scope."runtime/gc"]
paths = ["runtime/gc/**"]
[scope.headers]
paths = ["include/**"]
[scope.docs]
paths = ["docs/**"]
[scope.tests]
paths = ["tests/**"]
[scope.front]
paths = ["front/**"]
[pool.cargo]
slots = 2
[merge]
method = "merge"
required = ["scope"]
"#;

/// A host with or without power.
struct Host {
    node: Option<Node>,
    disk: Arc<Mutex<Disk>>,
    switches: Arc<Switches>,
    random: Random,
}

/// A fleet in virtual time.
struct World {
    fleet: Fleet,
    coordinators: Vec<Option<Coordinator>>,
    hosts: Vec<Host>,
    random: Random,
    /// What is under way: when it is undone.
    under_way: Vec<(u64, Fault)>,
    /// What is to come, with its beginning and end.
    to_come: Vec<(Fault, u64, u64)>,
    next: u64,
    faults: u64,
}

/// Lives through a run of at least `steps` steps, and until everything is given back.
pub(crate) fn live(seed: u64, steps: u64) -> Outcome {
    live_keeping(seed, steps, KEPT)
}

/// The same, keeping so many of the last steps for people.
pub(crate) fn live_keeping(seed: u64, steps: u64, kept: usize) -> Outcome {
    let mut world = World::new(seed, kept);
    world.trouble(steps);
    world.wind_up();
    world.outcome(seed)
}

/// Lives through a course of faults, of which the leader is told; it lasts so many milliseconds.
pub(crate) fn live_through(seed: u64, course: fn(usize) -> Vec<Timed>, lasts: u64) -> Outcome {
    let mut world = World::new(seed, KEPT);
    world.perform(course, lasts);
    world.wind_up();
    world.outcome(seed)
}

impl World {
    fn new(seed: u64, kept: usize) -> Self {
        let mut random = Random::new(seed);
        let net = Net::new(random.branch(), kept);
        let shelf = Shelf::new();
        let referee = genesis(&shelf, &net);
        let scratch = Arc::new(tempfile::tempdir().expect("a folder for the audit's segments"));
        let fleet = Fleet { net, doors: Doors::default(), shelf, referee, spans: SPANS, scratch };
        let coordinators =
            (0..COORDINATORS).map(|me| Some(Coordinator::start(me, &fleet))).collect();
        let hosts = (0..HOSTS).map(|_| Host {
            node: None,
            disk: Arc::default(),
            switches: Arc::default(),
            random: random.branch(),
        });
        let hosts: Vec<Host> = hosts.collect();
        let mut world = Self {
            fleet,
            coordinators,
            hosts,
            random,
            under_way: Vec::new(),
            to_come: Vec::new(),
            next: SETTLED,
            faults: 0,
        };
        (0..HOSTS).for_each(|host| world.power_on(host));
        world
    }

    fn net(&self) -> &Net {
        &self.fleet.net
    }

    fn is_over(&self) -> bool {
        self.fleet.referee.broken().is_some()
    }

    /// Time with faults.
    fn trouble(&mut self, steps: u64) {
        while self.net().steps() < steps && !self.is_over() {
            self.quantum();
            let now = self.net().now();
            if now >= self.next {
                let leader = self.fleet.referee.leader();
                let drawn = fault::draw(&mut self.random, leader);
                // What has a course of its own is left to it.
                let last = drawn.iter().map(|(_, _, until)| *until).max().unwrap_or_default();
                let course = if drawn.len() > 1 { last } else { 0 };
                // Quiet times in between let a fleet go on; crowds of faults do not.
                self.next = now + course + self.random.within((300, 8_000));
                self.plan(drawn);
            }
            self.begin_what_is_due();
        }
    }

    /// Time with the faults of a course, which begins when everybody is at work.
    fn perform(&mut self, course: fn(usize) -> Vec<Timed>, lasts: u64) {
        let begins = self.net().now() + SETTLED;
        while self.net().now() < begins && !self.is_over() {
            self.quantum();
        }
        self.plan(course(self.fleet.referee.leader()));
        while self.net().now() < begins + lasts && !self.is_over() {
            self.begin_what_is_due();
            self.quantum();
        }
    }

    fn plan(&mut self, faults: Vec<Timed>) {
        let now = self.net().now();
        let planned = faults.into_iter();
        self.to_come.extend(planned.map(|(fault, at, until)| (fault, now + at, now + until)));
    }

    fn begin_what_is_due(&mut self) {
        let now = self.net().now();
        let (due, later): (Vec<_>, Vec<_>) =
            self.to_come.drain(..).partition(|(_, at, _)| *at <= now);
        self.to_come = later;
        for (fault, _, until) in due {
            self.begin(fault, until);
        }
    }

    /// Everything is healed, and everybody gives back what they have.
    fn wind_up(&mut self) {
        self.to_come.clear();
        for (_, fault) in std::mem::take(&mut self.under_way) {
            self.undo(&fault);
        }
        self.net().heal();
        self.net().step(|| "healed".to_owned());
        for host in &self.hosts {
            host.switches.winding_up.store(true, Ordering::Relaxed);
        }
        let end = self.net().now() + WIND_UP;
        while self.net().now() < end && !self.is_over() && !self.fleet.referee.nobody_is_left() {
            self.quantum();
        }
        if !self.is_over() {
            self.fleet.referee.all_is_given_back();
        }
    }

    fn outcome(self, seed: u64) -> Outcome {
        let Self { fleet, coordinators, hosts, faults, .. } = self;
        let Fleet { net, referee, .. } = fleet;
        net.drop_silently((coordinators, hosts));
        let outcome = Outcome {
            seed,
            steps: net.steps(),
            faults,
            lasted: net.now(),
            digest: net.digest(),
            tally: referee.tally(),
            broken: referee.broken(),
            broken_at: referee.broken_at(),
            last: net.last_steps(),
        };
        net.close();
        outcome
    }

    /// A quantum of virtual time for everybody.
    fn quantum(&mut self) {
        self.net().pass();
        let now = self.net().now();
        let (over, on): (Vec<_>, Vec<_>) =
            self.under_way.drain(..).partition(|(until, _)| *until <= now);
        self.under_way = on;
        over.iter().for_each(|(_, fault)| self.undo(fault));
        for me in 0..COORDINATORS {
            self.turn(me);
        }
        for host in &mut self.hosts {
            if let Some(node) = &mut host.node {
                node.turn();
            }
        }
    }

    fn turn(&mut self, me: usize) {
        let Some(coordinator) = &mut self.coordinators[me] else { return };
        if !coordinator.node.is_frozen() {
            self.fleet.referee.turned(me);
        }
        coordinator.node.turn();
        match coordinator.ended() {
            None => {}
            Some(Ok(())) => {
                self.net().step(|| format!("ended c{me}"));
                self.power_off(me);
            }
            Some(Err(reason)) => {
                self.fleet.referee.accuse("a coordinator goes on", format!("c{me}: {reason}"));
            }
        }
    }

    // Faults.

    /// Begins a fault, unless what it is about is in trouble already.
    fn begin(&mut self, fault: Fault, until: u64) {
        let begun = match &fault {
            Fault::Cut(links) => {
                links.iter().for_each(|link| self.net().cut(*link));
                true
            }
            Fault::Slow(links, span) => {
                links.iter().for_each(|link| self.net().slow(*link, *span));
                true
            }
            Fault::Crash(me) => {
                self.is_well(*me) && {
                    self.power_off(*me);
                    true
                }
            }
            Fault::Restart(me) => {
                self.is_well(*me) && {
                    if let Some(coordinator) = &self.coordinators[*me] {
                        coordinator.stop();
                    }
                    true
                }
            }
            Fault::Stall(which) => {
                which.iter().all(|me| self.is_well(*me)) && {
                    for me in which {
                        self.coordinators[*me].iter_mut().for_each(|it| it.node.freeze());
                        self.fleet.referee.stalled(*me);
                    }
                    true
                }
            }
            Fault::PowerLoss(host) => {
                self.is_awake(*host) && {
                    let machine = self.hosts[*host].node.take();
                    self.net().drop_silently(machine);
                    self.journal(|journal, _| journal.power_lost(*host));
                    true
                }
            }
            Fault::Freeze(host) => {
                self.is_awake(*host) && {
                    self.hosts[*host].node.iter_mut().for_each(Node::freeze);
                    self.journal(|journal, now| journal.freeze(*host, now));
                    true
                }
            }
            Fault::DaemonAway(host) => {
                self.is_awake(*host) && {
                    self.hosts[*host].switches.daemon_away.store(true, Ordering::Relaxed);
                    true
                }
            }
            Fault::Quiet(host) => {
                self.hosts[*host].switches.quiet.store(true, Ordering::Relaxed);
                true
            }
            Fault::Adds(host) => {
                self.hosts[*host].switches.adds.store(true, Ordering::Relaxed);
                true
            }
            Fault::LongRuns(host) => {
                self.hosts[*host].switches.long_runs.store(true, Ordering::Relaxed);
                true
            }
            Fault::Jump(host, ahead) => {
                self.is_awake(*host) && {
                    let ahead = Duration::from_millis(*ahead);
                    self.hosts[*host].node.iter_mut().for_each(|node| node.jump(ahead));
                    true
                }
            }
            Fault::Full => {
                self.fleet.shelf.set_full(true);
                true
            }
            Fault::Storm => {
                self.net().set_weather(Weather::ROUGH);
                true
            }
        };
        if begun {
            self.faults += 1;
            self.net().step(|| format!("fault {fault}"));
            self.under_way.push((until, fault));
        }
    }

    fn undo(&mut self, fault: &Fault) {
        self.net().step(|| format!("over  {fault}"));
        match fault {
            Fault::Cut(links) | Fault::Slow(links, _) => {
                links.iter().for_each(|link| self.net().mend(*link));
            }
            Fault::Crash(me) | Fault::Restart(me) => {
                // What does not stop in order by now loses power.
                self.power_off(*me);
                self.coordinators[*me] = Some(Coordinator::start(*me, &self.fleet));
            }
            Fault::Stall(which) => {
                for me in which {
                    self.coordinators[*me].iter_mut().for_each(|it| it.node.thaw());
                }
            }
            Fault::PowerLoss(host) => self.power_on(*host),
            Fault::Freeze(host) => {
                self.hosts[*host].node.iter_mut().for_each(Node::thaw);
                self.journal(|journal, now| journal.thaw(*host, now));
            }
            Fault::DaemonAway(host) => {
                self.hosts[*host].switches.daemon_away.store(false, Ordering::Relaxed);
            }
            Fault::Quiet(host) => {
                self.hosts[*host].switches.quiet.store(false, Ordering::Relaxed);
            }
            Fault::Adds(host) => {
                self.hosts[*host].switches.adds.store(false, Ordering::Relaxed);
            }
            Fault::LongRuns(host) => {
                self.hosts[*host].switches.long_runs.store(false, Ordering::Relaxed);
            }
            Fault::Jump(..) => {}
            Fault::Full => self.fleet.shelf.set_full(false),
            Fault::Storm => self.net().set_weather(Weather::FAIR),
        }
    }

    fn journal(&self, write: impl FnOnce(&mut crate::journal::Journal, u64)) {
        self.fleet.referee.journal(|journal, now, _, _| {
            write(journal, now);
            Ok(())
        });
    }

    /// Whether nothing is done to a coordinator's machine.
    fn is_well(&self, me: usize) -> bool {
        let troubled = self.under_way.iter().any(|(_, fault)| match fault {
            Fault::Crash(other) | Fault::Restart(other) => *other == me,
            Fault::Stall(which) => which.contains(&me),
            _ => false,
        });
        !troubled && self.coordinators[me].is_some()
    }

    /// Whether nothing is done to a host's machine.
    fn is_awake(&self, host: usize) -> bool {
        !self.under_way.iter().any(|(_, fault)| {
            matches!(fault, Fault::PowerLoss(other) | Fault::Freeze(other) | Fault::DaemonAway(other)
                if *other == host)
        })
    }

    fn power_off(&mut self, me: usize) {
        self.fleet.doors.close(me);
        let machine = self.coordinators[me].take();
        self.net().drop_silently(machine);
    }

    fn power_on(&mut self, host: usize) {
        let Fleet { net, doors, referee, .. } = self.fleet.clone();
        let Host { node, disk, switches, random } = &mut self.hosts[host];
        let seen = disk.lock().map(|disk| Arc::clone(&disk.seen)).unwrap_or_default();
        let ends = (net.clone(), doors, referee.clone());
        let client = Client::new(ends, (host, COORDINATORS), seen, random.branch());
        let here = Arc::new(Here {
            host,
            client,
            net,
            referee,
            disk: Arc::clone(disk),
            beats: News::new(Beat::default()),
            asking: AtomicUsize::new(0),
            switches: Arc::clone(switches),
        });
        let machine = Node::new();
        let randoms: Vec<Random> = (0..=AGENTS).map(|_| random.branch()).collect();
        machine.spawn(boot(here, randoms));
        *node = Some(machine);
    }
}

/// What runs on a host from its start.
async fn boot(here: Arc<Here>, randoms: Vec<Random>) {
    host::recover(&here).await;
    let mut tasks = tokio::task::JoinSet::new();
    for (n, random) in randoms.into_iter().enumerate() {
        match n {
            AGENTS => tasks.spawn(host::daemon(Arc::clone(&here), random)),
            n => tasks.spawn(Agent::new(Arc::clone(&here), n, random).work()),
        };
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(panic) = ended {
            here.referee.accuse("the simulation itself is sound", panic.to_string());
        }
    }
}

/// Puts a repository on the board before anybody runs, and the referee beside it.
fn genesis(shelf: &Shelf, net: &Net) -> Referee {
    let node = Node::new();
    let store = shelf.records().clone();
    let (head, records) = node.block_on(async {
        let candidate = Candidate::new("genesis", "nowhere");
        let clock = Clock::Runtime { began: Instant::now() };
        let opened = Engine::open(Arc::new(store.clone()), &candidate, SPANS, clock).await;
        let (engine, handle, _) = opened.expect("an empty store in memory opens");
        let stop = CancellationToken::new();
        let running = engine.start(stop.clone());
        let base = Command::ReadBase {
            repo: "main".parse().expect("a name"),
            branch: "main".to_owned(),
            commit: "1".repeat(40),
            tree: "2".repeat(40),
            policy: Ok(molt_coordinator::policy::read(POLICY).expect("the policy reads")),
        };
        handle.own(base).await.expect("a base is read");
        stop.cancel();
        drop(handle);
        running.await.expect("the engine does not panic").expect("nobody else leads");
        let leadership = store.campaign(&candidate).await.expect("the memory gives the lead");
        store.load(&leadership).await.expect("the memory loads")
    });
    let ledger: Ledger = head.ledger.decode().expect("the engine wrote the ledger");
    Referee::new(net.clone(), SPANS, ledger, &records, head.number)
}
