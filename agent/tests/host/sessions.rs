//! What a session asked, across its loss.

use crate::place::Machine;

#[test]
fn what_was_done_before_the_session_was_lost_is_not_done_again_after_it() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    let add = || agent.run(&["task", "add", "mend it"]);
    let tasks = || machine.fleet.board(|board| board.tables().tasks.len());

    machine.fleet.lose_answers("add-task");
    let unknown = add();
    assert_eq!((unknown.code, tasks()), (11, 1), "{}", unknown.stderr);
    machine.fleet.heal();
    machine
        .fleet
        .lose(machine.fleet.board(|board| *board.tables().sessions.keys().next().unwrap()));
    let lost = add();
    assert_eq!(lost.code, 6, "{}", lost.stderr);
    let resumed = agent.run(&["resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    let added = add();
    assert_eq!((added.code, tasks()), (0, 1), "the answer of then: {}", added.stderr);
    assert_eq!((add().code, tasks()), (0, 2), "a new wish");
}
