//! When claims lapse without a word of their holder: only after somebody looked for signs of life.

use std::fs::File;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Agent, Fleet, Signal, command, send, until, write};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n[pool.cargo]\nslots = 1\n";

/// A session's life within seconds. What was seen in a file is worth something for longer than the
/// grace, so that it is looked at when that ends.
const SPANS: [&str; 16] = [
    "--heartbeat",
    "200ms",
    "--session-ttl",
    "3s",
    "--margin",
    "1s",
    "--kill-grace",
    "500ms",
    "--delay",
    "2s",
    "--leader-ttl",
    "2s",
    "--grace",
    "4s",
    "--fresh",
    "9s",
];

fn fleet(more: &[&str]) -> Fleet {
    let files = [("molt.toml", POLICY), ("docs/a.md", "a\n"), ("src/a.c", "a\n")];
    Fleet::new(&files, &[&SPANS, more].concat())
}

/// Something that writes `line` into `file` of a folder, again and again until the file `end` is
/// there.
fn writes(file: &str, end: &str) -> String {
    format!("until [ -e '{end}' ]; do echo working | tee -a '{file}'; sleep 0.05; done")
}

fn is(what: &str) -> impl Fn(&Value) -> bool + '_ {
    move |event| event["what"] == what
}

/// The file whose lock a command of an agent has while it changes the session.
fn session_lock(agent: &Agent) -> PathBuf {
    let folder = agent.worktree().join(".git/molt/sessions");
    let entries = folder.read_dir().expect("session files");
    let mut paths = entries.map(|entry| entry.expect("a session file").path());
    paths.find(|path| path.extension().is_some_and(|it| it == "lock")).expect("a lock of a session")
}

#[test]
fn a_living_root_and_its_run_keep_what_a_lost_session_has() {
    let fleet = fleet(&[]);
    let (mut home, other) = (fleet.host("h1"), fleet.host("h2"));
    home.serve(0);
    let (ann, bob) = (fleet.agent("ann", &home), fleet.agent("bob", &other));
    let granted = ann.json(&["claim", "src"], 0);
    let (log, end) = (fleet.path("work.log"), fleet.path("end"));
    let work = writes(&log.to_string_lossy(), &end.to_string_lossy());
    let run = ann.start(&["slot", "run", "cargo", "--", "sh", "-c", &work]);
    home.run_under_way("slot");
    let wait = bob.start(&["claim", "src", "--wait", "2m", "--json"]);
    let events = &fleet.coordinator.events;
    events.wait("bob waits", is("queued"));

    // The host is cut off for longer than a session lives, and a command of ann's that hangs keeps
    // the daemon from bringing the session back.
    let hanging = File::open(session_lock(&ann)).expect("the lock's file");
    hanging.lock().expect("the lock");
    let daemon = home.daemon_pid().expect("a daemon is at work");
    send(daemon, Signal::SIGSTOP);
    let lost = events.wait("ann is lost", is("lost"));
    assert_eq!(
        (&lost["event"]["name"], &lost["event"]["cause"]),
        (&json!("ann"), &json!("silence"))
    );
    send(daemon, Signal::SIGCONT);
    let extended = events.wait("there are signs of life", is("grace_extended"));
    assert_eq!(extended["event"]["signs"], json!(["root", "run", "log"]), "{extended}");

    let evidence = "there is a living process, a run or lock, a growing log";
    let why = bob.run(&["why", "ann"]).exits(0).out;
    assert!(why.contains(&format!(": {evidence}")), "{why}");
    let status = bob.run(&["status", "--fleet"]).exits(0).out;
    let line = status.lines().find(|line| line.starts_with("agent    ann  h1  lost"));
    assert!(line.is_some_and(|line| line.ends_with(evidence)), "{status}");
    let told = bob.json(&["inbox", "--peek"], 0)["data"]["messages"].to_string();
    assert!(told.contains("ann was lost, but there is a living process"), "{told}");

    // Somebody ends what hangs: the session is back with all that it had.
    drop(hanging);
    events.wait("ann is back", is("resumed"));
    let kept = ann.json(&["status"], 0)["data"]["claims"][0].clone();
    assert_eq!((&kept["id"], &kept["state"]), (&granted["data"]["id"], &json!("held")));
    assert_eq!(kept["fence"], granted["data"]["fence"]);
    write(&fleet.path(""), "end", "");
    run.end().exits(0);
    ann.json(&["release"], 0);
    wait.end().exits(0);
    fleet.verify();
}

#[test]
fn files_that_change_in_its_scopes_keep_what_a_dead_agent_has_and_nothing_else_does() {
    let fleet = fleet(&[]);
    let (home, other) = (fleet.host("h1"), fleet.host("h2"));
    let (mut ann, bob) = (fleet.agent("ann", &home), fleet.agent("bob", &other));
    let mut cyd = fleet.agent("cyd", &home);
    ann.json(&["claim", "docs"], 0);
    cyd.json(&["claim", "src"], 0);
    let [docs, src] =
        ["docs", "src"].map(|scope| bob.start(&["claim", scope, "--wait", "2m", "--json"]));
    let events = &fleet.coordinator.events;
    for scope in ["docs", "src"] {
        events.wait("bob waits for both", |event| {
            event["what"] == "queued" && event["scopes"] == json!([scope])
        });
    }
    // Both programs die. What one of them started goes on with the work in the claimed paths, what
    // the other one did writes elsewhere.
    let end = fleet.path("end");
    let work = |agent: &Agent, file: &str| {
        let mut sh = command("sh", agent.worktree());
        sh.current_dir(agent.worktree()).args(["-c", &writes(file, &end.to_string_lossy())]);
        crate::harness::Running::start(sh, &home.logs())
    };
    let (goes_on, beside) = (work(&ann, "docs/a.md"), work(&cyd, "docs/a.md"));
    ann.root.kill();
    cyd.root.kill();

    src.end().exits(0);
    let extended = events.wait("there are signs of life", is("grace_extended"));
    assert_eq!(extended["event"]["name"], "ann");
    assert_eq!(extended["event"]["signs"], json!(["files"]));
    let why = bob.run(&["why", "ann"]).exits(0).out;
    assert!(why.contains(": there is changed files"), "{why}");

    // The work comes to its end, and so does the claim.
    write(&fleet.path(""), "end", "");
    goes_on.end().exits(0);
    beside.end().exits(0);
    docs.end().exits(0);
    let lapsed = events.all().into_iter().filter(|entry| entry["event"]["what"] == "lapsed");
    let reasons: Vec<String> = lapsed.map(|entry| entry["event"]["reason"].to_string()).collect();
    let looked = "none was seen: a living process, a run or lock, a growing log, changed files";
    assert!(reasons.len() == 2 && reasons.iter().all(|it| it.contains(looked)), "{reasons:?}");
    let cyds =
        |entry: &Value| is("grace_extended")(&entry["event"]) && entry["event"]["name"] == "cyd";
    assert!(!events.all().iter().any(cyds), "what is beside its scopes tells nothing");
    fleet.verify();
}

#[test]
fn an_idle_holder_is_asked_and_keeps_its_claim_by_any_command() {
    let fleet = fleet(&["--idle", "1s", "--answer", "6s"]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let granted = ann.json(&["claim", "docs"], 0);
    let wait = bob.start(&["claim", "docs", "--wait", "2m", "--json"]);
    let events = &fleet.coordinator.events;
    let asked = events.wait("ann is asked", is("idle_asked"));
    assert_eq!(asked["event"]["claim"], granted["data"]["id"]);

    // To look is an answer.
    let prime = ann.run(&["prime"]).exits(0).out;
    assert!(prime.contains("\ninbox    1 unread  molt-agent inbox\n"), "{prime}");
    let settled = events.wait("the question is settled", is("idle_settled"));
    assert_eq!(settled["event"]["claim"], granted["data"]["id"]);
    let told = ann.json(&["inbox"], 0)["data"]["messages"].to_string();
    assert!(told.contains("on docs was idle for 1 s and somebody waits"), "{told}");
    let kept = ann.json(&["status"], 0)["data"]["claims"][0].clone();
    assert_eq!(kept["fence"], granted["data"]["fence"]);

    // From here on ann lives, and does nothing.
    let mark = events.mark();
    events.wait_from(mark, "ann is asked again", is("idle_asked"));
    let taken = wait.end().exits(0).document();
    assert_eq!(taken["code"], "granted");
    let lapsed = events.wait_from(mark, "the claim lapsed", is("lapsed"));
    assert_eq!(lapsed["event"]["claim"], granted["data"]["id"]);
    let lost = events.all().iter().any(|entry| entry["event"]["what"] == "lost");
    assert!(!lost, "ann was there all the time");
    let told = ann.json(&["inbox"], 0)["data"]["messages"].to_string();
    assert!(told.contains("is over: it was idle"), "{told}");
    ann.json(&["claim", "docs"], 4);
    fleet.verify();
}

#[test]
fn a_run_of_its_keeps_the_claim_of_a_holder_that_says_nothing() {
    let fleet = fleet(&["--idle", "1s", "--answer", "1s"]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "src"], 0);
    let end = fleet.path("end");
    let work = writes("/dev/null", &end.to_string_lossy());
    let job = ann.run(&["job", "run", "--", "sh", "-c", &work]).exits(0).out;
    let wait = bob.start(&["claim", "src", "--wait", "2m", "--json"]);
    let events = &fleet.coordinator.events;
    let queued = events.wait("bob waits", is("queued"));
    let cyd = fleet.agent("cyd", &host);
    let later = queued["at"].as_u64().expect("a board time") + 5_000;
    until("it was silent for longer than an idle claim lasts", || {
        cyd.json(&["claim", "docs"], 0);
        cyd.json(&["release"], 0);
        let last = events.all().pop().expect("something happened");
        (last["at"].as_u64() > Some(later)).then_some(())
    });
    let lapsed = events.all().iter().any(|entry| entry["event"]["what"] == "lapsed");
    assert!(!lapsed, "{job}");
    write(&fleet.path(""), "end", "");
    wait.end().exits(0);
    fleet.verify();
}
