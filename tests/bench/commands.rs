//! The agent's commands as people and scripts start them: one process each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::clock;
use crate::coordinator::{Coordinator, scope};
use crate::process::{Running, output, own};
use crate::report::{Bar, Row, Series};

/// How often a command is started.
const STARTS: usize = 50;

/// A worktree with a session that holds a scope, and its host's daemon.
struct Desk<'a> {
    program: PathBuf,
    folder: PathBuf,
    state: PathBuf,
    coordinator: &'a Coordinator,
}

/// Measures the commands, and the program's size.
pub(crate) async fn all(scratch: &Path, coordinator: &Coordinator) -> anyhow::Result<Vec<Row>> {
    crate::report::progress("the agent's commands");
    let (folder, state) = (scratch.join("clone"), scratch.join("agent"));
    output(
        Command::new("git").args(["clone", "--quiet"]).arg(scratch.join("remote.git")).arg(&folder),
    )?;
    let desk = Desk { program: own("molt-agent")?, folder, state, coordinator };
    let mut daemon = Running::start(&mut desk.command(&["daemon"]), &scratch.join("daemon.log"))?;
    output(&mut desk.command(&["claim", &scope(0), "--why", "measure"]))?;
    let path = format!("{}/file", scope(0));
    let check = ["check", path.as_str()];
    // The daemon's next beat brings the snapshot that allows it.
    daemon.ready(async || output(&mut desk.command(&check)).ok()).await.context("daemon")?;
    let starts = format!("cold, median of {STARTS} starts");
    let size = fs::metadata(&desk.program)?.len() as f64 / 1e6;
    let row = |name, ours, bar| Row::new(name, "ms", ours, starts.as_str()).keeps(bar);
    Ok(vec![
        row("molt-agent status", desk.timed(&["status"])?, Bar::AtMost(15.0)),
        row("molt-agent check", desk.timed(&check)?, Bar::AtMost(10.0)),
        Row::new("molt-agent's size", "MB", Series::of(size), "stripped").keeps(Bar::AtMost(12.0)),
    ])
}

impl Desk<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder);
        command.env("MOLT_STATE", &self.state).env("MOLT_HOST", "desk");
        command.env("MOLT_COORD_ENDPOINTS", self.coordinator.address.to_string());
        command.env("MOLT_AGENT_NAME", "bench");
        command
    }

    /// How long each start of a command took, in milliseconds.
    fn timed(&self, arguments: &[&str]) -> anyhow::Result<Series> {
        let mut series = Series::default();
        for _ in 0..STARTS {
            let mut command = self.command(arguments);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let begun = clock::now();
            let status = command.status()?;
            series.push(begun.elapsed().as_secs_f64() * 1e3);
            anyhow::ensure!(status.success(), "molt-agent {arguments:?}: {status}");
        }
        Ok(series)
    }
}
