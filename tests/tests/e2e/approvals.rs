//! What takes a person: changes of protected paths, and everything of a fork.

use std::collections::BTreeMap;

use molt_proto::credentials::{Credentials, Stub};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use serde_json::Value;

use super::identity::Ground;
use crate::harness::{Agent, Fleet, Host, git};

const POLICY: &str = r#"version = 1
[scope.src]
paths = ["src/**"]
[scope.tools]
paths = ["tools/**"]
[scope.docs]
paths = ["docs/**"]
[scope.policy]
paths = ["molt.toml"]
[gate.lint]
run = "sh tools/lint.sh"
timeout = "1m"
[merge]
required = ["lint", "scope"]
protect = ["tools/**"]
"#;

const BASE: [(&str, &str); 4] = [
    ("molt.toml", POLICY),
    ("tools/lint.sh", "! grep -rn TABS src\n"),
    ("src/a.c", "one\n"),
    ("docs/a.md", "a\n"),
];

fn fleet() -> (Fleet, Host) {
    let fleet = Fleet::new(&BASE, &["--heartbeat", "500ms"]);
    let mut host = fleet.host("h1");
    host.serve(2);
    (fleet, host)
}

/// Submits what is checked out; the id of its car.
#[track_caller]
fn submit(agent: &Agent) -> String {
    let car = agent.json(&["submit"], 0)["data"]["id"].as_str().expect("a car").to_owned();
    println!("{} submitted {car}", agent.name());
    car
}

/// Waits until a change is put aside for a person; why.
#[track_caller]
fn withheld(fleet: &Fleet, car: &str) -> Value {
    let entry = fleet
        .coordinator
        .events
        .wait("withheld", |event| event["what"] == "withheld" && event["car"] == car);
    entry["event"]["need"].clone()
}

#[track_caller]
fn landed(fleet: &Fleet, car: &str) {
    let is = |event: &Value| event["what"] == "landed" && event["car"] == car;
    fleet.coordinator.events.wait("landed", is);
}

/// The verbs that a person runs for a change.
#[track_caller]
fn approve(fleet: &Fleet, car: &str, more: &[&str], code: i32) -> String {
    let verb = [&["approve", car, "--reason", "I read it"], more].concat();
    let said = fleet.coordinator.run(&verb).exits(code);
    format!("{}{}", said.out, said.err)
}

#[test]
fn who_waits_for_a_landing_hears_at_once_that_a_person_must_approve() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "tools"], 0);
    let head = ann.commit(&[("tools/lint.sh", "! grep -rn SPACES src\n")], "another lint");
    // The wait is as long as no test may take.
    let told = ann.json(&["submit", "--wait", "2h"], 7);
    assert_eq!(told["code"], "approval-missing");
    let car = told["data"]["id"].as_str().expect("a car").to_owned();
    let command = format!("molt-coordinator approve {car} --head {} --reason WHY", &head[..10]);
    assert_eq!(told["data"]["approve"], command);
    assert_eq!(told["next"], serde_json::json!([format!("molt-agent gate wait {car} --wait 30m")]));
    approve(&fleet, &car, &["--head", &head[..10]], 0);
    ann.json(&["gate", "wait", &car, "--wait", "2m"], 0);
    landed(&fleet, &car);
    fleet.verify();
}

#[test]
fn a_change_of_protected_paths_waits_for_a_person_and_holds_nobody_up() {
    let (fleet, host) = fleet();
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "src", "tools"], 0);
    bob.json(&["claim", "docs"], 0);
    // A gate that would pass whatever the change does.
    let head = ann.commit(&[("tools/lint.sh", "true\n"), ("src/a.c", "TABS\n")], "quick");
    let car = submit(&ann);
    assert_eq!(withheld(&fleet, &car)["paths"], serde_json::json!(["tools/lint.sh"]));
    bob.commit(&[("docs/a.md", "b\n")], "docs");
    landed(&fleet, &submit(&bob));
    let candidates: Vec<String> = fleet
        .coordinator
        .events
        .all()
        .iter()
        .filter(|entry| entry["event"]["what"] == "candidate_made" && entry["event"]["car"] == *car)
        .map(|entry| entry["event"]["commit"].to_string())
        .collect();
    let ran = |entry: &Value| {
        let event = &entry["event"];
        event["what"] == "job_queued" && candidates.contains(&event["commit"].to_string())
    };
    assert!(!candidates.is_empty() && !fleet.coordinator.events.all().iter().any(ran));

    let shown = ann.json(&["gate", "show", &car], 7);
    assert_eq!(shown["code"], "approval-missing");
    let why = ann.run(&["why", &car]).exits(0).out;
    for words in [
        "is approval-missing",
        "it changes tools/lint.sh, which the policy protects",
        "a change of protected paths takes a person's approval of its head; others go ahead",
        "ask an operator to look at this head and approve it",
    ] {
        assert!(why.contains(words), "`{words}` is not in: {why}");
    }

    let before = fleet.coordinator.digest();
    let dry = approve(&fleet, &car, &["--dry-run"], 0);
    assert!(dry.contains(&format!("would approve  {car}  {head}")), "{dry}");
    assert!(dry.contains("quick of ann") && dry.contains("it changes tools/lint.sh"), "{dry}");
    let unknown = approve(&fleet, "car_zzzz", &[], 3);
    assert!(unknown.contains("no car `car_zzzz`"), "{unknown}");
    let other = approve(&fleet, &car, &["--head", "0123456789"], 9);
    assert!(other.contains(&format!("the head of {car} of ann is {head} by now")), "{other}");
    let empty = fleet.coordinator.run(&["approve", &car, "--reason", " "]).exits(2).err;
    assert!(empty.contains("reason: empty: say why"), "{empty}");
    assert_eq!(fleet.coordinator.digest(), before, "what is refused changes nothing");

    // A new head is another change, which nobody looked at.
    let head = ann.commit(&[("tools/lint.sh", "! grep -rn SPACES src\n")], "slower");
    let next = submit(&ann);
    withheld(&fleet, &next);
    let old = approve(&fleet, &car, &[], 9);
    assert!(old.contains(&format!("the head of {car} of ann is {head} by now")), "{old}");
    let said = approve(&fleet, &next, &["--head", &head[..12]], 0);
    assert!(said.contains(&format!("approved  {next}  {head}  (I read it)")), "{said}");
    landed(&fleet, &next);
    let late = approve(&fleet, &next, &[], 7);
    assert!(late.contains(&format!("{next} is landed: nothing is left to approve")), "{late}");
    let late = approve(&fleet, &next, &["--dry-run"], 7);
    assert!(late.contains("nothing is left to approve"), "{late}");
    fleet.verify();
}

#[test]
fn both_sides_of_a_rename_are_protected_and_so_is_the_policy() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "src", "tools", "policy"], 0);
    // What is done to the tree, and the path of it that is protected.
    let table: [(&[&str], &str); 2] = [
        (&["mv", "tools/lint.sh", "src/lint.sh"], "tools/lint.sh"),
        (&["mv", "src/a.c", "tools/a.c"], "tools/a.c"),
    ];
    for (change, path) in table {
        git(ann.worktree(), &["fetch", "--quiet", "origin"]);
        git(ann.worktree(), &["checkout", "--quiet", "--detach", "origin/main"]);
        git(ann.worktree(), change);
        ann.commit_on_top(&[], "move");
        let car = submit(&ann);
        assert_eq!(withheld(&fleet, &car)["paths"], serde_json::json!([path]));
        assert_eq!(ann.json(&["gate", "show", &car], 7)["code"], "approval-missing");
    }

    // The policy takes a person whether it says so or not, and then rules what comes next.
    let looser = POLICY.replace("protect = [\"tools/**\"]", "protect = []");
    let policy = ann.commit(&[("molt.toml", looser.as_str())], "protect nothing");
    let car = submit(&ann);
    assert_eq!(withheld(&fleet, &car)["paths"], serde_json::json!(["molt.toml"]));
    assert_eq!(ann.json(&["gate", "show", &car], 7)["code"], "policy-change");
    approve(&fleet, &car, &["--head", &policy], 0);
    landed(&fleet, &car);
    ann.commit(&[("tools/lint.sh", "! grep -rn SPACES src\n")], "free now");
    landed(&fleet, &submit(&ann));
    fleet.verify();
}

/// A bot that proposes heads of forks over the wire, as a forge's bot does.
struct Bot {
    caller: v1::Caller,
}

impl Bot {
    async fn join(stub: &mut Stub, repo: &str) -> Self {
        let secret = "5e".repeat(32);
        let join = v1::Join {
            repo: repo.to_owned(),
            name: "pulls".to_owned(),
            host: "forge".to_owned(),
            root: Some(v1::Root { pid: 0, start: 0 }),
            worktree: "/nowhere".to_owned(),
            secret: secret.clone(),
        };
        let command = v1::Command { caller: None, number: 0, verb: Some(Verb::Join(join)) };
        let reply = stub.act(command).await.expect("it joins").into_inner();
        let Some(v1::reply::Answer::Session(session)) = reply.answer else { panic!("{reply:?}") };
        let credentials = v1::Credentials { session: session.id, secret, epoch: session.epoch };
        Self { caller: v1::Caller { who: Some(v1::caller::Who::Session(credentials)) } }
    }

    async fn submit(&self, stub: &mut Stub, head: &str, fork: &str) -> String {
        let (title, body) = ("from outside".to_owned(), String::new());
        let verb =
            Verb::Submit(v1::Submit { head: head.to_owned(), title, body, fork: fork.to_owned() });
        let command =
            v1::Command { caller: Some(self.caller.clone()), number: 0, verb: Some(verb) };
        let reply = stub.act(command).await.expect("it is taken").into_inner();
        let Some(v1::reply::Answer::Submitted(place)) = reply.answer else { panic!("{reply:?}") };
        place.id
    }
}

#[test]
fn nothing_of_a_fork_is_merged_or_run_before_a_person_approved_it() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    // The head of somebody who holds no claim here, brought by the forge's bot.
    let head = ann.commit(&[("src/b.c", "two\n")], "from outside");
    git(ann.worktree(), &["push", "--quiet", "origin", "HEAD:refs/molt/changes/pull-7"]);
    let address = format!("http://{}", fleet.coordinator.address());
    let car = block_on(async {
        let credentials = Credentials::find(|_| None, |_| None).expect("none");
        let endpoint = credentials.endpoint(&address).expect("an address");
        let mut stub = credentials.stub(endpoint.connect_lazy());
        let bot = Bot::join(&mut stub, "main").await;
        let car = bot.submit(&mut stub, &head, "eve/molt").await;
        assert_eq!(bot.submit(&mut stub, &head, "eve/molt").await, car, "asked twice, one change");
        car
    });
    assert_eq!(withheld(&fleet, &car)["takes"], "fork");
    // Somebody else's change passes it by, and the train has seen it since.
    ann.json(&["claim", "docs"], 0);
    ann.commit(&[("docs/a.md", "b\n")], "docs");
    landed(&fleet, &submit(&ann));
    let of_fork = |entry: &Value| entry["event"]["car"] == *car;
    let told: Vec<Value> = fleet.coordinator.events.all();
    let told: Vec<&Value> = told.iter().filter(|&entry| of_fork(entry)).collect();
    let what: Vec<&str> = told.iter().filter_map(|entry| entry["event"]["what"].as_str()).collect();
    assert_eq!(what, ["submitted", "withheld"]);
    let refs = git(fleet.remote.path(), &["for-each-ref", &format!("refs/molt/train/{car}-*")]);
    assert_eq!(refs, "", "no candidate of it is anywhere");

    let dry = approve(&fleet, &car, &["--dry-run"], 0);
    assert!(
        dry.contains("it comes from a fork") && dry.contains("from the fork eve/molt"),
        "{dry}"
    );
    approve(&fleet, &car, &["--head", &head], 0);
    landed(&fleet, &car);
    let approved = fleet.coordinator.events.wait("approved", |event| {
        event["what"] == "approved" && event["car"] == *car && event["head"] == *head
    });
    assert!(approved["actor"]["operator"].is_string(), "{approved}");
    fleet.verify();
}

#[test]
fn a_person_alone_approves() {
    let ground = Ground::with(&POLICY.replace("sh tools/lint.sh", "true"));
    let work = ground.path("work");
    std::fs::create_dir_all(work.join("src")).expect("a folder");
    std::fs::write(work.join("src/b.c"), "two\n").expect("a file");
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "--message", "from outside"]);
    git(&work, &["push", "--quiet", "origin", "HEAD:refs/molt/changes/pull-7"]);
    let head = git(&work, &["rev-parse", "HEAD"]);
    let car = ground.ask_as("bot-ci", async |mut stub| {
        let bot = Bot::join(&mut stub, "main").await;
        bot.submit(&mut stub, &head, "https://example.com/eve/molt.git").await
    });
    let before = ground.digest();
    let verb = ["approve", car.as_str(), "--reason", "I read it"];
    for stem in ["agent-ann", "bot-ci", "host-h1", "viewer-eve"] {
        // Who may not even ask in an operator's name is told so at the first question.
        let words = format!("as {} needs the role operator", stem.replace('-', " "));
        Ground::refused(ground.run(&ground.certificate(stem), &verb), 8, &[&words]);
        let code = ground.ask_as(stem, async |mut stub| {
            let who = v1::caller::Who::Operator("ops".to_owned());
            let (car, head, reason) = (car.clone(), head.clone(), "mine".to_owned());
            let verb =
                Some(Verb::Approve(v1::Approve { car, head, reason, ..v1::Approve::default() }));
            let caller = Some(v1::Caller { who: Some(who) });
            stub.act(v1::Command { caller, number: 0, verb }).await.expect_err("a refusal").code()
        });
        assert_eq!(code, tonic::Code::PermissionDenied, "{stem}");
    }
    assert_eq!(ground.digest(), before);
    let operator = ground.certificate("operator-ops");
    ground.run(&operator, &verb).exits(0);
    assert_ne!(ground.digest(), before);
    ground.run(&operator, &["audit", "export", "audit.jsonl"]).exits(0);
    let audit = std::fs::read_to_string(ground.path("audit.jsonl")).expect("the audit");
    let entries: Vec<Value> =
        audit.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let by: BTreeMap<String, Value> = entries
        .iter()
        .filter(|entry| entry["event"]["car"] == *car)
        .map(|entry| (entry["event"]["what"].to_string(), entry["actor"].clone()))
        .collect();
    assert_eq!(by["\"approved\""], serde_json::json!({"operator": "ops"}));
    assert_eq!(by["\"submitted\""]["session"]["by"], "ci");
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}
