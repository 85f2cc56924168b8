//! The folder of a task, made by the program itself.

use crate::place::Machine;

#[test]
fn a_folder_is_made_once_for_a_task_that_is_there() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    assert_eq!(agent.run(&["task", "add", "mend it"]).code, 0);
    let id = machine.fleet.board(|board| board.tables().tasks.keys().next().unwrap().to_string());
    let absent = agent.run(&["task", "new", "mend", "--task", "tsk_0999"]);
    assert_eq!((absent.code, agent.worktree.join("logs").exists()), (3, false));

    let made = agent.run(&["task", "new", "mend", "--task", &id]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let report = agent.worktree.join("logs/agents/mend/report.md");
    let text = std::fs::read_to_string(&report).unwrap();
    assert!(text.starts_with("## mend it\n") && text.contains(&id), "{text}");

    std::fs::write(&report, "mine").unwrap();
    machine.fleet.set_away(true);
    let again = agent.run(&["task", "new", "mend", "--json"]);
    assert_eq!((again.code, std::fs::read_to_string(&report).unwrap().as_str()), (0, "mine"));
    assert!(again.stdout.contains("\"code\":\"there\""), "{}", again.stdout);
    assert_eq!(agent.run(&["task", "new", "../mend"]).code, 2);
}
