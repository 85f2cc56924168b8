//! The guard's hooks with the real git and the real program: a snapshot and a
//! session are written as the daemon and a join would, and git does the rest.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use molt_agent::guard::{Snapshot, SnapshotClaim};
use molt_agent::session::{Record, Root, Secret, SessionFile, Worktree};
use molt_domain::id::{ClaimId, Fence, SessionId};
use molt_domain::scope::{Case, Reach, Risk, Scope, ScopeTree};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A repository whose scope `docs` this process holds and whose scope `runtime`
/// another agent holds.
struct Work {
    scratch: TempDir,
    top: PathBuf,
}

fn scope(name: &str) -> Scope {
    Scope {
        name: name.parse().unwrap(),
        paths: vec![format!("{name}/**").parse().unwrap()],
        reach: Reach::Plain,
        max: None,
        tests: Vec::new(),
        risk: Risk::Med,
    }
}

impl Work {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let work = Self { scratch, top: root.join("a repo") };
        fs::create_dir(&work.top).unwrap();
        work.git(&["init", "--quiet", "--initial-branch", "main"]);
        work.git(&["commit", "--quiet", "--allow-empty", "-m", "first"]);
        let scopes = vec![scope("docs"), scope("runtime")];
        let scopes = ScopeTree::new(Case::Sensitive, Vec::new(), scopes).unwrap();
        let claim = |n: u64, name: &str, scope: &str| SnapshotClaim {
            claim: ClaimId::from_counter(n),
            session: SessionId::from_counter(n),
            holder: name.parse().unwrap(),
            scopes: vec![scope.parse().unwrap()],
            globs: Vec::new(),
            fence: Some(Fence { epoch: 0, n: 40 + n }),
        };
        let claims = vec![claim(1, "ann", "docs"), claim(2, "bob", "runtime")];
        let repo = "main".parse().unwrap();
        let snapshot = Snapshot::new(repo, 7, (scopes, "digest".to_owned()), claims).unwrap();
        snapshot.write(&work.state()).unwrap();
        work.join(&work.top);
        work
    }

    /// Begins the session of this process in the worktree `top`.
    fn join(&self, top: &Path) {
        let root = Root::find(Some(i32::try_from(std::process::id()).unwrap())).unwrap();
        let worktree = Worktree::find(top).unwrap().unwrap();
        let file = SessionFile::at(worktree.sessions().join(root.file_name()));
        let record = Record::new(
            SessionId::from_counter(1),
            ("ann".parse().unwrap(), 1),
            Secret::fresh().unwrap(),
            ("main".parse().unwrap(), "h1".parse().unwrap()),
            root,
        );
        file.lock().unwrap().write(&record).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.scratch.path().join("state")
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(folder).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("LC_ALL", "C");
        command.env("HOME", self.scratch.path()).env("MOLT_STATE", self.state());
        command.env("MOLT_AGENT_ROOT_PID", std::process::id().to_string());
        command.env("GIT_CONFIG_GLOBAL", self.scratch.path().join("gitconfig"));
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "ann");
            command.env(format!("GIT_{who}_EMAIL"), "ann@example.org");
        }
        command
    }

    fn try_git(&self, folder: &Path, arguments: &[&str]) -> Output {
        self.command("git", folder).args(arguments).output().unwrap()
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(&self.top, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn molt(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_molt-agent"), &self.top);
        command.args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn hooks(&self, arguments: &[&str]) -> Value {
        let output = self.molt(&[&["hooks", "--json"], arguments].concat(), "");
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn stage(&self, path: &str, text: &str) {
        let file = self.top.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self.git(&["add", "--", path]);
    }

    /// Every file of git's hooks and of the agent programs, with its permissions.
    fn files(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let folders = [".git/hooks", ".claude", ".codex"].map(|folder| self.top.join(folder));
        let listed = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let file = |path: PathBuf| {
            let mode = path.metadata().unwrap().permissions().mode();
            let text = fs::read(&path).unwrap();
            (path, (mode, text))
        };
        listed.map(|entry| file(entry.unwrap().path())).collect()
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_commit_of_what_another_holds_is_refused_and_ones_own_names_its_claim() {
    let work = Work::new();
    work.hooks(&["install", "git"]);
    work.stage("runtime/vm.rs", "x\n");
    let refused = work.try_git(&work.top, &["commit", "-m", "theirs"]);
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains("scope runtime is held by bob (clm_0002)"),
        "{}",
        said(&refused)
    );
    assert!(!said(&refused).contains("no-verify"), "{}", said(&refused));
    assert_eq!(work.git(&["rev-list", "--count", "HEAD"]), "1");

    work.git(&["reset", "--quiet"]);
    fs::remove_dir_all(work.top.join("runtime")).unwrap();
    work.stage("docs/a.md", "x\n");
    let before = work.git(&["commit", "-m", "ours", "-m", "A body."]);
    assert!(!before.contains("allowed"), "silence where all is well: {before}");
    let message = work.git(&["log", "-1", "--format=%B"]);
    assert_eq!(message, "ours\n\nA body.\n\nMolt-Claim: clm_0001 41");
    work.git(&["commit", "--quiet", "--amend", "--no-edit", "--allow-empty"]);
    assert_eq!(work.git(&["log", "-1", "--format=%B"]), message, "once");
    work.stage("docs/a.md", "y\n");
    let empty = work.try_git(&work.top, &["commit", "-m", ""]);
    assert!(!empty.status.success(), "an empty message stays empty: {}", said(&empty));
}

#[test]
fn a_push_of_what_another_holds_is_refused() {
    let work = Work::new();
    let remote = work.scratch.path().join("remote");
    work.git(&["init", "--quiet", "--bare", remote.to_str().unwrap()]);
    work.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    work.git(&["push", "--quiet", "origin", "main"]);
    work.stage("runtime/vm.rs", "x\n");
    work.git(&["commit", "--quiet", "-m", "before the hooks"]);
    let seen = work.top.join(".git/pushed");
    executable(&work.top.join(".git/hooks/pre-push"), "#!/bin/sh\ncat > .git/pushed\n");
    work.hooks(&["install", "git"]);
    let refused = work.try_git(&work.top, &["push", "origin", "main"]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("held by bob"), "{}", said(&refused));
    assert!(fs::read_to_string(seen).unwrap().starts_with("refs/heads/main "), "the former ran");

    work.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    work.stage("docs/a.md", "x\n");
    work.git(&["commit", "--quiet", "-m", "ours"]);
    work.git(&["push", "--quiet", "origin", "main"]);
    work.git(&["push", "--quiet", "origin", "main:gone"]);
    work.git(&["push", "--quiet", "origin", ":gone"]);
}

#[test]
fn hooks_that_were_there_go_first_and_come_back_byte_for_byte() {
    let work = Work::new();
    let hook = work.top.join(".git/hooks/pre-commit");
    executable(&hook, "#!/bin/sh\necho former >> ran\ntest ! -e refuse\n");
    fs::create_dir(work.top.join(".claude")).unwrap();
    let settings = "{\"model\": \"x\",\n \"hooks\": {\"Stop\": []}}\n";
    fs::write(work.top.join(".claude/settings.local.json"), settings).unwrap();
    let before = work.files();

    let planned = work.hooks(&["install", "--dry-run"]);
    assert_eq!((&planned["code"], work.files()), (&json!("planned"), before.clone()));
    let installed = work.hooks(&["install"]);
    assert_eq!(installed["data"], planned["data"], "what was shown is what is done");
    assert_eq!(work.hooks(&["install"])["code"], "same");
    assert!(!work.top.join(".codex").exists(), "nobody uses it here");

    work.stage("docs/a.md", "x\n");
    work.git(&["commit", "--quiet", "-m", "ours"]);
    assert_eq!(fs::read_to_string(work.top.join("ran")).unwrap(), "former\n");
    fs::write(work.top.join("refuse"), "").unwrap();
    work.stage("docs/a.md", "y\n");
    assert!(!work.try_git(&work.top, &["commit", "-m", "again"]).status.success());

    work.hooks(&["install", "codex"]);
    assert_ne!(work.files(), before);
    work.hooks(&["remove"]);
    assert_eq!(work.files(), before);
    assert_eq!(work.hooks(&["remove"])["code"], "same");
}

#[test]
fn hooks_of_every_repository_are_not_touched() {
    let work = Work::new();
    let theirs = work.scratch.path().join("all-hooks");
    fs::create_dir(&theirs).unwrap();
    work.git(&["config", "--global", "core.hooksPath", theirs.to_str().unwrap()]);
    let refused = work.molt(&["hooks", "install"], "");
    assert_eq!(refused.status.code(), Some(9));
    assert!(
        said(&refused).contains("global configuration has core.hooksPath"),
        "{}",
        said(&refused)
    );
    work.git(&["config", "--local", "core.hooksPath", theirs.to_str().unwrap()]);
    assert_eq!(work.molt(&["hooks", "install"], "").status.code(), Some(9), "it is outside");
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), 0);
    work.git(&["config", "--local", "core.hooksPath", ".own"]);
    work.hooks(&["install"]);
    assert!(work.top.join(".own/pre-commit").exists());
}

#[test]
fn a_linked_worktree_has_the_hooks_and_its_own_session() {
    let work = Work::new();
    work.hooks(&["install", "git"]);
    let side = work.top.with_file_name("side");
    work.git(&["worktree", "add", "--quiet", "--detach", side.to_str().unwrap()]);
    fs::create_dir(side.join("docs")).unwrap();
    fs::write(side.join("docs/a.md"), "x\n").unwrap();
    assert!(work.try_git(&side, &["add", "--all"]).status.success());
    let refused = work.try_git(&side, &["commit", "-m", "nobody's"]);
    assert!(said(&refused).contains("held by ann"), "no session yet: {}", said(&refused));
    work.join(&side);
    let done = work.try_git(&side, &["commit", "-m", "ours"]);
    assert!(done.status.success(), "{}", said(&done));
}

/// What Claude Code tells the hook before it writes `path`.
fn write(work: &Work, path: &str) -> String {
    let path = work.top.join(path);
    json!({
        "hook_event_name": "PreToolUse", "cwd": work.top, "tool_name": "Write",
        "tool_input": { "file_path": path, "content": "x" },
    })
    .to_string()
}

#[test]
fn an_agents_tool_is_answered_in_its_own_form() {
    let work = Work::new();
    let hook = |stdin: &str| work.molt(&["check", "--hook", "claude"], stdin);
    let allowed = hook(&write(&work, "docs/new/a.md"));
    assert_eq!((allowed.status.code(), said(&allowed).as_str()), (Some(0), ""));
    let denied = hook(&write(&work, "runtime/vm.rs"));
    assert_eq!((denied.status.code(), denied.stdout.len()), (Some(2), 0));
    let reason = String::from_utf8(denied.stderr).unwrap();
    assert!(reason.starts_with("denied   runtime/vm.rs  scope runtime is held by bob"), "{reason}");
    assert!(reason.contains("next     molt-agent claim runtime --wait 15m"), "{reason}");
    for odd in ["", "{}", "[1]", "\u{0}"] {
        let denied = hook(odd);
        assert_eq!(denied.status.code(), Some(2), "{odd}");
        assert!(!denied.stderr.is_empty());
    }
    let files: String = (0..40).map(|n| format!("*** Add File: runtime/{n}.rs\n+x\n")).collect();
    let patch = json!({
        "hook_event_name": "PreToolUse", "cwd": work.top, "tool_name": "apply_patch",
        "tool_input": { "command": format!("*** Begin Patch\n{files}*** End Patch\n") },
    });
    let denied = work.molt(&["check", "--hook", "codex"], &patch.to_string());
    assert_eq!(denied.status.code(), Some(2));
    assert!(said(&denied).lines().count() <= 8, "{}", said(&denied));
    fs::remove_dir_all(work.state()).unwrap();
    let unknown = hook(&write(&work, "docs/a.md"));
    assert_eq!(unknown.status.code(), Some(2), "no snapshot allows nothing");
}

#[test]
fn the_installed_command_denies_where_the_program_is_gone() {
    let work = Work::new();
    let installed = work.hooks(&["install", "claude"]);
    let entry = installed["data"]["steps"][0]["new"].as_str().unwrap();
    let entry: Value = serde_json::from_str(entry).unwrap();
    let command = entry["hooks"][0]["command"].as_str().unwrap();
    let run = |command: &str, path: &str| {
        let mut shell = work.command("sh", &work.top);
        let child = shell.args(["-c", command]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        // A program that is gone reads nothing.
        drop(child.stdin.take().unwrap().write_all(write(&work, path).as_bytes()));
        child.wait_with_output().unwrap()
    };
    assert_eq!(run(command, "docs/a.md").status.code(), Some(0));
    assert_eq!(run(command, "runtime/a.rs").status.code(), Some(2));
    let gone = run(&command.replace("molt-agent", "molt-absent"), "docs/a.md");
    assert_eq!(gone.status.code(), Some(2));
    assert!(!gone.stderr.is_empty(), "a reason is needed");
}
