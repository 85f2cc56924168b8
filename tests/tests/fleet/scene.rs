//! A fleet as a whole: its places, etcds, coordinators, hosts and repository.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_store::rig::{Cluster, Options, Proxy};
use molt_tests::verify::fleet::journal::{ENDING, Pen, Sign};
use molt_tests::verify::{Asked, Report, fleet, verify};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use serde_json::Value;

use crate::disk::Disk;
use crate::harness::{Agent, Remote, lines, scratch, until};
use crate::net::Net;
use crate::service::{Coordinator, Keeping, Told};
use crate::site::{Means, Site};

/// The places of etcds.
pub(crate) const ETCDS: [&str; 3] = ["e1", "e2", "e3"];

/// The places of coordinators.
pub(crate) const COORDINATORS: [&str; 2] = ["c1", "c2"];

/// The places of hosts; the last two run jobs.
pub(crate) const HOSTS: [&str; 4] = ["h1", "h2", "h3", "h4"];

/// How long a lost lock stays closed.
const DELAY: Duration = Duration::from_secs(2);

/// Short, and within what keeps two holders apart: a leader's word holds for 3 s, so a cut-off
/// holder learns within 3 s less than its session lives that it must stop.
const SPANS: [(&str, &str); 7] = [
    ("heartbeat", "300ms"),
    ("session_ttl", "12s"),
    ("margin", "3s"),
    ("kill_grace", "500ms"),
    ("delay", "2s"),
    ("grace", "2m"),
    ("leader_ttl", "3s"),
];

/// A run that shows less than this shows nothing.
const LEAST: (u64, u64, u64) = (200, 20, 3);

/// How soon everything goes on after a fault.
pub(crate) const PROGRESS: Duration = Duration::from_secs(15);

/// How a fleet is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// One coordinator with a store of its own.
    Single,
    /// Two coordinators on three etcds.
    Whole,
    /// The same, the first coordinator with a proxy before each etcd.
    Proxied,
}

/// Variables of programs.
pub(crate) type Variables = Vec<(&'static str, OsString)>;

/// What is particular about the machines of a fleet.
#[derive(Debug, Default)]
pub(crate) struct Machines {
    /// What the programs at a place find in their environment.
    pub(crate) variables: BTreeMap<&'static str, Variables>,
    /// Places whose programs keep their files on a disk of their own, of so many MiB.
    pub(crate) disks: Vec<(&'static str, u32)>,
    /// How large etcd's database may grow, in bytes.
    pub(crate) quota: Option<u64>,
}

impl Machines {
    fn variables(&self, place: &str) -> &[(&'static str, OsString)] {
        self.variables.get(place).map_or(&[], Vec::as_slice)
    }
}

/// A fleet. Fields are dropped in this order: whoever uses something before it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) hosts: Vec<Site>,
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) etcd: Option<Etcd>,
    pub(crate) remote: Remote,
    pub(crate) net: Net,
    variables: BTreeMap<&'static str, Variables>,
    disks: BTreeMap<&'static str, Disk>,
    scratch: TempDir,
}

/// Three etcds, and what asks them.
#[derive(Debug)]
pub(crate) struct Etcd {
    pub(crate) cluster: Cluster,
    /// One for each member, where there are any.
    pub(crate) proxies: Vec<Proxy>,
    runtime: Runtime,
}

impl Etcd {
    #[track_caller]
    fn new(net: &Net, size: Size, quota_bytes: Option<u64>) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let places = ETCDS.iter().map(|name| net.place(name).of_etcd()).collect();
        let options = Options { places, quota_bytes, ..Options::default() };
        let cluster = runtime.block_on(Cluster::start(ETCDS.len(), options)).expect("three etcds");
        let members = if size == Size::Proxied { cluster.members() } else { &[] };
        let start = |address| runtime.block_on(Proxy::start_at(net.bridge(), address));
        let proxies = members.iter().map(|member| start(member.address()).expect("a proxy"));
        let proxies = proxies.collect();
        Self { cluster, proxies, runtime }
    }

    /// Where the coordinators reach it, each in its own way.
    fn endpoints(&self) -> [Keeping; COORDINATORS.len()] {
        let plain = self.cluster.endpoints();
        let first = self.proxies.iter().map(Proxy::endpoint).collect();
        let first = if self.proxies.is_empty() { plain.clone() } else { first };
        [Keeping::Etcd(first), Keeping::Etcd(plain)]
    }

    /// Which member leads.
    #[track_caller]
    pub(crate) fn leader(&self) -> usize {
        self.runtime.block_on(self.cluster.leader()).expect("a leader")
    }

    /// Starts a killed member again.
    #[track_caller]
    pub(crate) fn restart(&self, member: usize) {
        let member = &self.cluster.members()[member];
        self.runtime.block_on(member.restart()).expect("it starts again");
    }
}

impl Scene {
    /// A fleet whose base has `files` and whose coordinators answer, with these spans beside or
    /// in place of the usual ones.
    #[track_caller]
    pub(crate) fn new(size: Size, files: &[(&str, &str)], spans: &[(&str, &str)]) -> Self {
        Self::of(size, files, (spans, &Machines::default()))
    }

    /// The same on particular machines.
    #[track_caller]
    pub(crate) fn of(
        size: Size,
        files: &[(&str, &str)],
        (spans, machines): (&[(&str, &str)], &Machines),
    ) -> Self {
        let names = [ETCDS.as_slice(), &COORDINATORS, &HOSTS].concat();
        let net = Net::new(&names);
        let scratch = scratch();
        let disks = disks(scratch.path(), machines);
        let remote = Remote::new(scratch.path(), files);
        let etcd = (size != Size::Single).then(|| Etcd::new(&net, size, machines.quota));
        let keeping = match &etcd {
            None => vec![Keeping::Embedded],
            Some(etcd) => etcd.endpoints().into(),
        };
        let other = |(key, _): &&(&str, &str)| spans.iter().all(|(own, _)| own != key);
        let spans = [SPANS.iter().filter(other).copied().collect(), spans.to_vec()].concat();
        let coordinators = COORDINATORS.iter().zip(&keeping).map(|(name, keeping)| {
            let variables = machines.variables(name);
            let told = Told { keeping, remote: remote.path(), spans: &spans, variables };
            Coordinator::new(scratch.path(), name, net.place(name), &told)
        });
        let coordinators = coordinators.collect();
        std::fs::create_dir(scratch.path().join("journals")).expect("the journals' folder");
        let variables = machines.variables.clone();
        let hosts = Vec::new();
        let scene = Self { hosts, coordinators, etcd, remote, net, variables, disks, scratch };
        scene.coordinators.iter().for_each(Coordinator::start);
        scene.leader();
        scene
    }

    /// Adds the hosts of these names, each with a daemon that runs so many jobs.
    #[track_caller]
    pub(crate) fn add_hosts(&mut self, hosts: &[(&'static str, u32)]) {
        let endpoints: Vec<&str> = self.coordinators.iter().map(Coordinator::address).collect();
        let endpoints = endpoints.join(",");
        for (name, jobs) in hosts {
            let place = self.net.place(name);
            let variables = self.variables.get(name).map_or(&[][..], Vec::as_slice);
            let means = Means { coordinators: &endpoints, jobs: *jobs, variables };
            self.hosts.push(Site::new(self.scratch.path(), name, place, &means));
        }
    }

    /// The disk of a place that was to have one of its own, if this user may mount disks.
    pub(crate) fn disk(&self, place: &str) -> Option<&Disk> {
        self.disks.get(place)
    }

    /// A host by its name.
    pub(crate) fn host(&self, name: &str) -> &Site {
        self.hosts.iter().find(|host| host.name == name).expect("a host of this fleet")
    }

    /// An agent on a host.
    #[track_caller]
    pub(crate) fn agent(&self, name: &str, host: &str) -> Agent {
        self.host(host).agent(name, &self.remote)
    }

    /// A path of the scratch folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The journal of a writer.
    pub(crate) fn journal(&self, writer: &str) -> PathBuf {
        self.path("journals").join(writer).with_extension(ENDING)
    }

    /// Whether a journal has told of something yet.
    pub(crate) fn journal_tells(&self, writer: &str, what: &str) -> bool {
        lines(&self.journal(writer)).iter().any(|line| line.contains(&format!("{what:?}")))
    }

    /// Waits until a coordinator leads: which, and its term.
    #[track_caller]
    pub(crate) fn leader(&self) -> (usize, u64) {
        until("a coordinator leads", || {
            let terms = self.coordinators.iter().map(Coordinator::term).enumerate();
            terms.filter_map(|(which, term)| Some((which, term?))).max_by_key(|(_, term)| *term)
        })
    }

    /// Waits until the lead has passed on after `term`: to whom.
    #[track_caller]
    pub(crate) fn next_leader(&self, term: u64) -> (usize, u64) {
        until("another term begins", || Some(self.leader()).filter(|(_, next)| *next > term))
    }

    /// The etcds.
    pub(crate) fn etcd(&self) -> &Etcd {
        self.etcd.as_ref().expect("a fleet with etcds")
    }

    /// Everything passes, everybody moves.
    pub(crate) fn calm(&self) {
        self.net.heal();
        if let Some(etcd) = &self.etcd {
            etcd.proxies.iter().for_each(Proxy::heal);
            for member in etcd.cluster.members() {
                drop(member.thaw());
            }
        }
        self.coordinators.iter().for_each(Coordinator::thaw);
        self.hosts.iter().for_each(Site::thaw_all);
    }

    /// Exports the audit of the whole fleet.
    #[track_caller]
    pub(crate) fn export(&self) -> PathBuf {
        let path = self.path("audit.jsonl");
        let (leader, _) = self.leader();
        let name = path.to_str().expect("a path of text");
        self.coordinators[leader].run(&["audit", "export", name]).exits(0);
        path
    }

    /// The events of one kind so far.
    #[track_caller]
    pub(crate) fn events(&self, what: &str) -> Vec<Value> {
        let audit = self.export();
        let all = lines(&audit);
        std::fs::remove_file(&audit).expect("it was exported a moment ago");
        let events = all.iter().map(|line| {
            let entry: Value = serde_json::from_str(line).expect("an entry");
            entry["event"].clone()
        });
        events.filter(|event| event["what"] == what).collect()
    }

    /// Checks what happened: the audit and the journals, and the landings against git.
    #[track_caller]
    pub(crate) fn check(&self, kinds: &[&str]) -> Report {
        let audit = self.export();
        let (grants, landings, faults) = LEAST;
        let run = fleet::Run {
            audit: audit.clone(),
            journals: self.path("journals"),
            grants,
            landings,
            faults,
            progress: PROGRESS,
            delay: DELAY,
            kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
        };
        let report = fleet::check(&run).expect("all is there to be checked");
        print(&report);
        let asked = Asked {
            repo: self.remote.path().to_owned(),
            audit,
            branch: "main".to_owned(),
            expect: None,
        };
        let landed = verify(&asked).expect("all is there to be verified");
        assert!(landed.holds(), "{landed}");
        report
    }

    /// Says where a run that failed stands, as far as anybody answers.
    fn tell(&self) {
        let leader = self.coordinators.iter().find(|coordinator| coordinator.term().is_some());
        let Some(leader) = leader else { return println!("nobody leads") };
        let path = self.path("failed.jsonl").to_string_lossy().into_owned();
        println!("{} leads\n{}", leader.name(), leader.run(&["status"]).out);
        println!("{}", leader.run(&["audit", "export", &path]).err);
    }

    /// Keeps a copy of the scratch folder where the environment names a folder for it.
    fn keep(&self) {
        let Some(folder) = std::env::var_os("MOLT_FLEET_KEEP") else { return };
        let from: &Path = self.scratch.path();
        let copied = std::process::Command::new("cp").arg("-R").arg(from).arg(folder).status();
        println!("kept {}: {copied:?}", from.display());
    }
}

/// Disks for the folders of coordinators and hosts, before anybody uses these.
fn disks(scratch: &Path, machines: &Machines) -> BTreeMap<&'static str, Disk> {
    let disk = |(place, size): &(&'static str, u32)| {
        let kind = if COORDINATORS.contains(place) { "data" } else { "state" };
        Some((*place, Disk::mount(&scratch.join(format!("{kind}-{place}")), *size)?))
    };
    let disks: BTreeMap<_, _> = machines.disks.iter().filter_map(disk).collect();
    if disks.len() < machines.disks.len() {
        println!("no disks of their own here: none can be filled");
    }
    disks
}

fn print(report: &Report) {
    let facts = ["grants", "landings", "faults", "uses", "acknowledged", "slowest progress in ms"];
    let facts: Vec<String> =
        facts.iter().map(|fact| format!("{fact} {}", report.fact(fact))).collect();
    println!("{}", facts.join(", "));
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.calm();
        if std::thread::panicking() {
            for coordinator in &self.coordinators {
                println!("{} said last:\n{}", coordinator.name(), coordinator.last_words());
            }
            self.tell();
            self.keep();
        }
    }
}

/// What the makers of faults write down.
#[derive(Debug)]
pub(crate) struct Book(Pen);

impl Book {
    #[track_caller]
    pub(crate) fn new(scene: &Scene) -> Self {
        Self(Pen::open(&scene.journal("faults")).expect("a journal"))
    }

    #[track_caller]
    pub(crate) fn write(&self, sign: Sign) {
        self.0.write(sign).expect("a journal that can be written");
    }
}
