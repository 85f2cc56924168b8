//! `hooks`: the guard where edits, commits and pushes happen.

mod trailer;

pub(super) use trailer::TRAILER;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::check::Hook;
use super::context::Context;
use super::git::Git;
use super::render::word;
use super::wrapped::program;
use crate::error::Error;
use crate::guard::Program;
use crate::hooks::settings::Removed;
use crate::hooks::{Obstacle, Plan, Standing, Step, read, script, settings};
use crate::session::Worktree;
use crate::session::place::resolved;
use crate::ui::Answer;

/// Put the guard into git's hooks and into the settings of agent programs: what
/// others hold is refused before it is edited, committed or pushed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent hooks install --dry-run
  molt-agent hooks status")]
pub(super) struct Hooks {
    #[command(subcommand)]
    what: What,
}

/// What can be done about hooks.
#[derive(Debug, Subcommand)]
enum What {
    Install(Install),
    Status(Status),
    Remove(Remove),
    /// Adds the claims of a commit to its message; git's commit-msg runs it.
    #[command(hide = true)]
    Trailer {
        /// The file of the message.
        file: PathBuf,
    },
}

/// Install what is not there yet. Hooks that are there run first and decide too;
/// settings keep all that is in them. Running it again repairs and renews.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent hooks install git claude
  molt-agent hooks install --dry-run")]
struct Install {
    /// Where to: git, claude, codex; else git and the programs that this worktree
    /// has a folder of.
    #[arg(value_name = "PROGRAM")]
    programs: Vec<Hook>,
    /// Only say what would be changed.
    #[arg(long)]
    dry_run: bool,
}

/// Show which hooks are installed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent hooks status")]
struct Status {}

/// Remove what was installed and bring back what was there before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent hooks remove --dry-run
  molt-agent hooks remove codex")]
struct Remove {
    /// Where from: git, claude, codex; else everywhere.
    #[arg(value_name = "PROGRAM")]
    programs: Vec<Hook>,
    /// Only say what would be changed.
    #[arg(long)]
    dry_run: bool,
}

impl Hooks {
    pub(super) fn run(self, context: &Context) -> Result<Answer, Error> {
        if let What::Trailer { file } = self.what {
            return trailer::add(context, &file);
        }
        let molt = program()?;
        let Some(molt) = molt.to_str().map(word) else {
            return Err(Error::usage(format!(
                "{}: not UTF-8, so no hook can name it",
                molt.display()
            )));
        };
        let place = Place { worktree: context.worktree()?, molt };
        match self.what {
            What::Install(install) => place.install(install),
            What::Remove(remove) => place.remove(remove),
            _ => place.status(),
        }
    }
}

/// All that hooks can be put into.
const ALL: [Hook; 3] = [Hook::Git, Hook::Claude, Hook::Codex];

/// A worktree, and this program as a word of the shell.
struct Place<'a> {
    worktree: &'a Worktree,
    molt: String,
}

impl Place<'_> {
    fn install(&self, asked: Install) -> Result<Answer, Error> {
        let present = |hook: &Hook| match agent(*hook) {
            None => true,
            Some(program) => {
                let file = Path::new(settings::file(program));
                file.parent().is_some_and(|folder| self.worktree.top.join(folder).is_dir())
            }
        };
        let programs = match asked.programs.is_empty() {
            true => ALL.into_iter().filter(present).collect(),
            false => asked.programs,
        };
        let mut plan = Plan::default();
        for hook in &programs {
            plan.steps.extend(match agent(*hook) {
                None => script::install(&self.git_hooks()?, &self.molt)?.steps,
                Some(program) => self.add(program)?,
            });
        }
        let answer = carry_out("installed", &plan, asked.dry_run)?;
        self.advise(answer, &programs)
    }

    fn remove(&self, asked: Remove) -> Result<Answer, Error> {
        let programs = if asked.programs.is_empty() { ALL.to_vec() } else { asked.programs };
        let mut plan = Plan::default();
        for hook in programs {
            plan.steps.extend(match agent(hook) {
                None => script::remove(&self.git_hooks()?, &self.molt)?.steps,
                Some(program) => self.take_out(program)?,
            });
        }
        carry_out("removed", &plan, asked.dry_run)
    }

    fn status(&self) -> Result<Answer, Error> {
        let mut found: Vec<(String, Standing)> = Vec::new();
        for (name, standing) in script::status(&self.git_hooks()?, &self.molt)? {
            found.push((format!("git {name}"), standing));
        }
        for program in [Program::Claude, Program::Codex] {
            let text = read(&self.settings(program))?;
            let standing = settings::status(program, &self.molt, text.as_deref());
            let standing = standing.map_err(|problem| self.unreadable(program, &problem))?;
            found.push((settings::file(program).to_owned(), standing));
        }
        let data: Vec<_> = found
            .iter()
            .map(|(hook, standing)| json!({ "hook": hook, "standing": standing }))
            .collect();
        let missing = found.iter().any(|(_, standing)| *standing != Standing::Installed);
        let answer = Answer::new("hooks", "status", json!({ "hooks": data }));
        let answer = found.iter().fold(answer, |answer, (hook, standing)| {
            let said = match standing {
                Standing::Absent => "absent",
                Standing::Installed => "installed",
                Standing::Outdated => "outdated",
                Standing::Foreign => "foreign",
            };
            answer.line(said, [hook])
        });
        Ok(if missing { answer.next("molt-agent hooks install") } else { answer })
    }

    /// The folder of git's hooks, if it belongs to this repository.
    fn git_hooks(&self) -> Result<PathBuf, Error> {
        let hooks = Git::new(&self.worktree.top).hooks()?;
        let place = resolved(&hooks);
        if place.starts_with(&self.worktree.top) || place.starts_with(&self.worktree.common_dir) {
            return Ok(hooks);
        }
        Err(Error::Precondition {
            problem: format!(
                "{} is outside of this repository, so others use it too",
                hooks.display()
            ),
        })
    }

    /// The settings of `program`; where it is a link, the file behind it.
    fn settings(&self, program: Program) -> PathBuf {
        resolved(&self.worktree.top.join(settings::file(program)))
    }

    fn add(&self, program: Program) -> Result<Vec<Step>, Error> {
        let path = self.settings(program);
        let seen = read(&path)?;
        let text = settings::added(program, &self.molt, seen.as_deref());
        let text = text.map_err(|problem| self.unreadable(program, &problem))?;
        let new = settings::shown(program, &self.molt);
        let mode = mode(&path);
        Ok(text.map(|text| Step::Write { path, text, new, mode, seen }).into_iter().collect())
    }

    fn take_out(&self, program: Program) -> Result<Vec<Step>, Error> {
        let path = self.settings(program);
        let Some(seen) = read(&path)? else { return Ok(Vec::new()) };
        let left = settings::removed(program, &seen);
        Ok(match left.map_err(|problem| self.unreadable(program, &problem))? {
            Removed::Same => Vec::new(),
            Removed::File => vec![Step::Remove { path, seen }],
            Removed::Text(text) => {
                let mode = mode(&path);
                vec![Step::Write { path, text, new: String::new(), mode, seen: Some(seen) }]
            }
        })
    }

    fn unreadable(&self, program: Program, problem: &Obstacle) -> Error {
        let path = self.settings(program);
        Error::Precondition { problem: format!("{}: {problem}", path.display()) }
    }

    /// What is left to a person after an install.
    fn advise(&self, mut answer: Answer, programs: &[Hook]) -> Result<Answer, Error> {
        for program in programs.iter().filter_map(|hook| agent(*hook)) {
            let file = settings::file(program);
            if !Git::new(&self.worktree.top).ignores(file)? {
                answer = answer.warn(format!(
                    "git does not ignore {file}: it names a path of this machine, keep it out of commits"
                ));
            }
            if program == Program::Codex {
                answer = answer.warn("Codex runs a new hook once a person trusts it: /hooks there");
            }
        }
        Ok(answer)
    }
}

/// The agent program that a hook is of.
fn agent(hook: Hook) -> Option<Program> {
    match hook {
        Hook::Git => None,
        Hook::Claude => Some(Program::Claude),
        Hook::Codex => Some(Program::Codex),
    }
}

/// The permissions of `path`, or those of a new file.
fn mode(path: &Path) -> u32 {
    path.metadata().map_or(0o644, |found| found.permissions().mode() & 0o777)
}

/// Carries out a plan unless it is only to be shown, and says what is in it.
fn carry_out(done: &str, plan: &Plan, dry_run: bool) -> Result<Answer, Error> {
    let code = match (plan.steps.is_empty(), dry_run) {
        (true, _) => "same",
        (false, true) => "planned",
        (false, false) => done,
    };
    if !dry_run {
        plan.carry_out()?;
    }
    let answer = Answer::new("hooks", code, json!({ "steps": plan }));
    if plan.steps.is_empty() {
        return Ok(answer.line("same", ["nothing to change"]));
    }
    Ok(plan
        .steps
        .iter()
        .map(Step::shown)
        .fold(answer, |answer, (label, file)| answer.line(label, [file])))
}
