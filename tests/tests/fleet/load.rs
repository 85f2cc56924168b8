//! Agents at work on every host, all the time, whatever becomes of the fleet around them.
//!
//! What an agent may be told under faults is part of its contract: every other exit code is a
//! failure. Not here: what each of them does (`worker`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use molt_tests::verify::Report;
use molt_tests::verify::fleet::journal::{Pen, Sign};

use crate::harness::{Agent, Running, pause, until};
use crate::random::Random;
use crate::scene::{Book, HOSTS, Machines, PROGRESS, Scene, Size};
use crate::worker::Worker;

/// Scopes to fight for, one for tasks, one beside the load, work that lands, a lint that runs as a job, a pool.
pub(crate) const POLICY: &str = r#"version = 1
[scope.a]
paths = ["a/**"]
[scope.b]
paths = ["b/**"]
[scope.c]
paths = ["c/**"]
[scope.d]
paths = ["d/**"]
[scope.work]
paths = ["work/**"]
[pool.cargo]
slots = 1
[gate.lint]
run = "! grep -rn TABS work"
timeout = "1m"
[merge]
required = ["lint", "scope"]
"#;

/// What is loaded, and what must go on after each fault.
const KINDS: [&str; 6] = ["claim", "lock", "slot", "build", "task", "landing"];

/// Who works where, at what.
const WORKERS: [(&str, &str, Work); 11] = [
    ("ann", "h1", Work::Claims),
    ("bob", "h2", Work::Claims),
    ("cyd", "h1", Work::Locks),
    ("dan", "h2", Work::Locks),
    ("eve", "h1", Work::Slots),
    ("fay", "h1", Work::Slots),
    ("gus", "h3", Work::Builds),
    ("hal", "h3", Work::Builds),
    ("lea", "h4", Work::Landings),
    ("ivo", "h1", Work::Tasks),
    ("jan", "h2", Work::Tasks),
];

/// How much there is to be of each before the load ends.
const LEAST: [(&str, u64); 2] = [("landing", 20), ("claim", 60)];

#[derive(Debug, Clone, Copy)]
enum Work {
    Claims,
    Locks,
    Slots,
    Builds,
    Landings,
    Tasks,
}

/// A load that runs.
pub(crate) struct Load<'a> {
    scene: &'a Scene,
    book: Book,
    random: Mutex<Random>,
    over: AtomicBool,
    /// Whether a host had no room to write down how its runs ended.
    no_room: AtomicBool,
    /// Answers that told of trouble: unavailable, unknown, lost.
    trouble: AtomicU64,
    heard: Mutex<BTreeMap<&'static str, u64>>,
    /// What nobody should have been told, faults or not.
    complaints: Mutex<Vec<String>>,
}

/// A fleet for load, its hosts at work.
#[track_caller]
pub(crate) fn scene(size: Size) -> Scene {
    scene_of(size, &Machines::default())
}

/// The same on particular machines.
#[track_caller]
pub(crate) fn scene_of(size: Size, machines: &Machines) -> Scene {
    let files = [("molt.toml", POLICY), ("work/begin", "fine\n")];
    let mut scene = Scene::of(size, &files, (&[], machines));
    scene.add_hosts(&HOSTS.map(|name| (name, u32::from(["h3", "h4"].contains(&name)))));
    scene
}

/// Lets `faults` happen under load and waits until everybody came to an end. What was found holds.
#[track_caller]
pub(crate) fn under_load(scene: &Scene, faults: impl FnOnce(&Load<'_>)) -> Report {
    let agents = WORKERS.map(|(name, host, work)| (scene.agent(name, host), host, work));
    let load = Load {
        scene,
        book: Book::new(scene),
        random: Mutex::new(Random::new()),
        over: AtomicBool::new(false),
        no_room: AtomicBool::new(false),
        trouble: AtomicU64::new(0),
        heard: Mutex::default(),
        complaints: Mutex::default(),
    };
    std::thread::scope(|scope| {
        let load = &load;
        let workers: Vec<ScopedJoinHandle<'_, ()>> = agents
            .iter()
            .map(|(agent, host, work)| {
                let host = scene.host(host);
                scope.spawn(move || host.enter(|| load.work(agent, *work)))
            })
            .collect();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            load.all_go_on(&load.counts(), 4 * PROGRESS);
            faults(load);
            load.goes_on_until_enough();
            load.book.write(Sign::Over);
        }));
        load.over.store(true, Ordering::Relaxed);
        scene.calm();
        let ended: Vec<_> = workers.into_iter().map(ScopedJoinHandle::join).collect();
        if let Err(panic) = done {
            println!("{:?} heard, {} troubles", load.counts(), load.troubles());
            std::panic::resume_unwind(panic);
        }
        assert!(ended.iter().all(Result::is_ok), "a worker failed");
    });
    println!("{:?} heard, {} troubles", load.counts(), load.troubles());
    let complaints = load.complaints.into_inner().unwrap_or_else(PoisonError::into_inner);
    let report = scene.check(&KINDS);
    assert!(report.holds() && complaints.is_empty(), "{report}{complaints:#?}");
    report
}

impl Load<'_> {
    /// Makes a fault: `make` breaks something and returns when it has seen an effect, `heal`
    /// mends it. Then everything goes on within the span that is allowed.
    #[track_caller]
    pub(crate) fn fault(&self, name: &str, make: impl FnOnce(), heal: impl FnOnce()) {
        let moment = self.random.lock().unwrap_or_else(PoisonError::into_inner).below(1_000);
        pause(Duration::from_millis(moment));
        println!("fault: {name}");
        let name = || name.to_owned();
        self.book.write(Sign::Fault { name: name() });
        make();
        self.book.write(Sign::Effect { name: name() });
        heal();
        let before = self.counts();
        self.book.write(Sign::Healed { name: name() });
        self.all_go_on(&before, PROGRESS);
    }

    /// Waits until there is more of every kind than `before`, for `patience` at most: the checker
    /// judges whether it came in time.
    fn all_go_on(&self, before: &BTreeMap<&'static str, u64>, patience: Duration) {
        let step = Duration::from_millis(20);
        for _ in 0..patience.as_millis() / step.as_millis() + 1 {
            let now = self.counts();
            if KINDS.iter().all(|kind| now.get(kind) > before.get(kind)) {
                return;
            }
            pause(step);
        }
    }

    /// Waits until there was enough of everything, for as long as there is more of it: how fast a
    /// machine is decides nothing.
    fn goes_on_until_enough(&self) {
        for (kind, least) in LEAST {
            let count = || self.counts().get(kind).copied().unwrap_or_default();
            loop {
                let before = count();
                if before >= least {
                    break;
                }
                until("there is more of everything", || (count() > before).then_some(()));
            }
        }
    }

    /// How many acknowledgements of each kind were heard so far.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often somebody was told of trouble so far.
    pub(crate) fn troubles(&self) -> u64 {
        self.trouble.load(Ordering::Relaxed)
    }

    /// Waits until somebody is told of trouble that was not there at `before`.
    #[track_caller]
    pub(crate) fn trouble_after(&self, before: u64) {
        until("somebody notices", || (self.troubles() > before).then_some(()));
    }

    pub(crate) fn scene(&self) -> &Scene {
        self.scene
    }

    /// Something of a kind was acknowledged.
    pub(crate) fn heard(&self, kind: &'static str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard.entry(kind).or_default() += 1;
    }

    /// Somebody was told of trouble.
    pub(crate) fn trouble(&self) {
        self.trouble.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody was told what nobody should be told.
    pub(crate) fn complain(&self, complaint: String) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
    }

    /// From now on a host may have had no room.
    pub(crate) fn without_room(&self) {
        self.no_room.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_without_room(&self) -> bool {
        self.no_room.load(Ordering::Relaxed)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn work(&self, agent: &Agent, work: Work) {
        let pen = Pen::open(&self.scene.journal(agent.name())).expect("a journal");
        let worker = Worker { load: self, agent, pen };
        match work {
            Work::Claims => worker.claims(),
            Work::Locks => worker.locks(),
            Work::Slots => worker.slots(),
            Work::Builds => worker.builds(),
            Work::Landings => worker.landings(),
            Work::Tasks => worker.tasks(),
        }
    }
}

/// Starts a holder of `lock` on a host, which keeps it for a moment, and until a file is there.
#[track_caller]
pub(crate) fn hold(
    scene: &Scene,
    (agent, host): (&Agent, &str),
    lock: &str,
    until: Option<&Path>,
) -> Running {
    let text = |path: &Path| path.to_str().expect("a path of text").to_owned();
    let (journal, until) = (text(&scene.journal("held")), until.map(text));
    let mut asked = vec!["lock", "run", lock, "--wait", "1m", "--"];
    asked.extend([env!("CARGO_BIN_EXE_molt-holder"), "--journal", &journal]);
    asked.extend(["--kind", "lock", "--what", lock, "--millis", "30"]);
    asked.extend(until.iter().flat_map(|file| ["--until", file]));
    scene.host(host).enter(|| agent.start(&asked))
}
