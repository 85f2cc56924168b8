//! Agents at work on every host, all the time, whatever becomes of the fleet around them.
//!
//! A worker asks until it has a definite answer, writes down what was acknowledged, and goes on.
//! What it may be told under faults is part of its contract: every other exit code is a failure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use molt_tests::verify::Report;
use molt_tests::verify::fleet::journal::{Holding, Pen, Sign};

use crate::harness::{Agent, Said, pause, until};
use crate::random::Random;
use crate::scene::{Book, HOSTS, PROGRESS, Scene, Size};

/// Scopes to fight for, work that lands, a lint that runs as a job, a pool.
pub(crate) const POLICY: &str = r#"version = 1
[scope.a]
paths = ["a/**"]
[scope.b]
paths = ["b/**"]
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
const KINDS: [&str; 5] = ["claim", "lock", "slot", "build", "landing"];

/// Who works where, at what.
const WORKERS: [(&str, &str, Work); 9] = [
    ("ann", "h1", Work::Claims),
    ("bob", "h2", Work::Claims),
    ("cyd", "h1", Work::Locks),
    ("dan", "h2", Work::Locks),
    ("eve", "h1", Work::Slots),
    ("fay", "h1", Work::Slots),
    ("gus", "h3", Work::Builds),
    ("hal", "h3", Work::Builds),
    ("lea", "h4", Work::Landings),
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
}

/// A load that runs.
pub(crate) struct Load<'a> {
    scene: &'a Scene,
    book: Book,
    random: Mutex<Random>,
    over: AtomicBool,
    /// Answers that told of trouble: unavailable, unknown, lost.
    trouble: AtomicU64,
    heard: Mutex<BTreeMap<&'static str, u64>>,
    /// What nobody should have been told, faults or not.
    complaints: Mutex<Vec<String>>,
}

/// A fleet for load, its hosts at work.
#[track_caller]
pub(crate) fn scene(size: Size) -> Scene {
    let files = [("molt.toml", POLICY), ("work/begin", "fine\n")];
    let mut scene = Scene::new(size, &files, &[]);
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
            until("there was enough of everything", || {
                let counts = load.counts();
                let enough = |(kind, least): &(&str, u64)| counts.get(kind) >= Some(least);
                LEAST.iter().all(enough).then_some(())
            });
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

    fn is_over(&self) -> bool {
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
        }
    }
}

struct Worker<'a> {
    load: &'a Load<'a>,
    agent: &'a Agent,
    pen: Pen,
}

impl Worker<'_> {
    fn heard(&self, kind: &'static str, id: &str, fence: Option<&str>) {
        let fence = fence.map(str::to_owned);
        self.write(Sign::Acknowledged { kind: kind.to_owned(), id: id.to_owned(), fence });
        let mut heard = self.load.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard.entry(kind).or_default() += 1;
    }

    fn write(&self, sign: Sign) {
        self.pen.write(sign).expect("a journal that can be written");
    }

    /// Runs a verb once; its code is one of `definite`, or of `trouble`, which is counted.
    fn once(&self, arguments: &[&str], definite: &[i32], trouble: &[i32]) -> Option<Said> {
        let said = self.agent.run(arguments);
        if definite.contains(&said.code) {
            return Some(said);
        }
        let Said { asked, code, out, err } = said;
        assert!(
            trouble.contains(&code),
            "{}: `{asked}` exits {code}: {out}{err}",
            self.agent.name()
        );
        self.load.trouble.fetch_add(1, Ordering::Relaxed);
        // A verb that finds nobody may answer at once: leave the machine to those who work.
        pause(Duration::from_millis(50));
        None
    }

    /// Runs a verb until its code is one of `definite`. 10: try again. 11: repeat.
    fn insist(&self, arguments: &[&str], definite: &[i32]) -> Said {
        self.insist_through(arguments, definite, &[])
    }

    /// The same, with more codes that are no end.
    fn insist_through(&self, arguments: &[&str], definite: &[i32], pending: &[i32]) -> Said {
        let trouble = [&[10, 11], pending].concat();
        until(&format!("a definite answer to {arguments:?}"), || {
            self.once(arguments, definite, &trouble)
        })
    }

    fn claims(&self) {
        for round in 0_u32.. {
            if self.load.is_over() {
                return;
            }
            let scopes: &[&str] = if round % 5 == 4 { &["a", "b"] } else { &["a"] };
            let asked = [&["claim"], scopes, &["--wait", "10s", "--json"]].concat();
            // 5: still in line, for the same. Who is in line for one thing and asks for another
            // closes a circle with those behind it.
            let granted = self.insist_in_session(&asked, &[5]);
            self.hold_claim(&granted, scopes);
        }
    }

    fn hold_claim(&self, granted: &Said, scopes: &[&str]) {
        let document = granted.document();
        let claim = &document["data"];
        let text = |field: &str| claim[field].as_str().expect("text").to_owned();
        let (id, fence) = (text("id"), text("fence"));
        self.heard("claim", &id, Some(&fence));
        let lives = || {
            for scope in scopes {
                let (kind, what) = ("claim".to_owned(), (*scope).to_owned());
                self.write(Sign::Lives(Holding {
                    kind,
                    what,
                    by: id.clone(),
                    fence: fence.clone(),
                }));
            }
        };
        for _ in 0..4 {
            lives();
            pause(Duration::from_millis(5));
        }
        lives();
        let released = [&["release"], scopes, &["--json"]].concat();
        self.insist_in_session(&released, &[]);
        self.heard("release", &id, None);
    }

    /// Insists on success, and comes back to the session where that was lost: its claims wait.
    fn insist_in_session(&self, arguments: &[&str], pending: &[i32]) -> Said {
        loop {
            let said = self.insist_through(arguments, &[0, 6], pending);
            if said.code == 0 {
                return said;
            }
            self.load.trouble.fetch_add(1, Ordering::Relaxed);
            self.insist(&["resume", "--json"], &[0]);
        }
    }

    /// Runs the holder under a verb of the wrapper; whether it came to its end.
    fn wrapped(&self, verb: &[&str], holder: &[&str]) -> bool {
        // The same for all: a build is known by its command too.
        let journal = self.load.scene.journal("held");
        let journal = journal.to_str().expect("a path of text");
        let program = env!("CARGO_BIN_EXE_molt-holder");
        let begin = ["--wait", "20s", "--", program, "--journal", journal];
        let asked = [verb, &begin, holder].concat();
        // 120 not acquired, 121 lost and stopped, 122 unavailable, 137 stopped by the daemon.
        self.once(&asked, &[0], &[6, 10, 11, 120, 121, 122, 137, 143]).is_some()
    }

    fn locks(&self) {
        while !self.load.is_over() {
            let holder = ["--kind", "lock", "--what", "diff", "--millis", "30"];
            if self.wrapped(&["lock", "run", "diff"], &holder) {
                self.heard("lock", "diff", None);
            }
        }
    }

    fn slots(&self) {
        while !self.load.is_over() {
            if self.wrapped(&["slot", "run", "cargo"], &["--kind", "slot", "--millis", "30"]) {
                self.heard("slot", "cargo", None);
            }
        }
    }

    fn builds(&self) {
        let mut number = 1;
        while !self.load.is_over() {
            let fingerprint = format!("{number:08x}");
            let verb = ["build", "app", "--place", "all", "--fingerprint", &fingerprint];
            let holder = ["--kind", "build", "--what", &fingerprint, "--millis", "30"];
            if self.wrapped(&verb, &holder) {
                self.heard("build", &fingerprint, None);
                number += 1;
            }
        }
    }

    fn landings(&self) {
        self.insist_in_session(&["claim", "work", "--json"], &[]);
        for number in 0_u32.. {
            if self.load.is_over() {
                return;
            }
            let name = format!("work/{number}");
            self.agent.commit(&[(&name, "fine\n")], &name);
            let submitted = self.insist_in_session(&["submit", "--json"], &[]);
            let car = submitted.document()["data"]["id"].as_str().expect("a car").to_owned();
            self.heard("submit", &car, None);
            if self.has_landed(&car) {
                self.heard("landing", &car, None);
            }
        }
    }

    /// Waits for the end of a change. A good one is never sent away.
    fn has_landed(&self, car: &str) -> bool {
        let asked = ["gate", "wait", car, "--wait", "20s", "--json"];
        let said = until(&format!("{car} lands"), || {
            let said = self.once(&asked, &[0, 7], &[5, 6, 10, 11])?;
            let pending = said.code == 7 && said.document()["data"]["phase"] != "ejected";
            (!pending).then_some(said)
        });
        if said.code != 0 {
            let complaint = format!("{car} did not land: {}", said.document()["data"]["detail"]);
            println!("{complaint}");
            let mut all = self.load.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(complaint);
        }
        said.code == 0
    }
}
