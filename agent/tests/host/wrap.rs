//! Wrappers: what they take, pass on and give back, also when they are killed.

use std::time::Duration;

use molt_domain::lock::State;
use nix::sys::signal::Signal;

use crate::fleet::Fault;
use crate::place::{Machine, UNTIL_GO, ended, signal, until_true};

/// How many hold a lock, and how many wait for one.
fn locks(machine: &Machine) -> (usize, usize) {
    machine.fleet.board(|board| {
        let locks = board.tables().locks.values();
        let held = locks.clone().filter(|lock| matches!(lock.state, State::Held(_))).count();
        (held, locks.map(|lock| lock.line.len()).sum())
    })
}

/// How many slots are in use.
fn slots(machine: &Machine) -> usize {
    machine.fleet.board(|board| board.tables().slots.values().map(|slots| slots.used.len()).sum())
}

#[test]
fn output_and_exit_code_are_the_commands_own() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let script = "echo out $MOLT_LOCK; echo err >&2; test -n \"$MOLT_FENCE\" && exit 7";
    let run = agent.run(&["lock", "run", "diff:x86", "--", "sh", "-c", script]);
    assert_eq!((run.code, run.stdout.as_str()), (7, "out diff:x86\n"), "{}", run.stderr);
    assert!(run.stderr.ends_with("err\n"), "{}", run.stderr);
    assert_eq!(locks(&machine), (0, 0), "the lock is given back");
    assert_eq!(agent.run(&["lock", "run", "l", "--", "/no/such/program"]).code, 127);
    assert_eq!(locks(&machine), (0, 0));
}

#[test]
fn a_lock_has_one_user_and_a_line() {
    let machine = Machine::new();
    machine.daemon(0);
    let (first, second) = (machine.agent("a"), machine.agent("b"));
    let holder = first.start(&["lock", "run", "l", "--", "sh", "-c", UNTIL_GO]);
    until_true("the holder", || locks(&machine).0 == 1);
    let refused = second.run(&["lock", "run", "l", "--wait", "0s", "--", "true"]);
    assert_eq!(refused.code, 120, "{}", refused.stderr);
    let over = second.run(&["lock", "run", "l", "--wait", "200ms", "--", "true"]);
    assert_eq!((over.code, locks(&machine)), (120, (1, 0)), "{}", over.stderr);

    let interrupted = second.start(&["lock", "run", "l", "--", "true"]);
    until_true("the waiter", || locks(&machine).1 == 1);
    signal(&interrupted, Signal::SIGINT);
    let interrupted = ended(interrupted);
    assert_eq!((interrupted.code, locks(&machine)), (120, (1, 0)), "{}", interrupted.stderr);

    let waiter = second.start(&["lock", "run", "l", "--", "sh", "-c", "echo mine"]);
    until_true("the waiter", || locks(&machine).1 == 1);
    machine.touch("go");
    assert_eq!(ended(holder).stdout, "begun\ndone\n");
    let waiter = ended(waiter);
    assert_eq!((waiter.code, waiter.stdout.as_str()), (0, "mine\n"), "{}", waiter.stderr);
    assert_eq!(locks(&machine), (0, 0));
}

#[test]
fn commands_of_one_session_never_share_a_hold() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let script = "echo begin >> $PLACE/journal; sleep 0.1; echo end >> $PLACE/journal";
    let arguments = ["lock", "run", "l", "--", "sh", "-c", script];
    let all: Vec<_> = (0..4).map(|_| agent.start(&arguments)).collect();
    for one in all {
        let one = ended(one);
        assert_eq!(one.code, 0, "{}", one.stderr);
    }
    assert_eq!(machine.text("journal"), "begin\nend\n".repeat(4));
    assert_eq!(locks(&machine), (0, 0));
}

#[test]
fn a_killed_wrapper_leaves_its_run_and_the_daemon_gives_back() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let mut wrapper = agent.start(&["slot", "run", "cargo", "--", "sh", "-c", UNTIL_GO]);
    until_true("the run", || slots(&machine) == 1 && has_log(&machine, "begun"));
    wrapper.kill().unwrap();
    wrapper.wait().unwrap();
    let other = machine.agent("b");
    let full = other.run(&["slot", "run", "cargo", "--wait", "0s", "--", "true"]);
    assert_eq!(full.code, 120, "the slot is in use: {}", full.stderr);
    machine.touch("go");
    until_true("the slot", || slots(&machine) == 0);
    assert!(has_log(&machine, "done"), "it came to its own end");
}

#[test]
fn a_wrapper_that_is_killed_in_line_leaves_no_place() {
    let machine = Machine::new();
    machine.daemon(0);
    let (first, second) = (machine.agent("a"), machine.agent("b"));
    let holder = first.start(&["lock", "run", "l", "--", "sh", "-c", UNTIL_GO]);
    until_true("the holder", || locks(&machine).0 == 1);
    let mut waiter = second.start(&["lock", "run", "l", "--", "true"]);
    until_true("the waiter", || locks(&machine).1 == 1);
    waiter.kill().unwrap();
    waiter.wait().unwrap();
    until_true("the place", || locks(&machine) == (1, 0));
    machine.touch("go");
    assert_eq!(ended(holder).code, 0);
}

#[test]
fn a_wrapper_that_dies_before_it_is_answered_leaves_nothing() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    assert_eq!(agent.run(&["slot", "run", "cargo", "--", "true"]).code, 0, "it has joined");
    machine.fleet.set_delay(Duration::from_millis(400));
    let killed = |arguments: &[&str], with| {
        let mut wrapper = agent.start(arguments);
        until_true("the grant", || slots(&machine) + locks(&machine).0 == 1);
        signal(&wrapper, with);
        let status = wrapper.wait().unwrap();
        until_true("the hold", || slots(&machine) + locks(&machine).0 == 0);
        status.code()
    };
    let slot = ["slot", "run", "cargo", "--", "touch", "ran"];
    let lock = ["lock", "run", "l", "--", "touch", "ran"];
    assert_eq!(killed(&slot, Signal::SIGKILL), None);
    assert_eq!(killed(&lock, Signal::SIGKILL), None);
    assert_eq!(killed(&slot, Signal::SIGINT), Some(120));
    assert_eq!(killed(&lock, Signal::SIGTERM), Some(120));
    assert!(!agent.worktree.join("ran").exists());
    let left = || std::fs::read_dir(machine.state().join("places")).unwrap().count();
    until_true("all places to be forgotten", || left() == 0);
}

#[test]
fn a_signal_to_the_wrapper_stops_the_run_and_gives_back() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let wrapper = agent.start(&["lock", "run", "l", "--", "sh", "-c", UNTIL_GO]);
    until_true("the run", || has_log(&machine, "begun"));
    signal(&wrapper, Signal::SIGTERM);
    let wrapper = ended(wrapper);
    assert_eq!((wrapper.code, locks(&machine)), (143, (0, 0)), "{}", wrapper.stderr);
}

#[test]
fn an_outage_ends_locks_before_they_can_be_lost_and_leaves_slots_alone() {
    let machine = Machine::new();
    machine.daemon(0);
    let (locker, slotter) = (machine.agent("a"), machine.agent("b"));
    let slot = slotter.start(&["slot", "run", "cargo", "--", "sh", "-c", UNTIL_GO]);
    until_true("the slot", || slots(&machine) == 1);
    let script =
        "trap '' TERM; echo locked; while :; do echo x >> $PLACE/journal; sleep 0.02; done";
    let lock = locker.start(&["lock", "run", "l", "--", "sh", "-c", script]);
    until_true("the lock", || has_log(&machine, "locked"));
    machine.fleet.set_away(true);
    let lost = ended(lock);
    assert_eq!(lost.code, 121, "{}", lost.stderr);
    let length = machine.text("journal").len();
    assert!(length > 0);
    // Nobody was asked, so the board still has the lock: the run was stopped first.
    assert_eq!(locks(&machine).0, 1);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(machine.text("journal").len(), length, "somebody still writes");
    machine.fleet.set_away(false);
    machine.touch("go");
    let slot = ended(slot);
    assert_eq!((slot.code, slot.stdout.as_str()), (0, "begun\ndone\n"), "{}", slot.stderr);
    until_true("the holds", || locks(&machine).0 == 0 && slots(&machine) == 0);
}

#[test]
fn a_lost_session_loses_its_lock_and_comes_back_under_a_new_epoch() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    let wrapper = agent.start(&["lock", "run", "l", "--", "sh", "-c", UNTIL_GO]);
    until_true("the run", || has_log(&machine, "begun"));
    let session = machine.fleet.board(|board| *board.tables().sessions.keys().next().unwrap());
    machine.fleet.lose(session);
    let wrapper = ended(wrapper);
    assert_eq!(wrapper.code, 121, "{}", wrapper.stderr);
    let epoch = || machine.fleet.board(|board| board.tables().sessions[&session].epoch);
    until_true("the resumption", || epoch() == 2);
    let again = agent.run(&["lock", "run", "l", "--", "echo", "again"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "again\n"), "{}", again.stderr);
}

#[test]
fn lost_answers_take_nothing_twice() {
    let machine = Machine::new();
    machine.daemon(0);
    let agent = machine.agent("a");
    for word in ["acquire-slot", "release-hold"] {
        machine.fleet.fault(word, Fault::LoseAnswer);
        machine.fleet.fault(word, Fault::Unavailable);
    }
    let script = "echo $MOLT_SLOT; test -d $MOLT_SLOT_DIR";
    let run = agent.run(&["slot", "run", "cargo", "--wait", "5s", "--", "sh", "-c", script]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "0\n"), "{}", run.stderr);
    until_true("the slot", || slots(&machine) == 0);
    assert!(machine.fleet.asked("acquire-slot") >= 3, "the faults were met");
    assert!(machine.fleet.asked("release-hold") >= 3, "the faults were met");
}

#[test]
fn without_a_daemon_or_a_coordinator_nothing_is_taken() {
    let machine = Machine::new();
    let daemon = machine.daemon(0);
    let agent = machine.agent("a");
    assert_eq!(agent.run(&["lock", "run", "l", "--", "true"]).code, 0);
    machine.fleet.set_away(true);
    let away = agent.run(&["lock", "run", "l", "--wait", "300ms", "--", "touch", "ran"]);
    assert_eq!(away.code, 122, "{}", away.stderr);
    machine.end(daemon, Signal::SIGTERM);
    assert!(!agent.worktree.join("ran").exists());
    machine.fleet.set_away(false);
    assert_eq!(locks(&machine), (0, 0));
}

const BUILD: &str = "echo built >> $PLACE/journal; sleep 0.3; mkdir -p out; cp source out/artifact";

fn build(place: &str) -> Vec<&str> {
    let mut arguments = vec!["build", "runtime", "--artifact", "out"];
    if !place.is_empty() {
        arguments.extend(["--place", place]);
    }
    arguments.extend(["--", "sh", "-c", BUILD]);
    arguments
}

#[test]
fn three_callers_with_equal_trees_build_once() {
    let machine = Machine::new();
    machine.daemon(0);
    let agents = ["a", "b", "c"].map(|name| machine.agent(name));
    let all: Vec<_> = agents.iter().map(|agent| agent.start(&build("shared"))).collect();
    let all: Vec<_> = all.into_iter().map(ended).collect();
    assert!(all.iter().all(|one| one.code == 0), "{all:?}");
    assert_eq!(machine.text("journal"), "built\n", "{all:?}");
    let shared = all.iter().filter(|one| one.stderr.contains("shared:")).count();
    assert_eq!(shared, 2, "{all:?}");
    for agent in &agents {
        let artifact = std::fs::read_to_string(agent.worktree.join("out/artifact")).unwrap();
        assert_eq!(artifact, "one\n");
    }
    // Another tree is another build; untracked files count.
    std::fs::write(agents[0].worktree.join("new"), "x").unwrap();
    assert_eq!(agents[0].run(&build("shared")).code, 0);
    assert_eq!(machine.text("journal"), "built\n".repeat(2));
    // An artifact that is gone comes from the store; without a store it is built.
    std::fs::remove_dir_all(agents[1].worktree.join("out")).unwrap();
    assert_eq!(agents[1].run(&build("shared")).code, 0);
    assert_eq!(machine.text("journal"), "built\n".repeat(2));
    assert!(agents[1].worktree.join("out/artifact").exists());
}

#[test]
fn builds_of_other_worktrees_do_not_count_by_default() {
    let machine = Machine::new();
    machine.daemon(0);
    let (first, second) = (machine.agent("a"), machine.agent("b"));
    let runs = || machine.text("journal").lines().count();
    for (agent, built) in [(&first, 1), (&second, 2), (&first, 2), (&second, 2)] {
        let one = agent.run(&build(""));
        assert_eq!((one.code, runs()), (0, built), "{}", one.stderr);
    }
    std::fs::write(first.worktree.join("out/artifact"), "forged").unwrap();
    assert_eq!((first.run(&build("")).code, runs()), (0, 3), "another digest is not believed");
}

#[test]
fn a_failed_build_is_inherited_and_a_stopped_one_is_not() {
    let machine = Machine::new();
    machine.daemon(0);
    let (first, second) = (machine.agent("a"), machine.agent("b"));
    let fail = ["build", "x", "--place", "p", "--", "sh", "-c", "echo no; exit 3"];
    let failed = first.run(&fail);
    assert_eq!((failed.code, failed.stdout.as_str()), (3, "no\n"), "{}", failed.stderr);
    let inherited = second.run(&fail);
    assert_eq!((inherited.code, inherited.stdout.as_str()), (1, ""), "{}", inherited.stderr);
    assert!(inherited.stderr.contains("was not run again"), "{}", inherited.stderr);
    assert!(inherited.stderr.contains(".log"), "{}", inherited.stderr);

    let slow = ["build", "y", "--place", "p", "--", "sh", "-c", UNTIL_GO];
    let stopped = first.start(&slow);
    until_true("the build", || has_log(&machine, "begun"));
    let waiter = second.start(&slow);
    signal(&stopped, Signal::SIGTERM);
    assert_eq!(ended(stopped).code, 143);
    machine.touch("go");
    let waiter = ended(waiter);
    assert_eq!((waiter.code, waiter.stdout.as_str()), (0, "begun\ndone\n"), "{}", waiter.stderr);
}

#[test]
fn jobs_outlive_their_starter_and_are_found_by_name() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    let started = agent.run(&["job", "run", "--", "sh", "-c", &format!("{UNTIL_GO}; exit 5")]);
    assert_eq!(started.code, 0, "{}", started.stderr);
    let name = started.stdout.split_whitespace().nth(1).unwrap().to_owned();
    let listed = agent.run(&["job", "ls"]);
    assert!(listed.stdout.contains(&name) && listed.stdout.contains("since"), "{}", listed.stdout);
    let waits = agent.start(&["job", "wait", &name]);
    let attached = agent.start(&["job", "attach", &name[..name.len() - 2]]);
    machine.touch("go");
    assert_eq!(ended(waits).code, 5);
    let attached = ended(attached);
    assert_eq!((attached.code, attached.stdout.as_str()), (5, "begun\ndone\n"));
    let logs = agent.run(&["job", "logs", "-f", &name]);
    assert_eq!(logs.stdout.lines().count(), 2, "{}", logs.stdout);
    assert!(logs.stdout.lines().all(|line| line.contains(" job stdout ")), "{}", logs.stdout);
    let stopped = agent.run(&["job", "run", "--", "sleep", "600"]);
    let name = stopped.stdout.split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(agent.run(&["job", "stop", &name]).code, 0);
    assert_eq!(agent.run(&["job", "wait", &name]).code, 143);
    assert_eq!(agent.run(&["job", "logs", "no-such-run"]).code, 125);
    assert_eq!(agent.run(&["job", "run", "--fg", "--", "sh", "-c", "exit 9"]).code, 9);
}

#[test]
fn what_looks_like_a_secret_stays_behind_unless_it_is_named() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    let script = "echo ${DEPLOY_TOKEN:-none} $OTHER; exit 1";
    let run = |extra: &[&str]| {
        let mut arguments = vec!["job", "run", "--fg"];
        arguments.extend(extra);
        arguments.extend(["--", "sh", "-c", script]);
        let mut verb = agent.verb(&arguments);
        ended(verb.env("DEPLOY_TOKEN", "t").env("OTHER", "o").spawn().unwrap())
    };
    assert_eq!(run(&[]).stdout, "none o\n");
    assert_eq!(run(&["--env", "DEPLOY_TOKEN"]).stdout, "t o\n");
}

/// Whether a run of this machine has said `text`.
fn has_log(machine: &Machine, text: &str) -> bool {
    let logs = std::fs::read_dir(machine.state().join("logs/runs")).into_iter().flatten();
    logs.flatten().any(|log| {
        let log = std::fs::read_to_string(log.path()).unwrap_or_default();
        log.lines().any(|line| line.ends_with(&format!("stdout {text}")))
    })
}
