//! Options that every verb has, and how their values are read.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use molt_domain::name::{AgentName, HostName, RepoName};

use crate::client::Address;
use crate::ui::Format;

/// Options that every verb has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Globals {
    /// One JSON document on stdout, whatever happens.
    #[arg(long, global = true)]
    json: bool,
    /// Where the coordinators of the fleet are; else git's `molt.coordinator`,
    /// else 127.0.0.1:7420.
    #[arg(
        long,
        global = true,
        env = "MOLT_COORD_ENDPOINTS",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub coordinator: Vec<Address>,
    /// The repository, by the coordinator's name for it; else the session's,
    /// else main.
    #[arg(long, global = true, env = "MOLT_REPO", value_name = "NAME", hide_env_values = true)]
    pub repo: Option<RepoName>,
    /// A folder of the worktree; else the current one.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub repo_dir: Option<PathBuf>,
    /// What the agent is called; else user@host.
    #[arg(
        id = "agent_name",
        long = "name",
        global = true,
        env = "MOLT_AGENT_NAME",
        value_name = "NAME",
        hide_env_values = true
    )]
    pub agent: Option<AgentName>,
    /// This host's name; else the machine's.
    #[arg(long, global = true, env = "MOLT_HOST", value_name = "NAME", hide_env_values = true)]
    pub host: Option<HostName>,
    /// The state folder; else $XDG_STATE_HOME/molt or ~/.local/state/molt.
    #[arg(long, global = true, env = "MOLT_STATE", value_name = "FOLDER", hide_env_values = true)]
    pub state: Option<PathBuf>,
    /// The process whose life is the session's life; else the agent program
    /// above this shell.
    #[arg(
        long,
        global = true,
        env = "MOLT_AGENT_ROOT_PID",
        value_name = "PID",
        value_parser = clap::value_parser!(i32).range(1..),
        hide_env_values = true
    )]
    pub root_pid: Option<i32>,
    /// The session file; else the one of the root process in the git directory.
    #[arg(
        long,
        global = true,
        env = "MOLT_AGENT_SESSION",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub session: Option<PathBuf>,
}

impl Globals {
    /// How the answer is printed.
    #[must_use]
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

/// How long to wait at most, as people write it.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let span =
        humantime::parse_duration(text).map_err(|error| format!("{error}: try 90s or 2h"))?;
    match span {
        Duration::ZERO => Err("it must be longer than nothing: try 90s or 2h".to_owned()),
        span if span > LONGEST => Err("the longest is 365 days".to_owned()),
        span => Ok(span),
    }
}

/// Longer waits are mistakes, and clocks could not add them.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_write_them() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "0s", "-3s", "soon", "5", "20years"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
