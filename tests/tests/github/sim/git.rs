//! A bare repository: what the simulator says of refs and commits is asked of git, never stored.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

/// No object, as git writes it.
pub(super) const ZERO: &str = "0000000000000000000000000000000000000000";

/// Who commits where the test doesn't say.
const IDENTITY: [(&str, &str); 6] = [
    ("GIT_AUTHOR_NAME", "Mona"),
    ("GIT_AUTHOR_EMAIL", "mona@example.invalid"),
    ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z"),
    ("GIT_COMMITTER_NAME", "Mona"),
    ("GIT_COMMITTER_EMAIL", "mona@example.invalid"),
    ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z"),
];

/// What refuses a push to a guarded ref, in the words that GitHub has for it.
const GUARD: &str = r#"#!/bin/sh
if grep -qxF "$1" guarded 2>/dev/null; then
    echo "error: GH006: Protected branch update failed for $1." >&2
    exit 1
fi
"#;

/// The git program, deaf to the configuration of whoever runs the tests.
pub(super) fn program() -> Command {
    let mut command = Command::new("git");
    command.envs(IDENTITY).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

#[derive(Clone, Debug)]
pub(super) struct Git {
    pub(super) dir: PathBuf,
    /// Where refs stood at a moment, if it is asked as of then.
    pub(super) stood: Option<Arc<BTreeMap<String, String>>>,
}

impl Git {
    /// A new repository, whose pull requests can be fetched and not be pushed to.
    pub(super) fn init(dir: &Path) -> Self {
        let git = Self { dir: dir.to_owned(), stood: None };
        let made = program().args(["init", "--quiet", "--bare", "-b", "main"]).arg(dir).status();
        assert!(made.expect("git is there").success(), "git init {}", dir.display());
        for (name, value) in [
            ("http.receivepack", "true"),
            ("receive.hideRefs", "refs/pull"),
            ("receive.advertiseAtomic", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("gc.auto", "0"),
        ] {
            git.run(&["config", name, value]);
        }
        let hook = dir.join("hooks/update");
        fs::write(&hook, GUARD).expect("hooks can be written");
        fs::set_permissions(&hook, Permissions::from_mode(0o755)).expect("hooks are ours");
        git
    }

    /// Lets nobody push to these refs.
    pub(super) fn guard(&self, refs: &[String]) {
        fs::write(self.dir.join("guarded"), refs.join("\n")).expect("the repository is ours");
    }

    fn output(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = program()
            .arg("--git-dir")
            .arg(&self.dir)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git is there");
        let mut stdin = child.stdin.take().expect("its input is a pipe");
        // A command that refuses at once reads nothing; its status says so.
        drop(stdin.write_all(input));
        drop(stdin);
        child.wait_with_output().expect("git ends")
    }

    /// What the command prints, or none if it says no.
    pub(super) fn ask(&self, arguments: &[&str]) -> Option<String> {
        let output = self.output(arguments, &[]);
        let printed = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        output.status.success().then_some(printed)
    }

    /// Whether git finds nothing wrong with what is in here; else what it says.
    pub(super) fn sound(&self) -> Result<(), String> {
        let output = self.output(&["fsck", "--strict", "--no-dangling"], &[]);
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    /// What the command prints; it has to work.
    pub(super) fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Every ref and where it stands.
    pub(super) fn refs(&self) -> BTreeMap<String, String> {
        let lines = self.run(&["for-each-ref", "--format=%(refname) %(objectname)"]);
        let pairs = lines.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(name, tip)| (name.to_owned(), tip.to_owned())).collect()
    }

    /// Where a ref stands.
    pub(super) fn tip(&self, name: &str) -> Option<String> {
        if let Some(stood) = &self.stood
            && name.starts_with("refs/")
        {
            return stood.get(name.trim_end_matches("^{commit}")).cloned();
        }
        self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", name])
    }

    /// The commit that a sha, a branch or a ref means, if there is one.
    pub(super) fn commit(&self, name: &str) -> Option<String> {
        let names = [name.to_owned(), format!("refs/heads/{name}"), format!("refs/{name}")];
        names.iter().find_map(|name| self.tip(&format!("{name}^{{commit}}")))
    }

    pub(super) fn is_ancestor(&self, old: &str, new: &str) -> bool {
        self.ask(&["merge-base", "--is-ancestor", old, new]).is_some()
    }

    /// Whether two commits merge without a conflict.
    pub(super) fn merges(&self, base: &str, head: &str) -> bool {
        self.ask(&["merge-tree", "--write-tree", base, head]).is_some()
    }

    /// Moves refs together, each from where it is thought to stand; all or nothing.
    pub(super) fn update(&self, moves: &[(String, String, Option<String>)]) -> Result<(), String> {
        let mut script = String::from("start\n");
        for (name, new, old) in moves {
            let old = old.as_deref().map(|old| format!(" {old}")).unwrap_or_default();
            let line = if new == ZERO {
                format!("delete {name}{old}\n")
            } else {
                format!("update {name} {new}{old}\n")
            };
            script.push_str(&line);
        }
        script.push_str("prepare\ncommit\n");
        let output = self.output(&["update-ref", "--stdin"], script.as_bytes());
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    /// A commit on `parents` whose tree is the first one's with these files written over.
    pub(super) fn commit_files(
        &self,
        parents: &[&str],
        files: &[(&str, &str)],
        message: &str,
    ) -> String {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let index = scratch.path().join("index");
        let indexed = |arguments: &[&str]| {
            let mut command = program();
            command.env("GIT_INDEX_FILE", &index).arg("--git-dir").arg(&self.dir).args(arguments);
            let output = command.output().expect("git is there");
            assert!(output.status.success(), "git {arguments:?}");
            String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
        };
        if let Some(parent) = parents.first() {
            indexed(&["read-tree", parent]);
        }
        for (path, text) in files {
            let blob = self.output(&["hash-object", "-w", "--stdin"], text.as_bytes());
            let blob = String::from_utf8_lossy(&blob.stdout).trim_end().to_owned();
            indexed(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")]);
        }
        let tree = indexed(&["write-tree"]);
        let mut arguments = vec!["commit-tree", &tree, "-m", message];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        self.run(&arguments)
    }
}
