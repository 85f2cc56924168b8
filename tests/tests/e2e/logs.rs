//! Logs of jobs, read from any machine through the coordinator.

use std::process::Command;

use crate::harness::{Fleet, Host, until};

/// A gate whose run says something, waits for a file, and says something else.
const POLICY: &str = r#"version = 1
[scope.src]
paths = ["src/**"]
[gate.test]
run = "echo begun; while [ ! -e $MOLT_TEST_GO ]; do sleep 0.05; done; echo over"
timeout = "1m"
env = { MOLT_TEST_GO = "GO" }
[merge]
required = ["test", "scope"]
"#;

fn said(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn logs(host: &Host, job: &str, follow: &[&str]) -> Command {
    let mut arguments = vec!["job", "logs", job];
    arguments.extend(follow);
    host.command(&arguments)
}

#[test]
fn a_job_s_log_is_read_from_a_host_that_does_not_run_it() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let go = scratch.path().join("go");
    let policy = POLICY.replace("GO\"", &format!("{}\"", go.display()));
    let base = [("molt.toml", policy.as_str()), ("src/a.c", "one\n")];
    let fleet = Fleet::new(&base, &["--heartbeat", "300ms"]);
    let mut runs = fleet.host("runs");
    runs.serve(1);
    let reads = fleet.host("reads");
    let agent = fleet.agent("ann", &runs);
    agent.json(&["claim", "src"], 0);
    agent.commit(&[("src/a.c", "two\n")], "two");
    agent.json(&["submit"], 0);

    let job = until("the gate's run is there", || {
        let queue = agent.json(&["queue"], 0);
        let gates = queue["data"]["cars"][0]["gates"].as_array()?.iter();
        let mut jobs = gates.filter_map(|gate| gate["job"].as_str());
        jobs.find(|job| job.starts_with("job_")).map(str::to_owned)
    });
    until("what it says is shown while it runs", || {
        let (_, out, _) = said(logs(&reads, &job, &[]));
        (out.contains("begun") && !out.contains("over")).then_some(())
    });
    let (code, _, problem) = said(logs(&reads, "job_zzzz", &[]));
    assert_eq!(code, Some(125), "{problem}");
    assert!(problem.contains("job_zzzz"), "{problem}");

    let follows = logs(&reads, &job, &["--follow"]).stdout(std::process::Stdio::piped()).spawn();
    let follows = follows.expect("it starts");
    std::fs::write(&go, "").expect("a file");
    let followed = follows.wait_with_output().expect("it ends by itself");
    assert!(followed.status.success(), "{followed:?}");
    let out = String::from_utf8_lossy(&followed.stdout).into_owned();
    assert!(out.contains("begun") && out.contains("over"), "{out}");

    runs.kill_daemon();
    let (code, _, problem) = said(logs(&reads, &job, &[]));
    assert_eq!(code, Some(122), "{problem}");
    assert!(problem.contains("host runs"), "it says which host is away: {problem}");
}
