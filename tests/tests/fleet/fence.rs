//! T-FENCE: a whole host is frozen while it holds locks, its successors come and go, and it wakes
//! up again. No lock service can keep it from what it does then; the fence can.

use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_tests::verify::fleet::journal::{Journal, Sign};
use molt_tests::verify::fleet::outside::{Fences, Outside};

use crate::harness::{Agent, Running, pause, skip, until};
use crate::random::Random;
use crate::scene::{Scene, Size};

/// How many locks, each with resources of its own: a seed each.
const SEEDS: usize = 20;

const SPANS: [(&str, &str); 6] = [
    ("heartbeat", "200ms"),
    ("session_ttl", "3s"),
    ("margin", "1500ms"),
    ("kill_grace", "200ms"),
    // As good as none; the configuration takes no nothing.
    ("delay", "1ms"),
    ("leader_ttl", "1s"),
];

/// Session ttl, delay and three seconds.
const FROZEN: Duration = Duration::from_secs(6);

/// Between two processes that wake up.
const BETWEEN: Duration = Duration::from_millis(2);

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n";

struct Trial<'a> {
    scene: &'a Scene,
    go: PathBuf,
}

impl Trial<'_> {
    fn folder(&self, n: usize) -> PathBuf {
        self.scene.path(&format!("outside-{n}"))
    }

    /// Starts a holder for each seed on a host, ten to an agent.
    fn start(&self, host: &str, agents: &[Agent], until: Option<&Path>) -> Vec<Running> {
        let journal = self.scene.journal(host);
        let start = |n: usize| {
            let (lock, folder) = (format!("set-{n}"), self.folder(n));
            let mut asked = vec!["lock", "run", &lock, "--wait", "1m", "--"];
            asked.push(env!("CARGO_BIN_EXE_molt-holder"));
            asked.extend(["--kind", "lock", "--what", &lock]);
            asked.extend(["--journal", text(&journal), "--outside", text(&folder)]);
            asked.extend(until.map(|file| ["--until", text(file)]).into_iter().flatten());
            agents[n % agents.len()].start(&asked)
        };
        self.scene.host(host).enter(|| (0..SEEDS).map(start).collect())
    }

    /// How many holders have read their resources.
    fn readers(&self) -> usize {
        let read = |n| {
            let entries = self.folder(n).read_dir().expect("the folder of a resource");
            entries
                .filter(|entry| {
                    let path = entry.as_ref().expect("an entry").path();
                    path.extension().is_some_and(|ending| ending == "read")
                })
                .count()
        };
        (0..SEEDS).map(read).sum()
    }

    /// How many acknowledged writes are not there, of all resources of one kind.
    fn lost(&self, fences: Fences) -> (usize, usize) {
        let journal = Journal::read(&self.scene.path("journals")).expect("the journals");
        let (mut lost, mut written) = (0, 0);
        let kind = format!("outside {}", Outside::new("".as_ref(), fences).name());
        let all: Vec<String> = (0..SEEDS)
            .flat_map(|n| Outside::new(&self.folder(n), fences).elements().expect("a resource"))
            .collect();
        for line in &journal.lines {
            if let Sign::Acknowledged { kind: seen, id, .. } = &line.sign
                && *seen == kind
            {
                written += 1;
                lost += usize::from(!all.contains(id));
            }
        }
        (lost, written)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn a_frozen_holder_does_no_harm_where_fences_are_checked() {
    let mut random = Random::new();
    let mut scene = Scene::new(Size::Single, &[("molt.toml", POLICY)], &SPANS);
    if !scene.net.can_cut() {
        return skip("fence::a_frozen_holder_does_no_harm_where_fences_are_checked");
    }
    scene.add_hosts(&[("h1", 0), ("h2", 0)]);
    let first = ["ann", "bob"].map(|name| scene.agent(name, "h1"));
    let next = ["cyd", "dan"].map(|name| scene.agent(name, "h2"));
    let trial = Trial { scene: &scene, go: scene.path("go") };
    for n in 0..SEEDS {
        std::fs::create_dir(trial.folder(n)).expect("the folder of a resource");
    }
    let holders = trial.start("h1", &first, Some(&trial.go));
    until("all hold and have read", || (trial.readers() == SEEDS).then_some(()));
    let successors = trial.start("h2", &next, None);

    let mut frozen = scene.host("h1").freeze();
    assert!(frozen.len() > 3 * SEEDS, "daemon, wrappers, supervisors and children");
    pause(FROZEN);
    for successor in successors {
        successor.end().exits(0);
    }
    assert_eq!(trial.readers(), 2 * SEEDS, "all successors came and went");
    std::fs::write(&trial.go, "").expect("the sign to go on");
    random.shuffle(&mut frozen);
    for pid in &frozen {
        scene.host("h1").thaw(&[*pid]);
        pause(BETWEEN);
    }
    let codes: Vec<i32> = holders.into_iter().map(|holder| holder.end().code).collect();

    let (lost, written) = trial.lost(Fences::Checked);
    println!("fences checked: {lost} of {written} acknowledged writes are lost");
    let (without, all) = trial.lost(Fences::Ignored);
    println!("fences ignored: {without} of {all} acknowledged writes are lost; exits {codes:?}");
    assert_eq!((lost, written), (0, SEEDS), "nothing is lost where fences are checked");
    assert!(without > 0, "the trial would have found it");
}
