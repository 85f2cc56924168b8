//! The guard on a live fleet: git's hooks and those of agent programs, what a model is told at its
//! start, and what stays closed when something of it fails.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Agent, Fleet, Host, Running, Signal, git, send, until, write};

const POLICY: &str = "version = 1\nopen = [\"logs/**\"]\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n";

fn fleet() -> (Fleet, Host) {
    let base = [("molt.toml", POLICY), ("docs/a.md", "a\n"), ("src/a.c", "one\n")];
    let fleet = Fleet::new(&base, &["--heartbeat", "300ms"]);
    let mut host = fleet.host("h1");
    host.serve(0);
    (fleet, host)
}

/// Waits until the guard answers `code` about a path.
#[track_caller]
fn knows(agent: &Agent, path: &str, code: i32) {
    until("the guard knows", || (agent.run(&["check", path]).code == code).then_some(()));
}

/// Runs git as the agent does, with its session and its hooks.
fn try_git(agent: &Agent, arguments: &[&str]) -> (bool, String) {
    let molt = agent.command(&[]);
    let mut git = std::process::Command::new("git");
    git.env_clear().args(arguments).current_dir(agent.worktree());
    git.envs(molt.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = git.output().expect("git starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[track_caller]
fn commits(agent: &Agent, path: &str, text: &str) {
    write(agent.worktree(), path, text);
    git(agent.worktree(), &["add", "--", path]);
    let (done, said) = try_git(agent, &["commit", "--quiet", "-m", path]);
    assert!(done, "{said}");
}

#[test]
fn what_was_committed_under_a_claim_is_pushed_after_it_was_given_back() {
    let (fleet, host) = fleet();
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let claim = ann.json(&["claim", "docs"], 0)["data"].clone();
    ann.json(&["hooks", "install", "git"], 0);
    knows(&ann, "docs/a.md", 0);
    commits(&ann, "docs/a.md", "mine\n");
    let message = git(ann.worktree(), &["log", "-1", "--format=%B"]);
    let trailer = format!(
        "Molt-Claim: {} {}",
        claim["id"].as_str().expect("a claim"),
        claim["fence"].as_str().expect("a fence")
    );
    assert!(message.contains(&trailer), "{message}");

    ann.json(&["release"], 0);
    knows(&ann, "docs/a.md", 9);
    let (pushed, said) = try_git(&ann, &["push", "origin", "HEAD:refs/heads/mine"]);
    assert!(pushed, "it was committed under {trailer}: {said}");
    // Nothing of it makes the next commit one that was made under a claim.
    write(ann.worktree(), "docs/a.md", "more\n");
    git(ann.worktree(), &["add", "--all"]);
    let (done, said) = try_git(&ann, &["commit", "--quiet", "-m", "more"]);
    assert!(!done && said.contains("molt-agent claim docs"), "{said}");
    let (done, _) = try_git(&ann, &["commit", "--quiet", "--no-verify", "-m", "more"]);
    assert!(done, "who goes around it");
    let (pushed, said) = try_git(&ann, &["push", "origin", "HEAD:refs/heads/more"]);
    assert!(!pushed && said.contains("not claimed: scope docs"), "{said}");
    git(ann.worktree(), &["reset", "--quiet", "--hard", "HEAD~1"]);

    // What somebody else holds by now is theirs, whoever committed it once.
    bob.json(&["claim", "docs"], 0);
    knows(&ann, "docs/a.md", 4);
    git(ann.worktree(), &["update-ref", "-d", "refs/remotes/origin/mine"]);
    let (pushed, said) = try_git(&ann, &["push", "origin", "HEAD:refs/heads/again"]);
    assert!(!pushed && said.contains("held by bob"), "{said}");
}

#[test]
fn the_guard_knows_a_claim_as_soon_as_its_holder_does() {
    let (fleet, host) = fleet();
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    // The first claim of a session that this host has not heard of, too.
    let claimed = ann.json(&["claim", "docs"], 0);
    assert_eq!(claimed["warn"].as_array().map(Vec::len), Some(1), "it joined: {claimed}");
    ann.json(&["check", "docs/a.md"], 0);
    bob.json(&["join"], 0);
    for round in 0..5 {
        ann.json(&["release"], 0);
        ann.json(&["check", "docs/a.md"], 9);
        assert_eq!(bob.json(&["claim", "docs", "src"], 0)["warn"], json!([]), "round {round}");
        bob.json(&["check", "docs/a.md"], 0);
        ann.json(&["check", "docs/a.md"], 4);
        bob.json(&["handoff", "docs", "--to", "ann"], 0);
        ann.json(&["accept"], 0);
        ann.json(&["check", "src/a.c"], 0);
        ann.json(&["release", "src"], 0);
        ann.json(&["check", "src/a.c"], 9);
        // With a task, whether its claim is new or the one that was taken before.
        let task = ann.json(&["task", "add", "mend it", "--scope", "src"], 0)["data"].clone();
        assert_eq!(ann.json(&["next"], 0)["data"]["id"], task["id"], "round {round}");
        ann.json(&["check", "src/a.c"], 0);
        assert_eq!(ann.json(&["next"], 0)["warn"], json!([]), "round {round}");
        ann.json(&["task", "done"], 0);
        // What is held already is known already.
        assert_eq!(ann.json(&["claim", "docs"], 0)["warn"], json!([]), "round {round}");
    }
}

#[test]
fn a_guard_that_hears_of_nothing_is_said_so() {
    let (fleet, mut host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "docs"], 0);
    let paused = host.daemon_pid().expect("a daemon is at work");
    send(paused, Signal::SIGSTOP);
    let claimed = ann.json(&["claim", "src"], 0);
    send(paused, Signal::SIGCONT);
    let warned = claimed["warn"].to_string();
    assert!(warned.contains("guard did not hear of it"), "{claimed}");
    knows(&ann, "src/a.c", 0);
    host.kill_daemon();
}

#[test]
fn the_guard_knows_what_a_session_holds_as_soon_as_it_is_back() {
    let (fleet, mut host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "docs"], 0);
    for round in 0..3 {
        // Whoever starts it again knows of no claim yet.
        host.kill_daemon();
        fs::remove_file(host.state().join("snapshot/main.json")).expect("the snapshot");
        assert_eq!(ann.json(&["resume"], 0)["warn"], json!([]), "round {round}");
        ann.json(&["check", "docs/a.md"], 0);
    }
    host.kill_daemon();
}

#[test]
fn a_trailer_of_somebody_else_opens_nothing() {
    let (fleet, host) = fleet();
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    bob.json(&["claim", "docs"], 0);
    bob.json(&["hooks", "install", "git"], 0);
    knows(&bob, "docs/a.md", 0);
    commits(&bob, "docs/a.md", "of bob\n");
    bob.json(&["release"], 0);
    ann.json(&["join"], 0);
    knows(&ann, "docs/a.md", 9);
    // It is another agent's work: named, but not remembered as this session's.
    let from = bob.worktree().to_str().expect("a path of text").to_owned();
    git(ann.worktree(), &["fetch", "--quiet", &from, "HEAD"]);
    git(ann.worktree(), &["cherry-pick", "FETCH_HEAD"]);
    ann.json(&["hooks", "install", "git"], 0);
    let (pushed, said) = try_git(&ann, &["push", "origin", "HEAD:refs/heads/theirs"]);
    assert!(!pushed && said.contains("not claimed: scope docs"), "{said}");
}

#[test]
fn hooks_stay_closed_when_something_fails() {
    let (mut fleet, mut host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "docs"], 0);
    ann.json(&["hooks", "install", "git"], 0);
    knows(&ann, "docs/a.md", 0);
    let snapshot = host.state().join("snapshot/main.json");
    let whole = fs::read_to_string(&snapshot).expect("the snapshot");

    // A coordinator that is gone does not stop work for as long as its last word is fresh.
    fleet.coordinator.kill();
    commits(&ann, "docs/a.md", "while it is away\n");
    host.kill_daemon();

    let denied = |what: &str, hint: &str| {
        write(ann.worktree(), "docs/a.md", what);
        git(ann.worktree(), &["add", "--all"]);
        let (done, said) = try_git(&ann, &["commit", "--quiet", "-m", what]);
        assert!(!done, "{what}: {said}");
        assert!(said.contains(hint), "{what}: {said}");
        assert!(said.lines().count() <= 8, "{what}: {said}");
        let edit = payload(&ann, "docs/a.md");
        assert_eq!(asked(&ann, "claude", &edit).0, 2, "{what}");
    };
    fs::write(&snapshot, &whole[..whole.len() / 2]).expect("half a snapshot");
    denied("half a snapshot", "snapshot/main.json");
    let mut old: Value = serde_json::from_str(&whole).expect("JSON");
    old["boot"] = json!("another");
    fs::write(&snapshot, old.to_string()).expect("a snapshot");
    denied("one of another boot", "the machine was started");
    fs::remove_file(&snapshot).expect("the snapshot");
    denied("none at all", "no snapshot");
    fs::write(&snapshot, &whole).expect("the snapshot");
    commits(&ann, "docs/a.md", "and as it was\n");
    fleet.coordinator.start();
}

/// What Claude Code says before it writes a file.
fn payload(agent: &Agent, path: &str) -> Value {
    let cwd = agent.worktree();
    json!({
        "session_id": "3f0c7a9e", "transcript_path": "/tmp/t.jsonl", "cwd": cwd,
        "permission_mode": "default", "hook_event_name": "PreToolUse", "tool_name": "Write",
        "tool_input": { "file_path": cwd.join(path), "content": "x" }, "tool_use_id": "toolu_01",
    })
}

/// What the guard says to a payload.
fn asked(agent: &Agent, program: &str, payload: &Value) -> (i32, String) {
    let command = agent.command(&["check", "--hook", program]);
    let logs = agent.worktree().join("../said");
    let mut running = Running::start_hearing(command, &logs, std::process::Stdio::piped());
    running.tell(&payload.to_string());
    let said = running.end();
    assert!(said.out.is_empty(), "{said:?}");
    (said.code, said.err)
}

/// A payload of the fixtures, of this worktree and about this path.
fn fixture(agent: &Agent, name: &str, path: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/src/guard/fixtures");
    let text = fs::read_to_string(folder.join(name)).expect("a fixture");
    let here = agent.worktree().to_str().expect("a path of text");
    let text = text
        .replace("runtime/vm.rs", path)
        .replace("docs/index.md", path)
        .replace("\"/repo", &format!("\"{here}"));
    serde_json::from_str(&text.replace(" /repo/", &format!(" {here}/"))).expect("a payload")
}

#[test]
fn an_agents_tool_is_answered_from_the_live_fleet_and_never_allowed_by_what_is_unknown() {
    let (fleet, host) = fleet();
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "docs"], 0);
    bob.json(&["claim", "src"], 0);
    knows(&ann, "docs/a.md", 0);
    knows(&ann, "src/a.c", 4);
    let programs = [
        ("claude", "claude-edit.json"),
        ("claude", "claude-write.json"),
        ("codex", "codex-apply-patch.json"),
    ];
    for (program, name) in programs {
        let mine = fixture(&ann, name, "docs/a.md");
        assert!(mine.to_string().contains("docs/a.md"), "{name} is about a path: {mine}");
        assert_eq!(asked(&ann, program, &mine), (0, String::new()), "{name}");
        let theirs = fixture(&ann, name, "src/a.c");
        let (code, said) = asked(&ann, program, &theirs);
        assert_eq!(code, 2, "{name}: {said}");
        assert!(said.contains("held by bob") && said.lines().count() <= 8, "{name}: {said}");

        // What is not known never allows: of the tool's input, where it could hide a path.
        let mut odd = mine.clone();
        odd["tool_input"]["another_path"] = json!(ann.worktree().join("src/a.c"));
        let (code, said) = asked(&ann, program, &odd);
        assert_eq!(code, 2, "{name} with a field that nobody knows: {said}");
        let mut odd = theirs.clone();
        odd["allow"] = json!(true);
        assert_eq!(asked(&ann, program, &odd).0, 2, "{name} with a field that says yes");
        let mut odd = mine;
        odd["tool_name"] = json!("Teleport");
        let (code, said) = asked(&ann, program, &odd);
        assert_eq!(code, 2, "{name} of a tool that nobody knows: {said}");
    }
}

#[test]
fn a_start_is_told_where_it_stands_whatever_fails() {
    let (mut fleet, host) = fleet();
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "docs"], 0);
    bob.json(&["claim", "src"], 0);
    let prime = || {
        let said = ann.run(&["prime"]).exits(0).out;
        assert!(said.lines().count() <= 60 && said.len() <= 3600, "{} bytes: {said}", said.len());
        said
    };
    let told = prime();
    assert!(told.contains("docs") && told.contains("ann"), "{told}");
    fleet.coordinator.kill();
    let away = prime();
    assert!(away.contains("coordinator"), "{away}");
    fleet.coordinator.start();
    until("it is told again", || prime().contains("docs").then_some(()));
    // A session file that was cut off is no reason not to start.
    let sessions = ann.worktree().join(".git/molt/sessions");
    for entry in fs::read_dir(sessions).expect("session files").filter_map(Result::ok) {
        if entry.path().extension().is_some_and(|it| it == "json") {
            fs::write(entry.path(), "{").expect("half a session");
        }
    }
    let told = prime();
    assert!(told.contains("session"), "{told}");
}

#[test]
fn a_task_s_folder_never_leaves_its_root_and_keeps_what_is_there() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["join"], 0);
    let root = ann.worktree().join("logs/agents");
    for name in ["../out", "a/../../out", "/tmp/out", "..", ".", ""] {
        let refused = ann.run(&["task", "new", name]);
        assert_eq!(refused.code, 2, "{name:?}: {refused:?}");
    }
    assert!(!root.exists(), "nothing was made for a name that is none");
    ann.json(&["task", "new", "barrier"], 0);
    let report = root.join("barrier/report.md");
    fs::write(&report, "what was found\n").expect("the report");
    ann.json(&["task", "new", "barrier"], 0);
    assert_eq!(fs::read_to_string(&report).expect("the report"), "what was found\n");
    // A link that leads elsewhere is not followed.
    let elsewhere = fleet.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    std::os::unix::fs::symlink(&elsewhere, root.join("linked")).expect("a link");
    let refused = ann.run(&["task", "new", "linked"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(fs::read_dir(&elsewhere).expect("a folder").count(), 0, "nothing was written there");
}
