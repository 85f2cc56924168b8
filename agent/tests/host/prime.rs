//! What a model is told after a start, by the program itself.

use crate::place::Machine;

#[test]
fn prime_joins_nothing_and_always_ends_well() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    let sessions = || machine.fleet.board(|board| board.tables().sessions.len());

    let stranger = agent.run(&["prime"]);
    assert_eq!((stranger.code, sessions()), (0, 0), "{}", stranger.stderr);
    assert!(stranger.stdout.starts_with("you      no session here"), "{}", stranger.stdout);

    assert_eq!(agent.run(&["claim", "docs", "--why", "mend it"]).code, 0);
    let told = agent.run(&["prime"]);
    assert_eq!((told.code, sessions()), (0, 1), "{}", told.stderr);
    assert!(told.stdout.contains("\ncovers   docs/**\n"), "{}", told.stdout);
    let claim =
        machine.fleet.board(|board| board.tables().claims.keys().next().unwrap().to_string());
    assert!(told.stdout.contains(&format!("\nholds    {claim}  fence ")), "{}", told.stdout);

    machine.fleet.set_away(true);
    let away = agent.run(&["prime"]);
    assert_eq!((away.code, away.stdout.lines().count()), (0, 3), "{}", away.stderr);
    assert!(away.stdout.starts_with("away     "), "{}", away.stdout);
    let document = agent.run(&["prime", "--json"]);
    assert!(document.stdout.contains("\"ok\":true,\"code\":\"no_coordinator\""));
}

#[test]
fn prime_ends_well_where_there_is_nothing_to_ask_about() {
    let machine = Machine::new();
    let agent = machine.agent("a");
    let outside = agent.run(&["prime", "--repo-dir", "/"]);
    assert_eq!(outside.code, 0, "{}", outside.stderr);
    assert!(outside.stdout.starts_with("nowhere  no git worktree at /"), "{}", outside.stdout);
    for wrong in [["prime", "--repo-dir=/nowhere/at/all"], ["prime", "--repo=no spaces"]] {
        let unread = agent.run(&wrong);
        assert_eq!(unread.code, 0, "{}", unread.stderr);
        assert!(unread.stdout.starts_with("unread   "), "{}{}", unread.stdout, unread.stderr);
    }
}
