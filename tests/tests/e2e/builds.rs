//! Build-once: one run for equal trees at one place, and its end is everybody's.

use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Agent, Fleet, Host, Running, lines, until, write};

const POLICY: &str = "version = 1\n[scope.src]\npaths = [\"src/**\"]\n";

/// Says that it runs, waits for its signal, and makes `out` of the tree, or fails.
const BUILD: &str = r#"echo "$(cat src/a)" >>"$1"
while [ ! -e "$1.go" ]; do sleep 0.02; done
grep -q broken src/a && exit 3
cat src/* >out
"#;

/// Three agents with worktrees of one host, and a build that counts its runs.
/// Fields are dropped in this order: the fleet's folder last.
struct Scene {
    host: Host,
    count: PathBuf,
    fleet: Fleet,
}

impl Scene {
    fn new() -> Self {
        let files = [("molt.toml", POLICY), ("src/a", "one\n"), ("build.sh", BUILD)];
        let ignore = (".gitignore", "out\n");
        let fleet =
            Fleet::new(&[files.as_slice(), &[ignore]].concat(), &["--failure-memory", "2s"]);
        let (host, count) = (fleet.host("h1"), fleet.path("count"));
        Self { fleet, host, count }
    }

    fn agents(&self) -> [Agent; 3] {
        ["ann", "bob", "cyd"].map(|name| self.fleet.agent(name, &self.host))
    }

    /// Starts the build in an agent's worktree, at a place that all of them share.
    fn start(&self, agent: &Agent) -> Running {
        let count = self.count.to_str().expect("a path of text");
        let asked = ["build", "app", "--place", "all", "--artifact", "out", "--wait", "30s"];
        agent.start(&[asked.as_slice(), &["--", "sh", "build.sh", count]].concat())
    }

    /// How often the build was run.
    fn runs(&self) -> usize {
        lines(&self.count).len()
    }

    fn go(&self) {
        write(&self.fleet.path(""), "count.go", "");
    }

    /// Starts all three at once: one builds, the others wait for it.
    fn all_at_once(&self, agents: &[Agent]) -> Vec<Running> {
        let mark = self.fleet.coordinator.events.mark();
        let runs: Vec<Running> = agents.iter().map(|agent| self.start(agent)).collect();
        until("two wait for the one that builds", || {
            let events = self.fleet.coordinator.events.all();
            let waits = |entry: &&Value| entry["event"]["what"] == "waits";
            (events.iter().skip(mark).filter(waits).count() == agents.len() - 1).then_some(())
        });
        self.go();
        runs
    }
}

#[test]
fn three_callers_with_equal_trees_are_one_build() {
    let scene = Scene::new();
    let agents = scene.agents();
    for run in scene.all_at_once(&agents) {
        run.end().exits(0);
    }
    assert_eq!(scene.runs(), 1);
    for agent in &agents {
        let made = std::fs::read_to_string(agent.worktree().join("out"));
        assert_eq!(made.expect("everybody has what was made"), "one\n", "{}", agent.name());
    }
    let shared = scene.start(&agents[1]).end().exits(0);
    assert_eq!(scene.runs(), 1, "later callers find it: {}", shared.err);

    std::fs::remove_file(agents[2].worktree().join("out")).expect("it was there");
    scene.start(&agents[2]).end().exits(0);
    assert_eq!(scene.runs(), 1, "what was removed is brought back");
    assert!(agents[2].worktree().join("out").exists());
}

#[test]
fn whatever_is_different_is_another_build() {
    let scene = Scene::new();
    let [ann, bob, cyd] = scene.agents();
    scene.go();
    scene.start(&ann).end().exits(0);
    assert_eq!(scene.runs(), 1);
    bob.commit(&[("src/a", "two\n")], "another tree");
    scene.start(&bob).end().exits(0);
    assert_eq!(scene.runs(), 2, "a different tree");
    write(cyd.worktree(), "src/b", "untracked\n");
    scene.start(&cyd).end().exits(0);
    assert_eq!(scene.runs(), 3, "an untracked file");
    write(cyd.worktree(), "src/b", "changed\n");
    scene.start(&cyd).end().exits(0);
    assert_eq!(scene.runs(), 4, "other content of it");
    std::fs::remove_file(cyd.worktree().join("src/b")).expect("it was there");
    scene.start(&cyd).end().exits(0);
    assert_eq!(scene.runs(), 4, "without it, the tree is ann's again");
    let made = std::fs::read_to_string(cyd.worktree().join("out")).expect("what was made");
    assert_eq!(made, "one\n", "nobody gets what was made of another tree");
}

#[test]
fn a_failure_reaches_all_who_wait_and_is_no_success_later() {
    let scene = Scene::new();
    let agents = scene.agents();
    for agent in &agents {
        agent.commit(&[("src/a", "broken\n")], "break it");
    }
    let mut codes: Vec<i32> =
        scene.all_at_once(&agents).into_iter().map(|run| run.end().code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [1, 1, 3], "the command's own code, and that it failed elsewhere");
    assert_eq!(scene.runs(), 1);

    // It is remembered for a while, and then it is run again: never taken for built.
    until("it is forgotten", || {
        let code = scene.start(&agents[1]).end().code;
        assert!([1, 3].contains(&code), "a failure became {code}");
        (code == 3).then_some(())
    });
    assert_eq!(scene.runs(), 2);
    for agent in &agents {
        agent.commit(&[("src/a", "mended\n")], "mend it");
        scene.start(agent).end().exits(0);
    }
    assert_eq!(scene.runs(), 3, "mended once for all");
}
