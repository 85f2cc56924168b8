//! The agents: shell scripts in worktrees of their own, each under a host.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::error::DemoError;
use super::stage::Stage;

/// The scripts, by name.
pub(super) const SCRIPTS: [(&str, &str); 6] = [
    ("hold.sh", include_str!("agents/hold.sh")),
    ("wait.sh", include_str!("agents/wait.sh")),
    ("plan.sh", include_str!("agents/plan.sh")),
    ("work.sh", include_str!("agents/work.sh")),
    ("build.sh", include_str!("agents/build.sh")),
    ("slot.sh", include_str!("agents/slot.sh")),
];

/// Who takes part, and on which host.
pub(super) const CAST: [(&str, &str); 6] =
    [("ann", "h1"), ("bob", "h2"), ("cyd", "h3"), ("dan", "h1"), ("eve", "h1"), ("pam", "h2")];

/// The hosts.
pub(super) const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// An agent at work.
#[derive(Debug)]
pub(super) struct Agent {
    name: &'static str,
    script: String,
    child: Child,
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Agent {
    /// Starts `name` with a script and its arguments.
    pub(super) fn start(
        stage: &Stage<'_>,
        name: &'static str,
        script: &str,
        arguments: &[&str],
    ) -> Result<Self, DemoError> {
        let host = CAST.iter().find(|(known, _)| *known == name).map_or("h1", |(_, host)| host);
        let log = stage.path("logs").join(format!("{name}.log"));
        let failed = |source| DemoError::File { path: log.clone(), source };
        let out = File::options().append(true).create(true).open(&log).map_err(failed)?;
        let errors = out.try_clone().map_err(failed)?;
        let mut command = stage.programs.script(&stage.path("agents").join(script));
        command
            .args(arguments)
            .current_dir(stage.worktree(name))
            .envs(stage.of_host(host))
            .env("MOLT_COORD_ENDPOINTS", stage.address())
            .env("MOLT_AGENT_NAME", name)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(errors)
            // A signal from the terminal is for the demonstration, which ends what it started.
            .process_group(0);
        let program = format!("{script} of {name}");
        let mut child = command
            .spawn()
            .map_err(|source| DemoError::Start { program: program.clone(), source })?;
        let stdin = child.stdin.take();
        Ok(Self { name, script: program, child, stdin, log })
    }

    /// Lets it go on where it waits to be told.
    pub(super) fn go(&mut self) -> Result<(), DemoError> {
        let Some(stdin) = &mut self.stdin else { return Ok(()) };
        let told = stdin.write_all(b"go\n").and_then(|()| stdin.flush());
        told.map_err(|source| DemoError::Start { program: self.script.clone(), source })
    }

    /// Waits until it has ended well.
    pub(super) fn finish(mut self, stage: &Stage<'_>) -> Result<(), DemoError> {
        let (name, script, log) = (self.name, self.script.clone(), self.log.clone());
        let ended =
            stage.watch.wait(&format!("the end of {script}"), stage.recipe.patience, |_| {
                let ended = self.child.try_wait();
                ended.map_err(|source| DemoError::Start { program: name.to_owned(), source })
            });
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(DemoError::Ended {
                program: script,
                status: status.to_string(),
                said: last_lines(&log),
            }),
            Err(error) => Err(error),
        }
    }

    /// Kills the agent itself, as if it had crashed.
    pub(super) fn crash(mut self) -> Result<(), DemoError> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let failed = |source| DemoError::Start { program: self.script.clone(), source };
        kill(pid, Signal::SIGKILL).map_err(|errno| failed(errno.into()))?;
        self.child.wait().map(drop).map_err(failed)
    }
}

impl Drop for Agent {
    /// Whatever became of it, nothing of it is left.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let group = Pid::from_raw(self.child.id().cast_signed());
            // A group that is gone is what is wanted.
            let _ended = killpg(group, Signal::SIGKILL);
            drop(self.child.wait());
        }
    }
}

/// The end of a log.
pub(super) fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(6).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
