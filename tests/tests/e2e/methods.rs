//! The shapes of what lands: all of a change as one commit, or each of its commits anew.

use crate::harness::{Agent, Fleet, Host, git, write};

const POLICY: &str = r#"version = 1
[scope.src]
paths = ["src/**"]
[scope.docs]
paths = ["docs/**"]
[gate.lint]
run = "! grep -rn TABS src"
timeout = "1m"
[merge]
required = ["lint", "scope"]
"#;

/// A fleet whose base lands by `method`, where `ann` holds all and `bob` nothing.
fn fleet(method: &str) -> (Fleet, Host, Agent) {
    let policy = format!("{POLICY}method = \"{method}\"\n");
    let files = [("molt.toml", &*policy), ("src/a.c", "a\n"), ("docs/a.md", "a\n")];
    let fleet = Fleet::new(&files, &["--heartbeat", "500ms"]);
    let mut host = fleet.host("h1");
    host.serve(2);
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "src", "docs"], 0);
    (fleet, host, ann)
}

/// Lands one change, and then one of two commits that forked before it; its head.
fn land_two(ann: &Agent) -> String {
    git(ann.worktree(), &["fetch", "--quiet", "origin"]);
    let from = git(ann.worktree(), &["rev-parse", "origin/main"]);
    ann.commit(&[("docs/b.md", "b\n")], "say b");
    ann.json(&["submit", "--wait", "30s"], 0);
    git(ann.worktree(), &["checkout", "--quiet", "--detach", &from]);
    ann.commit_on_top(&[("src/b.c", "b\n")], "begin b");
    let head = ann.commit_on_top(&[("src/b.c", "b\nc\n")], "go on with c");
    ann.json(&["submit", "--wait", "30s"], 0);
    head
}

fn said(fleet: &Fleet, commit: &str, format: &str) -> String {
    git(fleet.remote.path(), &["log", "-1", &format!("--format={format}"), commit])
}

#[test]
fn a_squashed_change_is_one_commit_and_no_merge() {
    let (fleet, _host, ann) = fleet("squash");
    let begin = fleet.remote.base();
    let head = land_two(&ann);
    let history = fleet.remote.history();
    assert_eq!(history.len(), 3);
    assert_eq!(said(&fleet, &history[0], "%P"), history[1]);
    assert_eq!(said(&fleet, &history[1], "%P"), begin);
    let author = git(ann.worktree(), &["log", "-1", "--format=%an <%ae>", &head]);
    assert_eq!(said(&fleet, &history[0], "%an <%ae>"), author);
    assert_eq!(said(&fleet, &history[0], "%cn"), "ann");
    let message = said(&fleet, &history[0], "%B");
    assert!(message.starts_with("go on with c\n"), "{message}");
    assert!(message.contains(&format!("\nMolt-Head: {head}\n")), "{message}");
    let files = git(fleet.remote.path(), &["diff", "--name-only", &history[1], &history[0]]);
    assert_eq!(files, "src/b.c", "nothing of what landed before");
    fleet.verify();
}

#[test]
fn a_rebased_changes_commits_land_together_on_the_base() {
    let (fleet, _host, ann) = fleet("rebase");
    let journal = fleet.path("updates");
    fleet.remote.record_updates(&journal);
    let head = land_two(&ann);
    let history = fleet.remote.history();
    assert_eq!(history.len(), 4);
    for pair in history.windows(2) {
        assert_eq!(said(&fleet, &pair[0], "%P"), pair[1]);
    }
    assert_eq!(said(&fleet, &history[1], "%B"), "begin b");
    let message = said(&fleet, &history[0], "%B");
    assert!(message.starts_with("go on with c\n\nMolt-Car: "), "{message}");
    assert!(message.contains(&format!("\nMolt-Head: {head}\n")), "{message}");
    assert_eq!(git(fleet.remote.path(), &["show", &format!("{}:src/b.c", history[1])]), "b");
    let moves = crate::harness::lines(&journal).join("\n");
    assert_eq!(moves.matches(" refs/heads/main").count(), 2, "one step for both commits");
    fleet.verify();
}

#[test]
fn what_cannot_be_carried_and_what_changes_nothing_is_refused_by_name() {
    let (fleet, host, ann) = fleet("rebase");
    let begin = fleet.remote.base();
    ann.commit(&[("src/b.c", "b\n")], "add b");
    ann.json(&["submit", "--wait", "30s"], 0);
    let base = fleet.remote.base();
    git(ann.worktree(), &["checkout", "--quiet", "--detach", &begin]);
    ann.commit_on_top(&[("docs/b.md", "b\n")], "say b");
    git(ann.worktree(), &["fetch", "--quiet", "origin"]);
    git(ann.worktree(), &["merge", "--quiet", "--no-edit", &base]);
    let merge = ann.commit_on_top(&[("docs/c.md", "c\n")], "say c");
    let merge = git(ann.worktree(), &["rev-parse", &format!("{merge}^")]);
    let refused = ann.json(&["submit", "--wait", "30s"], 7);
    assert_eq!(refused["code"], "closed");
    let detail = refused["data"]["detail"].as_str().expect("a detail");
    assert!(detail.contains(&format!("{merge} of it is a merge")), "{detail}");

    git(ann.worktree(), &["checkout", "--quiet", "--detach", &begin]);
    write(ann.worktree(), "src/b.c", "b\n");
    ann.commit_on_top(&[], "add b once more");
    let refused = ann.json(&["submit", "--wait", "30s"], 7);
    assert_eq!(refused["code"], "closed");
    let detail = refused["data"]["detail"].as_str().expect("a detail");
    assert!(detail.contains("the base has all that it changes already"), "{detail}");
    assert_eq!(fleet.remote.base(), base);
    drop(host);
    fleet.verify();
}
