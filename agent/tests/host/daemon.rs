//! The daemon: one per host, the keeper of sessions.

use std::process::Stdio;

use molt_agent::guard::Snapshot;
use molt_agent::session::alive;
use molt_domain::session::{Loss, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::place::{Machine, UNTIL_GO, ended, until, until_true};

#[test]
fn a_session_lives_as_long_as_its_root() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let mut wrapper = agent.start(&["slot", "run", "cargo", "--", "sh", "-c", UNTIL_GO]);
    let used = || {
        machine.fleet.board(|board| {
            board.tables().slots.values().map(|slots| slots.used.len()).sum::<usize>()
        })
    };
    until_true("the slot", || used() == 1);
    wrapper.kill().unwrap();
    wrapper.wait().unwrap();
    let session = machine.fleet.board(|board| *board.tables().sessions.keys().next().unwrap());
    let repo = "main".parse().unwrap();
    until("the snapshot", || Snapshot::read(&machine.state(), &repo).unwrap());
    // Longer than its ttl: the daemon renews it.
    let heard = || machine.fleet.board(|board| board.heard(session));
    let first = heard();
    until_true("renewals", || heard().0 > first.0 + 3500);
    assert_eq!(state(&machine, session), Some(State::Live));

    machine.end(agent.root(), Signal::SIGKILL);
    let lost =
        || matches!(state(&machine, session), Some(State::Lost { cause: Loss::RootDead, .. }));
    until_true("the loss", lost);
    until_true("the slot", || used() == 0);
    until_true("the registration", || alive::registered(&machine.state()).unwrap().is_empty());
}

fn state(machine: &Machine, session: molt_domain::id::SessionId) -> Option<State> {
    machine.fleet.board(|board| board.tables().sessions.get(&session).map(|found| found.state))
}

#[test]
fn one_daemon_at_a_time_and_the_one_that_was_asked_for_wins() {
    let machine = Machine::new();
    let mut missed = machine.program();
    let mut missed = missed
        .args(["daemon", "--missed"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_true("the first", || machine.fleet.board(|board| !board.tables().hosts.is_empty()));
    let second = ended(machine.program().args(["daemon", "--missed"]).spawn().unwrap());
    assert_eq!(second.code, 0, "it is not needed: {}", second.stderr);
    let asked = machine.daemon(2);
    until("the first to make way", || missed.try_wait().unwrap());
    let jobs =
        || machine.fleet.board(|board| board.tables().hosts.values().next().unwrap().means.jobs);
    until_true("the second", || jobs() == 2);
    let third = ended(machine.program().args(["daemon", "--jobs", "3"]).spawn().unwrap());
    assert_eq!(third.code, 9, "{}", third.stdout);
    assert!(third.stdout.contains(&format!("pid {asked}")), "{}", third.stdout);
    machine.end(asked, Signal::SIGTERM);
}

#[test]
fn a_verb_that_misses_a_daemon_starts_one() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    let run =
        agent.verb(&["lock", "run", "l", "--", "echo", "ran"]).env_remove("MOLT_DAEMON").spawn();
    let run = ended(run.unwrap());
    assert_eq!((run.code, run.stdout.as_str()), (0, "ran\n"), "{}", run.stderr);
    let sign = std::fs::read_dir(machine.state().join("daemon")).unwrap().flatten();
    let sign =
        sign.map(|file| file.path()).find(|path| path.to_string_lossy().ends_with("pid.json"));
    let sign = std::fs::read_to_string(sign.unwrap()).unwrap();
    let sign: serde_json::Value = serde_json::from_str(&sign).unwrap();
    let pid = i32::try_from(sign["daemon"]["pid"].as_i64().unwrap()).unwrap();
    assert!(kill(Pid::from_raw(pid), None).is_ok(), "it goes on after the verb");
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let again = machine.program().args(["daemon", "--missed"]).spawn().unwrap();
    until_true("its end", || machine.state().join("logs/daemon.log").exists());
    let log = || std::fs::read_to_string(machine.state().join("logs/daemon.log")).unwrap();
    until_true("its end", || log().contains("daemon ends"));
    let mut again = again;
    drop(again.kill());
    again.wait().unwrap();
}
