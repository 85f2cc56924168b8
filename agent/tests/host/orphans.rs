//! Grants that nobody was told of, because the answer was lost and the session ended.

use std::process::Child;

use molt_agent::run;
use molt_domain::id::SessionId;
use nix::sys::signal::Signal;

use crate::place::{Agent, Machine, UNTIL_GO, ended, signal, until_true};

/// Whether somebody has the machine's one slot.
fn is_taken(machine: &Machine) -> bool {
    machine.fleet.board(|board| board.tables().slots.values().any(|slots| !slots.used.is_empty()))
}

fn session(machine: &Machine) -> SessionId {
    machine.fleet.board(|board| *board.tables().sessions.keys().next().unwrap())
}

/// Requests, places and grants that wrappers wrote down.
fn places(machine: &Machine) -> usize {
    let listed = std::fs::read_dir(machine.state().join("places"));
    listed.map_or(0, |files| files.flatten().count())
}

/// A wrapper that was granted the slot and does not know it.
fn untold(machine: &Machine, agent: &Agent<'_>) -> Child {
    machine.fleet.lose_answers("acquire-slot");
    let wrapper = agent.start(&["slot", "run", "cargo", "--wait", "60s", "--", "echo", "ran"]);
    until_true("the grant", || is_taken(machine));
    wrapper
}

#[test]
fn a_slot_is_given_back_whose_session_was_ended_by_an_operator() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let wrapper = untold(&machine, &agent);
    machine.fleet.revoke(session(&machine));
    let refused = ended(wrapper);
    assert_ne!(refused.code, 0, "{}", refused.stderr);
    assert_eq!(refused.stdout, "", "it did not run");
    until_true("the slot", || !is_taken(&machine));
}

#[test]
fn a_slot_is_given_back_whose_wrapper_died_and_whose_agent_left() {
    let machine = Machine::new();
    let daemon = machine.daemon(0);
    let agent = machine.agent("a");
    let wrapper = untold(&machine, &agent);
    machine.end(daemon, Signal::SIGTERM);
    signal(&wrapper, Signal::SIGKILL);
    ended(wrapper);
    let left = agent.run(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert!(is_taken(&machine), "silence frees no slot");
    machine.daemon(0);
    until_true("the slot", || !is_taken(&machine));
}

#[test]
fn what_was_given_back_is_not_told_to_the_next_who_asks_the_same() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let same = ["slot", "run", "cargo", "--", "sh", "-c", UNTIL_GO];
    machine.fleet.lose_answers("acquire-slot");
    let dies = agent.start(&same);
    until_true("the grant", || is_taken(&machine));
    signal(&dies, Signal::SIGKILL);
    ended(dies);
    machine.fleet.heal();
    until_true("the slot", || !is_taken(&machine));
    let runs = agent.start(&same);
    until_true("the run", || !run::list(&machine.state()).unwrap().is_empty());
    assert!(is_taken(&machine), "what runs has a slot");
    machine.touch("go");
    assert_eq!(ended(runs).code, 0);
    until_true("the slot", || !is_taken(&machine));
}

#[test]
fn what_runs_for_a_session_that_ended_keeps_its_slot() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let runs = agent.start(&["slot", "run", "cargo", "--", "sh", "-c", UNTIL_GO]);
    until_true("the run", || is_taken(&machine) && places(&machine) == 0);
    machine.fleet.lose_answers("acquire-lock");
    let untold = agent.start(&["lock", "run", "l", "--wait", "60s", "--", "echo", "ran"]);
    until_true("the grant", || machine.fleet.board(|board| !board.tables().locks.is_empty()));
    machine.fleet.revoke(session(&machine));
    let refused = ended(untold);
    assert_ne!(refused.code, 0, "{}", refused.stderr);
    until_true("the request is dealt with", || places(&machine) == 0);
    assert!(is_taken(&machine), "its run goes on");
    machine.touch("go");
    let run = ended(runs);
    assert_eq!((run.code, run.stdout.as_str()), (0, "begun\ndone\n"), "{}", run.stderr);
    until_true("the slot", || !is_taken(&machine));
}
