//! The repository, read through the git program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// A repository that is only read.
#[derive(Debug)]
pub(super) struct Git {
    dir: PathBuf,
}

/// A commit of the branch.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) tree: String,
    pub(super) parents: Vec<String>,
}

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// The author's name and address.
    pub(super) author: String,
    /// When it was written, with the zone.
    pub(super) date: String,
    pub(super) message: String,
}

impl Git {
    /// The repository at `path`: a bare one, or a worktree's.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let git = Self { dir: path.to_owned() };
        let dir = git.text(&["rev-parse", "--absolute-git-dir"])?;
        Ok(Self { dir: dir.trim_end().into() })
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
        let mut command = Command::new("git");
        // Neither the caller's settings nor replaced objects may change what is read.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(name);
        }
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("LC_ALL", "C")
            .arg("-C")
            .arg(&self.dir)
            .args(arguments);
        command.output().context("the git program")
    }

    fn bytes(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        let output = self.run(arguments)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let place = self.dir.display();
            bail!("git {} in {place}: {}", arguments.join(" "), said.trim_end());
        }
        Ok(output.stdout)
    }

    fn text(&self, arguments: &[&str]) -> anyhow::Result<String> {
        String::from_utf8(self.bytes(arguments)?)
            .with_context(|| format!("git {} printed no UTF-8", arguments.join(" ")))
    }

    /// The branch's commits along first parents, oldest first.
    pub(super) fn steps(&self, branch: &str) -> anyhow::Result<Vec<Commit>> {
        let name = format!("refs/heads/{branch}");
        let log = self.text(&["log", "--first-parent", "--reverse", "--format=%H %T %P", &name])?;
        let commit = |line: &str| {
            let mut ids = line.split(' ').filter(|id| !id.is_empty()).map(str::to_owned);
            let (id, tree) = (ids.next(), ids.next());
            let (Some(id), Some(tree)) = (id, tree) else { bail!("git log printed `{line}`") };
            Ok(Commit { id, tree, parents: ids.collect() })
        };
        log.lines().map(commit).collect()
    }

    /// The tree of a commit, if the repository has that commit.
    pub(super) fn tree_of(&self, commit: &str) -> anyhow::Result<Option<String>> {
        if !is_id(commit) {
            return Ok(None);
        }
        let name = format!("{commit}^{{tree}}");
        let output = self.run(&["rev-parse", "--verify", "--quiet", &name])?;
        let tree = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        Ok(output.status.success().then_some(tree))
    }

    /// A file of a commit, if it has one there.
    pub(super) fn file(&self, commit: &str, path: &str) -> anyhow::Result<Option<String>> {
        if self.bytes(&["ls-tree", commit, "--", path])?.is_empty() {
            return Ok(None);
        }
        self.text(&["cat-file", "blob", &format!("{commit}:{path}")]).map(Some)
    }

    /// Every entry of a tree: mode, type and id; path.
    pub(super) fn entries(&self, tree: &str) -> anyhow::Result<Vec<(String, String)>> {
        let listed = self.bytes(&["ls-tree", "-r", "-z", tree])?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let entry = |entry: &str| {
            let (is, path) = entry.split_once('\t').context("git ls-tree printed no path")?;
            Ok((is.to_owned(), path.to_owned()))
        };
        listed.split_terminator('\0').map(entry).collect()
    }

    /// The paths in which two trees differ; both sides of a rename.
    pub(super) fn changed(&self, from: &str, to: &str) -> anyhow::Result<Vec<String>> {
        let named =
            self.bytes(&["diff-tree", "-r", "-z", "--no-renames", "--name-only", from, to])?;
        let named = String::from_utf8_lossy(&named).into_owned();
        Ok(named.split_terminator('\0').map(str::to_owned).collect())
    }

    /// What a commit says.
    pub(super) fn words(&self, commit: &str) -> anyhow::Result<Words> {
        let text = self.bytes(&["cat-file", "commit", commit])?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let (header, message) = text.split_once("\n\n").context("a commit without an end")?;
        let author = header.lines().find_map(|line| line.strip_prefix("author "));
        let (author, date) = author
            .and_then(|author| author.rsplit_once("> "))
            .with_context(|| format!("{commit} has no author"))?;
        Ok(Words {
            author: format!("{author}>"),
            date: date.to_owned(),
            message: message.to_owned(),
        })
    }

    /// The commits of a head that a base lacks, oldest first.
    pub(super) fn lacking(&self, base: &str, head: &str) -> anyhow::Result<Vec<String>> {
        let range = format!("{base}..{head}");
        let listed = self.text(&["rev-list", "--topo-order", "--reverse", &range])?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// Where two commits parted.
    pub(super) fn merge_base(&self, a: &str, b: &str) -> anyhow::Result<String> {
        Ok(self.text(&["merge-base", a, b])?.trim_end().to_owned())
    }

    /// What the commits of the fence say, oldest first; none when there is no fence.
    pub(super) fn fences(&self) -> anyhow::Result<Vec<String>> {
        if self.bytes(&["for-each-ref", "refs/molt/fence"])?.is_empty() {
            return Ok(Vec::new());
        }
        let log =
            self.text(&["log", "--first-parent", "--reverse", "--format=%s", "refs/molt/fence"])?;
        Ok(log.lines().map(str::to_owned).collect())
    }
}

fn is_id(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
