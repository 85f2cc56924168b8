//! The coordinator killed again and again under load: what was acknowledged is there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Agent, Fleet, Said, lines, pause, until};

/// How often the coordinator is killed.
const KILLS: u32 = 20;

/// Variable that repeats a run: the moments of the kills come from it.
const SEED: &str = "MOLT_E2E_SEED";

const POLICY: &str = r#"version = 1
[scope.a]
paths = ["a/**"]
[scope.b]
paths = ["b/**"]
[scope.work]
paths = ["work/**"]
[gate.lint]
run = "! grep -rn TABS work"
timeout = "1m"
[merge]
required = ["lint", "scope"]
"#;

/// Pseudo-random numbers (xorshift): the same seed, the same moments.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn seed() -> u64 {
    let given = std::env::var(SEED).ok().map(|text| text.parse().expect("a seed is a number"));
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
    println!("{SEED}={seed}");
    seed
}

/// Repeats a command for as long as it is told to try again (10) or to repeat it (11).
fn insist(agent: &Agent, arguments: &[&str]) -> Said {
    until(&format!("a definite answer to {arguments:?}"), || {
        let said = agent.run(arguments);
        (![10, 11].contains(&said.code)).then_some(said)
    })
}

/// What a client knows of its claim: the last acknowledged word about it.
#[derive(Debug, Default)]
struct Claims {
    held: Option<Value>,
    answers: u32,
    last_fence: u64,
}

/// Claims and releases the scope `scope`, checking each grant against those before.
fn claim_and_release(agent: &Agent, scope: &str, over: &AtomicBool) -> Claims {
    let mut known = Claims::default();
    while !over.load(Ordering::Relaxed) {
        let granted = insist(agent, &["claim", scope, "--json"]).exits(0).document();
        let claim = &granted["data"];
        let fence = claim["fence"].as_str().expect("a fence").parse().expect("a number");
        assert!(fence > known.last_fence, "fence {fence} after {}", known.last_fence);
        known = Claims {
            held: Some(json!([claim["id"], claim["fence"]])),
            answers: known.answers + 1,
            last_fence: fence,
        };
        if over.load(Ordering::Relaxed) {
            break;
        }
        insist(agent, &["release", scope, "--json"]).exits(0);
        known.held = None;
        known.answers += 1;
    }
    known
}

/// Adds tasks with titles of their own; the ids by title, as acknowledged.
fn add_tasks(agent: &Agent, over: &AtomicBool) -> BTreeMap<String, String> {
    let mut added = BTreeMap::new();
    while !over.load(Ordering::Relaxed) {
        let title = format!("task {}", added.len());
        let document = insist(agent, &["task", "add", &title, "--json"]).exits(0).document();
        added.insert(title, document["data"]["id"].as_str().expect("an id").to_owned());
    }
    added
}

/// Builds one fingerprint after the other, each run counted in `count`; how many passed.
fn build(agent: &Agent, count: &str, over: &AtomicBool) -> Vec<String> {
    let mut built = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let fingerprint = format!("{:08x}", built.len() + 1);
        let script = format!("echo {fingerprint} >>'{count}'; sleep 0.05");
        let asked = ["build", "app", "--fingerprint", &fingerprint, "--wait", "30s"];
        until("the build ends", || {
            let said = agent.run(&[asked.as_slice(), &["--", "sh", "-c", &script]].concat());
            // 122: the coordinator is away. Asked again, it is the same build.
            assert!([0, 122].contains(&said.code), "build exits {}: {}", said.code, said.err);
            (said.code == 0).then_some(())
        });
        built.push(fingerprint);
    }
    built
}

/// Submits one change after the other and waits for each; the cars and their commits.
fn land(agent: &Agent, over: &AtomicBool) -> BTreeMap<String, String> {
    let mut landed = BTreeMap::new();
    while !over.load(Ordering::Relaxed) {
        let name = format!("work/{}", landed.len());
        agent.commit(&[(&name, "fine\n")], &name);
        let submitted = insist(agent, &["submit", "--json"]).exits(0).document();
        let car = submitted["data"]["id"].as_str().expect("a car").to_owned();
        let ended = insist(agent, &["gate", "wait", &car, "--wait", "30s", "--json"]);
        let ended = ended.exits(0).document();
        landed.insert(car, ended["data"]["commit"].as_str().expect("a commit").to_owned());
    }
    landed
}

#[test]
fn what_was_acknowledged_is_there_after_twenty_kills() {
    let mut random = Random(seed());
    let files = [("molt.toml", POLICY), ("work/begin", "fine\n")];
    let mut fleet = Fleet::new(&files, &["--heartbeat", "300ms"]);
    let mut host = fleet.host("h1");
    host.serve(2);
    let agents = ["ann", "bob", "tom", "bil", "lea"].map(|name| fleet.agent(name, &host));
    let [ann, bob, tom, bil, lea] = &agents;
    lea.run(&["claim", "work"]).exits(0);
    let count = fleet.path("count");
    let count = count.to_str().expect("a path of text");
    let over = AtomicBool::new(false);

    let (held, tasks, built, landed) = std::thread::scope(|scope| {
        let over = &over;
        let ann = scope.spawn(move || claim_and_release(ann, "a", over));
        let bob = scope.spawn(move || claim_and_release(bob, "b", over));
        let tom = scope.spawn(move || add_tasks(tom, over));
        let bil = scope.spawn(move || build(bil, count, over));
        let lea = scope.spawn(move || land(lea, over));
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..KILLS {
                // Long enough for a few commits, short enough to come between two steps of one.
                pause(Duration::from_millis(random.below(250)));
                fleet.coordinator.kill();
                fleet.coordinator.start();
            }
        }));
        over.store(true, Ordering::Relaxed);
        let ended = (
            [ann.join(), bob.join()].map(|client| client.expect("a client holds")),
            tom.join().expect("the task client holds"),
            bil.join().expect("the build client holds"),
            lea.join().expect("the train client holds"),
        );
        killed.expect("the coordinator starts again");
        ended
    });
    println!(
        "acknowledged: {} claims and releases, {} tasks, {} builds, {} landings",
        held.iter().map(|claims| claims.answers).sum::<u32>(),
        tasks.len(),
        built.len(),
        landed.len(),
    );

    for (agent, known) in [ann, bob].into_iter().zip(&held) {
        let status = agent.json(&["status"], 0);
        let claims = status["data"]["claims"].as_array().expect("claims").iter();
        let shown: Vec<Value> = claims.map(|claim| json!([claim["id"], claim["fence"]])).collect();
        assert_eq!(shown, known.held.clone().into_iter().collect::<Vec<_>>(), "{}", agent.name());
        assert_eq!(status["data"]["session"]["epoch"], 1, "no session was lost");
    }
    let listed = ann.json(&["task", "list"], 0);
    let listed = listed["data"]["tasks"].as_array().expect("tasks");
    let field = |task: &Value, name: &str| task[name].as_str().expect("text").to_owned();
    let shown: BTreeMap<String, String> =
        listed.iter().map(|task| (field(task, "title"), field(task, "id"))).collect();
    assert_eq!((shown, listed.len()), (tasks.clone(), tasks.len()), "each task exactly once");
    assert_eq!(lines(count.as_ref()), built, "each build ran exactly once");

    let events = fleet.coordinator.events.all();
    let of = |what: &str| {
        let events = events.iter().filter(|entry| entry["event"]["what"] == what);
        let cars = events.map(|entry| entry["event"]["car"].as_str().expect("a car").to_owned());
        let mut cars: Vec<String> = cars.collect();
        cars.sort();
        cars
    };
    let cars: Vec<String> = landed.keys().cloned().collect();
    assert_eq!(of("submitted"), cars, "each car exactly once");
    assert_eq!(of("landed"), cars, "each landed exactly once");
    let history = fleet.remote.history();
    for (car, commit) in &landed {
        let times = history.iter().filter(|landed| *landed == commit).count();
        assert_eq!(times, 1, "{car} is on the base once, as {commit}");
    }
    assert_eq!(history.len(), landed.len() + 1, "and nothing else is");
    let enough = !tasks.is_empty() && !built.is_empty() && !landed.is_empty();
    assert!(enough && held.iter().all(|claims| claims.answers > 0), "there was load of each kind");
    fleet.verify();
}
