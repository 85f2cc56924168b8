//! Incidents of real fleets, by their numbers: each has exactly one named test.
//!
//! A number is shown here, or where the room that it belongs to shows it already; [`SCENARIOS`]
//! says where, and that the test is there. All are real processes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{
    Agent, Fleet, Running, Signal, command, is_alive, lines, pause, send, until, write,
};

/// A number, what happened once, and the file and name of the test that shows what happens now.
type Scenario = (u8, &'static str, &'static str, &'static str);

const SCENARIOS: [Scenario; 12] = [
    (
        4,
        "an agent dies while it holds something",
        "tests/tests/e2e/locks.rs",
        "an_agent_that_dies_leaves_nothing_of_its_run_behind",
    ),
    (
        5,
        "the process number of a dead holder is given to another program",
        "tests/tests/e2e/scenarios.rs",
        "s05_a_process_number_that_was_given_again_is_left_alone",
    ),
    (
        6,
        "an agent is silent for hours, and works",
        "tests/tests/e2e/scenarios.rs",
        "s06_who_is_silent_but_works_keeps_what_it_has",
    ),
    (
        7,
        "two take the same in the same second, and one asks again after an answer was lost",
        "tests/tests/e2e/scenarios.rs",
        "s07_of_two_at_once_one_has_it_and_asking_again_is_no_second_time",
    ),
    (
        8,
        "a holder wakes after its work went to somebody else, and says that it is complete",
        "tests/tests/e2e/reports.rs",
        "whoever_wakes_after_its_task_went_on_is_refused_and_heard",
    ),
    (
        9,
        "a folder is claimed over somebody's file, and a page that everybody writes by two",
        "tests/tests/e2e/scenarios.rs",
        "s09_whoever_is_in_the_way_is_shown_with_its_age_and_its_end",
    ),
    (
        10,
        "a ledger and an agent use a word for an end that nobody knows",
        "tests/tests/e2e/scenarios.rs",
        "s10_a_word_that_nobody_knows_is_never_passed_over",
    ),
    (
        11,
        "a ledger has a byte-order mark, UTF-16, CRLF and everything twice",
        "tests/tests/e2e/scenarios.rs",
        "s11_a_ledger_however_it_is_written_is_imported_once",
    ),
    (
        20,
        "whoever began a job is gone, and its log is read on another machine",
        "tests/tests/e2e/logs.rs",
        "a_job_s_log_is_read_from_a_host_that_does_not_run_it",
    ),
    (
        21,
        "the working tree changes while it is built",
        "tests/tests/e2e/scenarios.rs",
        "s21_what_is_built_of_a_tree_that_changes_is_nobody_elses",
    ),
    (
        26,
        "the coordinator is killed in the middle of a write",
        "tests/tests/e2e/crash.rs",
        "what_was_acknowledged_is_there_after_twenty_kills",
    ),
    (
        27,
        "the coordinator cannot be reached",
        "tests/tests/e2e/scenarios.rs",
        "s27_without_a_coordinator_nothing_is_taken_and_what_runs_is_settled_later",
    ),
];

#[test]
fn each_number_has_exactly_one_named_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (number, what, file, test) in SCENARIOS {
        let text = fs::read_to_string(root.join(file)).expect("a file of tests");
        let named = text.matches(&format!("#[test]\nfn {test}()")).count();
        assert_eq!(named, 1, "{number}, {what}: `{test}` in {file}");
    }
    let own = fs::read_to_string(root.join("tests/tests/e2e/scenarios.rs")).expect("this file");
    let numbered = own.lines().filter(|line| line.starts_with("fn s") && line.ends_with("() {"));
    for line in numbered.filter(|line| line.as_bytes()[4].is_ascii_digit()) {
        let name = line.trim_start_matches("fn ").trim_end_matches("() {");
        let listed = SCENARIOS.iter().filter(|(_, _, _, test)| *test == name).count();
        assert_eq!(listed, 1, "`{name}` is of no number");
    }
}

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n\
                      [scope.board]\npaths = [\"STATUS.md\"]\nmax = \"10m\"\n\
                      [pool.cargo]\nslots = 1\n";

/// All of a session's and a lock's life within seconds.
const SPANS: [&str; 14] = [
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
    "1s",
];

fn fleet() -> Fleet {
    Fleet::new(&[("molt.toml", POLICY), ("docs/a.md", "a\n"), ("src/a.c", "a\n")], &SPANS)
}

#[test]
fn s05_a_process_number_that_was_given_again_is_left_alone() {
    let fleet = fleet();
    let mut host = fleet.host("h1");
    host.serve(0);
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let wrapper = ann.start(&["lock", "run", "diff", "--", "sleep", "600"]);
    let (supervisor, child) = host.run_under_way("lock");
    let run = host.runs().pop().expect("the run has a folder");

    // The whole run dies while nobody looks, and another program gets its numbers.
    host.kill_daemon();
    wrapper.signal(Signal::SIGKILL);
    drop(wrapper.end());
    for pid in [supervisor, child] {
        send(pid, Signal::SIGKILL);
        until("it is gone", || (!is_alive(pid)).then_some(()));
    }
    let mut sleep = command("sleep", &fleet.path(""));
    sleep.arg("600");
    let bystander = Running::start(sleep, &host.logs());
    let record = run.join("supervisor.json");
    let text = fs::read_to_string(&record).expect("the run's record");
    let mut record_now: Value = serde_json::from_str(&text).expect("JSON");
    for who in ["supervisor", "child"] {
        assert!(record_now[who]["pid"].is_i64(), "{text}");
        record_now[who]["pid"] = json!(bystander.pid());
    }
    fs::write(&record, record_now.to_string()).expect("the record");

    host.serve(0);
    bob.run(&["lock", "run", "diff", "--wait", "30s", "--", "echo", "mine"]).exits(0);
    assert!(is_alive(bystander.pid()), "another program was taken for the dead holder");
    fleet.verify();
}

#[test]
fn s06_who_is_silent_but_works_keeps_what_it_has() {
    let fleet = fleet();
    let mut host = fleet.host("h1");
    host.serve(0);
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let granted = ann.json(&["claim", "src"], 0);
    let log = fleet.path("work.log");
    let work = format!("while :; do echo working >>'{}'; sleep 0.05; done", log.display());
    let job = ann.run(&["job", "run", "--json", "--", "sh", "-c", &work]).exits(0).document();

    // From here on the agent runs no verb. Its program lives, and what it started writes.
    let board_time = || {
        bob.json(&["claim", "docs"], 0);
        bob.json(&["release"], 0);
        let last = fleet.coordinator.events.all().pop().expect("something happened");
        last["at"].as_u64().expect("a board time")
    };
    let (first, all_of_its_life) = (board_time(), 3000 + 1000);
    until("it has been silent for longer than a session lives by itself", || {
        (board_time() > first + all_of_its_life).then_some(())
    });
    let refused = bob.json(&["claim", "src"], 4);
    assert_eq!(refused["data"]["holder"], "ann");
    let why = refused["data"]["why"].as_str().expect("an id").to_owned();
    let evidence = bob.run(&["why", &why]).exits(0).out;
    assert!(evidence.contains("ann") && evidence.contains("seen "), "{evidence}");
    assert!(lines(&log).len() > 10, "it works");
    let lost = fleet.coordinator.events.all().into_iter().any(|it| it["event"]["what"] == "lost");
    assert!(!lost, "a living program was taken for a dead one");
    let status = ann.json(&["status"], 0);
    assert_eq!(status["data"]["claims"][0]["fence"], granted["data"]["fence"]);
    ann.run(&["job", "stop", job["data"]["run"].as_str().expect("a run")]).exits(0);
}

#[test]
fn s07_of_two_at_once_one_has_it_and_asking_again_is_no_second_time() {
    let fleet = fleet();
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["join"], 0);
    bob.json(&["join"], 0);

    // The service takes what it is sent, and answers nobody: both callers are gone by then.
    send(fleet.coordinator.pid(), Signal::SIGSTOP);
    let asked = [&ann, &bob].map(|agent| agent.start(&["claim", "src", "--json"]));
    until("both have written down what they ask", || {
        [&ann, &bob].iter().all(|agent| is_pending(agent)).then_some(())
    });
    pause(std::time::Duration::from_millis(200));
    for running in asked {
        running.signal(Signal::SIGKILL);
        assert_eq!(running.end().code, 137, "it had no answer");
    }
    send(fleet.coordinator.pid(), Signal::SIGCONT);

    let again = [&ann, &bob].map(|agent| agent.run(&["claim", "src", "--json"]));
    let mut codes = again.each_ref().map(|said| said.code);
    codes.sort_unstable();
    assert_eq!(codes, [0, 4], "exactly one has it: {again:?}");
    let winner = if again[0].code == 0 { &ann } else { &bob };
    let had = again.iter().find(|said| said.code == 0).expect("one has it").document();
    let once_more = winner.json(&["claim", "src"], 0);
    assert_eq!(once_more["data"]["fence"], had["data"]["fence"], "asking again takes nothing new");
    let granted = fleet.coordinator.events.all().into_iter();
    let granted = granted.filter(|entry| entry["event"]["what"] == "claimed").count();
    assert_eq!(granted, 1, "it was granted once");
    fleet.verify();
}

/// Whether the agent's session file has a request that is on its way.
fn is_pending(agent: &Agent) -> bool {
    let folder = agent.worktree().join(".git/molt/sessions");
    let files = fs::read_dir(folder).expect("session files").filter_map(Result::ok);
    let is_session = |path: &PathBuf| path.extension().is_some_and(|it| it == "json");
    files.map(|entry| entry.path()).filter(is_session).any(|path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let record: Value = serde_json::from_str(&text).unwrap_or_default();
        !record["pending"].is_null()
    })
}

/// A row of a ledger that is kept by hand.
fn row(lane: &str, utc: &str, status: &str) -> Value {
    json!({ "lane": lane, "agent": "codex/x", "utc": utc, "status": status, "note": "as it was" })
}

#[test]
fn s09_whoever_is_in_the_way_is_shown_with_its_age_and_its_end() {
    let fleet = fleet();
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "--path", "docs/a.md"], 0);
    let folder = bob.json(&["claim", "docs"], 4);
    assert_eq!(folder["data"]["holder"], "ann", "{folder}");
    assert_eq!(folder["data"]["obstacle"]["conflict"]["witness"], "docs/a.md", "{folder}");
    assert!(folder["data"]["seen"].is_u64(), "when it was heard of: {folder}");

    // Of a page that everybody writes the policy allows a short while at a time.
    ann.json(&["claim", "board"], 0);
    let page = bob.json(&["claim", "board"], 4);
    assert!(page["data"]["until"].is_u64(), "until when: {page}");
    assert_eq!(page["next"][0], "molt-agent claim board --wait 15m", "{page}");
    ann.run(&["release", "board"]).exits(0);
    bob.json(&["claim", "board"], 0);
    fleet.verify();
}

#[test]
fn s10_a_word_that_nobody_knows_is_never_passed_over() {
    let fleet = fleet();
    let host = fleet.host("h1");
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "docs"], 0);
    let refused = ann.json(&["release", "--outcome", "DROPPED"], 2);
    let message = refused["data"]["message"].as_str().expect("words");
    assert!(message.contains("dropped"), "the word that is meant is said: {message}");
    assert_eq!(ann.json(&["status"], 0)["data"]["claims"][0]["scopes"], json!(["docs"]));
    ann.json(&["release", "--outcome", "dropped"], 0);

    let rows = json!([
        row("GC", "2026-07-11T17:20:00Z", "DROPPED"),
        row("JIT", "2026-07-11T17:21:00Z", "DROPED"),
        row("VM", "2026-07-11T17:22:00Z", "CLAIMED"),
    ]);
    write(ann.worktree(), "ledger.json", &rows.to_string());
    let imported = ann.json(&["task", "import", "ledger.json"], 0);
    let remarks = format!("{} {}", imported["data"]["skipped"], imported["data"]["notes"]);
    for (lane, what) in [("GC", "an end that is known"), ("JIT", "a word that is not")] {
        assert!(remarks.contains(lane), "{what} is said: {remarks}");
    }
    assert!(remarks.to_lowercase().contains("dropped"), "with the nearest: {remarks}");
    let tasks = ann.json(&["task", "list"], 0)["data"]["tasks"].to_string();
    assert!(tasks.contains("VM") && tasks.contains("JIT"), "no end is guessed: {tasks}");
    assert!(!tasks.contains("GC"), "what is over is no task: {tasks}");
}

#[test]
fn s11_a_ledger_however_it_is_written_is_imported_once() {
    let fleet = fleet();
    let host = fleet.host("h1");
    let ann = fleet.agent("ann", &host);
    let rows = [
        row("GC", "2026-07-11T17:20:00Z", "CLAIMED"),
        row("VM", "2026-07-11T17:21:00Z", "PROGRESS"),
        row("GC", "2026-07-11T17:20:00Z", "CLAIMED"),
    ];
    let text = serde_json::to_string_pretty(&rows).expect("rows").replace('\n', "\r\n");
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let marked = format!("\u{feff}{text}");
    let titles = |document: &Value| document["data"]["tasks"].as_array().map_or(0, Vec::len);
    for (name, bytes) in [("utf16.json", utf16), ("marked.json", marked.into_bytes())] {
        fs::write(ann.worktree().join(name), bytes).expect("a ledger");
        let said = ann.json(&["task", "import", name, "--format", "ledger"], 0);
        let skipped = said["data"]["skipped"].to_string();
        assert!(skipped.contains("repeats"), "what is there twice is said: {skipped}");
        assert_eq!(titles(&ann.json(&["task", "list"], 0)), 2, "each once");
    }
}

/// Says that it runs, waits for its signal, and makes a report and `out` of the tree.
const BUILD: &str = r#"echo "$MOLT_RUN_ID $(cat src/a.c)" >>"$1"
until [ -e "$1.go" ]; do sleep 0.02; done
echo made >report
cat src/a.c >out
"#;

#[test]
fn s21_what_is_built_of_a_tree_that_changes_is_nobody_elses() {
    let files = [("molt.toml", POLICY), ("src/a.c", "one\n"), ("build.sh", BUILD)];
    let fleet = Fleet::new(&[files.as_slice(), &[(".gitignore", "out\n")]].concat(), &[]);
    let mut host = fleet.host("h1");
    host.serve(0);
    let [ann, bob, cyd] = ["ann", "bob", "cyd"].map(|name| fleet.agent(name, &host));
    let build = |agent: &Agent, count: &Path| {
        let count = count.to_str().expect("a path of text");
        let asked = ["build", "app", "--place", "all", "--artifact", "out", "--wait", "30s"];
        agent.start(&[asked.as_slice(), &["--", "sh", "build.sh", count]].concat())
    };
    let ran = |count: &Path| lines(count).len();
    let out = |agent: &Agent| fs::read_to_string(agent.worktree().join("out")).expect("made");

    // Bob waits for what ann builds, and ann goes on editing.
    let count = fleet.path("count");
    let anns = build(&ann, &count);
    until("ann builds", || (ran(&count) == 1).then_some(()));
    let mark = fleet.coordinator.events.mark();
    let bobs = build(&bob, &count);
    fleet.coordinator.events.wait_from(mark, "bob waits", |event| event["what"] == "waits");
    write(ann.worktree(), "src/a.c", "two\n");
    write(&fleet.path(""), "count.go", "");
    let told = anns.end().exits(0);
    assert!(told.err.contains("not shared: src/a.c changed during the run"), "{}", told.err);
    bobs.end().exits(0);
    assert_eq!((ran(&count), out(&ann), out(&bob)), (2, "two\n".into(), "one\n".into()));
    build(&cyd, &count).end().exits(0);
    assert_eq!(
        (ran(&count), out(&cyd)),
        (2, "one\n".into()),
        "what the build itself makes is no change"
    );

    // The record of the run has it, with how the tree was before and after.
    let first = lines(&count).remove(0);
    let run = first.split(' ').next().expect("the id of a run").to_owned();
    let folder = host.runs().into_iter().find(|path| path.ends_with(&run)).expect("its folder");
    let text = fs::read_to_string(folder.join("exit.json")).expect("the run's record");
    let record: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(record["status"]["exited"], 0, "{record}");
    assert_eq!(record["facts"]["dirty"], "", "{record}");
    assert_eq!(record["sources"]["paths"], json!(["src/a.c"]), "{record}");
    assert!(record["sources"]["state"]["dirty"].is_string(), "{record}");

    // Nor is it shared when the wrapper is gone and somebody else gives the build back.
    for agent in [&ann, &bob] {
        agent.commit(&[("src/a.c", "three\n")], "the next");
    }
    let count = fleet.path("again");
    let wrapper = build(&ann, &count);
    until("ann builds", || (ran(&count) == 1).then_some(()));
    wrapper.signal(Signal::SIGKILL);
    drop(wrapper.end());
    write(ann.worktree(), "src/a.c", "four\n");
    write(&fleet.path(""), "again.go", "");
    build(&bob, &count).end().exits(0);
    assert_eq!((ran(&count), out(&bob)), (2, "three\n".into()));
    fleet.verify();
}

#[test]
fn s27_without_a_coordinator_nothing_is_taken_and_what_runs_is_settled_later() {
    let mut fleet = fleet();
    let mut host = fleet.host("h1");
    host.serve(0);
    let [ann, bob, cyd] = ["ann", "bob", "cyd"].map(|name| fleet.agent(name, &host));
    let go = fleet.path("go");
    let script = format!("echo begun; until [ -e '{}' ]; do sleep 0.02; done", go.display());
    let slot = ann.start(&["slot", "run", "cargo", "--", "sh", "-c", &script]);
    let lock = bob.start(&["lock", "run", "diff", "--", "sleep", "600"]);
    until("both run", || {
        let under_way =
            host.runs().iter().filter(|run| run.join("supervisor.json").exists()).count();
        (under_way == 2).then_some(())
    });
    fleet.coordinator.kill();

    // Nothing is taken on one's own word: no other host would know.
    let ran = fleet.path("ran");
    let touch = ran.to_str().expect("a path of text");
    let away =
        cyd.run(&["lock", "run", "other", "--wait", "300ms", "--", "touch", touch]).exits(122);
    assert!(away.err.contains("coordinator"), "{}", away.err);
    assert!(!ran.exists());
    let lost = lock.end();
    assert_eq!(lost.code, 121, "stopped before anybody else can have it: {}", lost.err);
    assert!(is_alive(slot.pid()), "a slot is the machine's own");

    fleet.coordinator.start();
    write(&fleet.path(""), "go", "");
    slot.end().exits(0);
    cyd.run(&["lock", "run", "diff", "--wait", "30s", "--", "touch", touch]).exits(0);
    assert!(ran.exists());
    until("the slot is given back", || {
        let pools = cyd.json(&["slot", "ls"], 0);
        pools["data"]["pools"][0]["used"].as_array()?.is_empty().then_some(())
    });
    fleet.verify();
}
