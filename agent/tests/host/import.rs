//! Tasks of a file, added by the program itself.

use crate::place::Machine;

const PLAN: &str = "\
[[task]]
title = 'use it'
needs = ['barrier']

[[task]]
name = 'barrier'
title = 'fix the barrier'
scopes = ['docs']
";

#[test]
fn what_is_planned_is_added_once() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    std::fs::write(agent.worktree.join("plan.toml"), PLAN).unwrap();
    let tasks = || machine.fleet.board(|board| board.tables().tasks.len());
    let sessions = || machine.fleet.board(|board| board.tables().sessions.len());

    let planned = agent.run(&["task", "import", "plan.toml", "--dry-run"]);
    assert_eq!((planned.code, tasks(), sessions()), (0, 0, 0), "{}", planned.stderr);
    let lines: Vec<&str> = planned.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "planned  2 tasks to add  0 skipped",
            "add      fix the barrier  docs",
            "add      use it  after fix the barrier"
        ]
    );

    let added = agent.run(&["task", "import", "plan.toml"]);
    assert_eq!((added.code, tasks()), (0, 2), "{}", added.stderr);
    machine.fleet.board(|board| {
        let tasks: Vec<_> = board.tables().tasks.values().collect();
        assert_eq!(
            (tasks[0].title.as_str(), tasks[1].title.as_str()),
            ("fix the barrier", "use it")
        );
        assert_eq!(tasks[1].needs, [tasks[0].id]);
    });

    let again = agent.run(&["task", "import", "plan.toml", "--json"]);
    assert_eq!((again.code, tasks()), (0, 2), "{}", again.stderr);
    assert!(again.stdout.contains("skipped: line 1: use it: there as tsk_"), "{}", again.stdout);
}

#[test]
fn an_import_goes_on_after_an_answer_was_lost() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    std::fs::write(agent.worktree.join("plan.toml"), PLAN).unwrap();
    let tasks = || machine.fleet.board(|board| board.tables().tasks.len());
    machine.fleet.lose_answers("add-task");
    let unknown = agent.run(&["task", "import", "plan.toml"]);
    assert_eq!((unknown.code, tasks()), (11, 1), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("added    0 of 2; the same command"), "{}", unknown.stderr);
    machine.fleet.heal();
    assert_eq!((agent.run(&["task", "import", "plan.toml"]).code, tasks()), (0, 2));
}

#[test]
fn a_fault_anywhere_adds_nothing() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    std::fs::write(agent.worktree.join("x.toml"), "[[task]]\ntitle = 'a'\n[[task]]\n").unwrap();
    let refused = agent.run(&["task", "import", "x.toml"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("fault    line 3: a task without a title"),
        "{}",
        refused.stderr
    );
    assert_eq!(machine.fleet.board(|board| board.tables().tasks.len()), 0);
}
