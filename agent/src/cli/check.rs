//! `check`: may I edit or commit this?
//!
//! Asked by hand, by git's hooks, or by those of an agent program ([`tool`]).

mod pushed;
mod stdin;
mod tool;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use molt_domain::id::SessionId;
use serde_json::json;

use super::context::Context;
use super::git::{Git, Listed};
use super::render::word;
use crate::clock;
use crate::error::{Error, Exit};
use crate::guard::{Program, Ruling, Snapshot, SnapshotClaim, Staleness, Verdict, judge_pushed};
use crate::session::Worktree;
use crate::ui::{Answer, plural, span};

/// May I edit or commit these paths? Answered from the host's snapshot at once.
///
/// Exit 0: each is open, or covered by your claims. Exit 4: somebody else holds
/// one. Exit 9: nobody has claimed one; the answer names the scope to claim.
/// Exit 10: there is no fresh snapshot, so nothing can be allowed. As the hook of
/// an agent program it reads the program's payload on stdin and answers in its
/// form: silence for allowed, exit 2 with the reason on stderr for denied.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent check runtime/src/vm.rs docs/index.md
  molt-agent check --staged
  molt-agent check --hook git
  molt-agent check --hook claude")]
pub(super) struct Check {
    /// Paths, as seen from here; they need not exist.
    #[arg(required_unless_present_any = ["staged", "hook"], value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The paths that a commit made now would change.
    #[arg(long)]
    staged: bool,
    /// Answer the hook of this program: git (what is staged), claude or codex
    /// (what its tool is about to write).
    #[arg(long, value_name = "PROGRAM", conflicts_with = "paths")]
    hook: Option<Hook>,
    /// For git's pre-push: not what is staged, but what the commits change that
    /// stdin says are about to be pushed.
    #[arg(long, requires = "hook", conflicts_with_all = ["paths", "staged"])]
    pushed: bool,
}

/// Whose hook asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Hook {
    /// Git's, before it commits or pushes.
    Git,
    /// Claude Code's, before a tool runs.
    Claude,
    /// Codex's, before a tool runs.
    Codex,
}

impl Check {
    pub(super) fn run(self, context: &Context) -> Result<Answer, Error> {
        match self.hook {
            Some(Hook::Claude) => Ok(tool::answer(context, Program::Claude)),
            Some(Hook::Codex) => Ok(tool::answer(context, Program::Codex)),
            // Git shows what a hook prints: nothing where all is well.
            Some(Hook::Git) => Ok(self.by_hand(context)?.silent_if_ok()),
            None => self.by_hand(context),
        }
    }

    fn by_hand(self, context: &Context) -> Result<Answer, Error> {
        let worktree = context.worktree()?;
        let mut paths = Vec::new();
        for path in &self.paths {
            paths.extend(inside(worktree, path, context.cwd())?);
        }
        if self.pushed {
            return pushed::answer(context, &stdin::all()?);
        }
        if self.staged || self.hook.is_some() {
            paths.extend(staged(worktree)?);
        }
        decide(context, paths)
    }
}

/// What the host's snapshot says about `paths` for the session of this call.
fn decide(context: &Context, paths: Vec<String>) -> Result<Answer, Error> {
    let paths = paths.into_iter().map(|path| (path, Vec::new()));
    decide_each(context, paths.collect())
}

/// What it says about paths, each with the claims under which it was committed.
fn decide_each(
    context: &Context,
    mut paths: Vec<(String, Vec<SnapshotClaim>)>,
) -> Result<Answer, Error> {
    if paths.is_empty() {
        return Ok(
            Answer::new("check", "allowed", json!({ "paths": [] })).line("allowed", ["0 paths"])
        );
    }
    paths.sort_by(|(left, _), (right, _)| left.cmp(right));
    paths.dedup();
    let session = context.session_file()?.read()?;
    let repo = context.repo(session.as_ref())?;
    let Some(snapshot) = Snapshot::read(context.state(), &repo)? else {
        return Err(Error::unavailable(format!(
            "no snapshot of repository {repo} on this host: the first claim starts it"
        )));
    };
    let answer = judged(&snapshot, session.map(|record| record.id), paths);
    let stale = snapshot.staleness(clock::boottime()).map_err(|error| {
        Error::unavailable(format!("cannot tell how old the snapshot is: {error}"))
    })?;
    believe(answer, stale)
}

/// The paths that writing to `path` changes.
fn inside(worktree: &Worktree, path: &Path, cwd: &Path) -> Result<Vec<String>, Error> {
    let paths = worktree.paths_of(path, cwd)?;
    let (shown, top) = (path.display(), worktree.top.display());
    if paths.is_empty() {
        return Err(Error::usage(format!("{shown} is not a file below {top}")));
    }
    let full = cwd.join(path);
    if full.is_dir() && !full.is_symlink() && !full.join(".git").exists() {
        return Err(Error::usage(format!("{shown} is a folder: name files")));
    }
    Ok(paths)
}

/// The paths that a commit made now would change.
pub(super) fn staged(worktree: &Worktree) -> Result<Vec<String>, Error> {
    let merging = worktree.git_dir.join("MERGE_HEAD");
    let merged = match std::fs::read_to_string(&merging) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::file("read", &merging)(error)),
    };
    Git::new(&worktree.top).staged(&merged)?.into_iter().map(in_words).collect()
}

fn in_words(path: Listed) -> Result<String, Error> {
    path.map_err(|raw| Error::Precondition {
        problem: format!("{}: not UTF-8, so it is in no scope", raw.display()),
    })
}

fn judged(
    snapshot: &Snapshot,
    me: Option<SessionId>,
    paths: Vec<(String, Vec<SnapshotClaim>)>,
) -> Answer {
    let rule = |(path, under): (String, Vec<SnapshotClaim>)| Ruling {
        verdict: judge_pushed(snapshot, me, &path, &under),
        path,
    };
    let rulings: Vec<Ruling> = paths.into_iter().map(rule).collect();
    let denied: Vec<&Ruling> =
        rulings.iter().filter(|ruling| ruling.verdict.exit() != Exit::Ok).collect();
    let (code, exit) =
        match denied.iter().map(|ruling| ruling.verdict.exit()).min_by_key(|e| e.code()) {
            None => ("allowed", Exit::Ok),
            Some(Exit::Held) => ("held", Exit::Held),
            Some(exit) => ("unclaimed", exit),
        };
    let answer = Answer::new("check", code, json!({ "paths": rulings }));
    if denied.is_empty() {
        return answer.line("allowed", [plural(rulings.len(), "path")]).rev(snapshot.rev);
    }
    let mut answer = denied.iter().fold(answer, |answer, ruling| {
        answer.line("denied", [ruling.path.clone(), ruling.verdict.to_string()])
    });
    for step in steps(&denied) {
        answer = answer.next(step);
    }
    answer.exits(exit).rev(snapshot.rev)
}

/// What makes the denied paths allowed: claiming, or waiting for the holder.
fn steps(denied: &[&Ruling]) -> Vec<String> {
    let mut wanted: Vec<&str> = Vec::new();
    let mut held = false;
    for ruling in denied {
        let scope = match &ruling.verdict {
            Verdict::Held { scope, .. } => {
                held = true;
                match scope {
                    Some(scope) => scope,
                    None => continue,
                }
            }
            Verdict::Unclaimed { scope } => scope,
            Verdict::Open | Verdict::Yours | Verdict::Committed { .. } | Verdict::NoScope => {
                continue;
            }
        };
        if !wanted.contains(&scope.as_str()) {
            wanted.push(scope.as_str());
        }
    }
    let wait = if held { " --wait 15m" } else { "" };
    match wanted.is_empty() {
        true if held => vec!["molt-agent status --fleet".to_owned()],
        true => vec![
            "ask for a scope in molt.toml that has these paths".to_owned(),
            format!("molt-agent claim --path {}", word(&denied[0].path)),
        ],
        false => vec![format!("molt-agent claim {}{wait}", wanted.join(" "))],
    }
}

/// A snapshot that is not fresh denies as always, but allows nothing.
fn believe(answer: Answer, stale: Staleness) -> Result<Answer, Error> {
    let problem = match stale {
        _ if answer.exit() != Exit::Ok => return Ok(answer),
        Staleness::Fresh => return Ok(answer),
        Staleness::Old(age) => {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            format!("the snapshot is {} old: the daemon or its coordinator is away", span(age))
        }
        Staleness::OtherBoot => "the snapshot is from before the machine was started".to_owned(),
    };
    Err(Error::unavailable(problem))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::guard::tests::snapshot;

    fn check(me: u64, paths: &[&str]) -> Answer {
        let paths = paths.iter().map(|&path| (path.to_owned(), Vec::new())).collect();
        judged(&snapshot(), Some(SessionId::from_counter(me)), paths)
    }

    #[test]
    fn what_is_covered_or_open_is_allowed() {
        let answer = check(1, &["runtime/vm.rs", "logs/x"]);
        assert_eq!(answer.text(), "allowed  2 paths\n");
        assert_eq!(
            answer.json(),
            "{\"schema\":\"molt.check/1\",\"ok\":true,\"code\":\"allowed\",\"data\":{\"paths\":[\
             {\"path\":\"runtime/vm.rs\",\"verdict\":\"yours\"},\
             {\"path\":\"logs/x\",\"verdict\":\"open\"}]},\"next\":[],\"warn\":[],\"rev\":42}"
        );
    }

    #[test]
    fn one_path_of_somebody_else_denies_all() {
        let answer = check(2, &["docs/a.md", "runtime/vm.rs"]);
        assert_eq!(answer.exit(), Exit::Held);
        assert_eq!(
            answer.text(),
            "denied   docs/a.md  not claimed: scope docs\n\
             denied   runtime/vm.rs  scope runtime is held by agent-1 (clm_0001)\n\
             next     molt-agent claim docs runtime --wait 15m\n"
        );
    }

    #[test]
    fn what_nobody_claimed_names_the_scope() {
        let answer = check(1, &["docs/a.md", "docs/b.md"]);
        assert_eq!(answer.exit(), Exit::Precondition);
        assert!(answer.text().ends_with("next     molt-agent claim docs\n"), "{}", answer.text());
        assert_eq!(check(1, &["src/x.rs"]).exit(), Exit::Precondition);
    }

    #[test]
    fn a_stale_snapshot_only_denies() {
        let old = Staleness::Old(Duration::from_secs(300));
        let refused = believe(check(1, &["runtime/vm.rs"]), old).unwrap_err();
        assert_eq!(refused.exit(), Exit::Unavailable);
        assert!(refused.to_string().contains("5m old"), "{refused}");
        let denied = believe(check(2, &["runtime/vm.rs"]), Staleness::OtherBoot).unwrap();
        assert_eq!(denied.exit(), Exit::Held, "a denial stands");
        assert!(believe(check(1, &["runtime/vm.rs"]), Staleness::Fresh).is_ok());
    }
}
