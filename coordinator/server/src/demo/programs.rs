//! The programs that are shown, and the environment that they get.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::DemoError;

/// The programs that are shown.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    coordinator: PathBuf,
    agent: PathBuf,
    verify: PathBuf,
}

impl Programs {
    /// The programs beside this one.
    pub(super) fn find() -> Result<Self, DemoError> {
        let start = |source| DemoError::Start { program: "molt-coordinator".to_owned(), source };
        let coordinator = std::env::current_exe().map_err(start)?;
        let folder = coordinator.parent().map(Path::to_owned).unwrap_or_default();
        let beside = |name: &str| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { Err(DemoError::Missing { path }) }
        };
        let (agent, verify) = (beside("molt-agent")?, beside("molt-verify")?);
        Ok(Self { folder, coordinator, agent, verify })
    }

    /// This program, as the service and as what its operators run.
    pub(super) fn coordinator(&self) -> Command {
        self.command(&self.coordinator)
    }

    /// The folder that they are all in.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The agents' program.
    pub(super) fn agent(&self) -> Command {
        self.command(&self.agent)
    }

    /// The independent check.
    pub(super) fn verify(&self) -> Command {
        self.command(&self.verify)
    }

    /// A script for the shell, with the programs on its path.
    pub(super) fn script(&self, path: &Path) -> Command {
        let mut command = self.command(Path::new("sh"));
        command.arg(path);
        command
    }

    /// A program that knows nothing of the caller's own fleet and git settings.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let own = ["MOLT_", "GIT_", "CARGO_TARGET_DIR"];
            if own.iter().any(|own| text.starts_with(own)) {
                command.env_remove(name);
            }
        }
        command.env("PATH", self.path());
        // Hosts are started by hand here: no verb is to start another.
        command.env("MOLT_DAEMON", "off");
        for (name, value) in super::git::SETTINGS {
            command.env(name, value);
        }
        command.stdin(Stdio::null());
        command
    }

    fn path(&self) -> OsString {
        let known = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.clone()).chain(std::env::split_paths(&known));
        std::env::join_paths(folders).unwrap_or(known)
    }
}

/// Runs a program to its end; what it printed, if it ended well.
pub(super) fn output(mut command: Command, name: &str) -> Result<String, DemoError> {
    let start = |source| DemoError::Start { program: name.to_owned(), source };
    let output = command.output().map_err(start)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(ended(name, &output))
}

/// That a program ended otherwise than it should.
pub(super) fn ended(name: &str, output: &Output) -> DemoError {
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    let program = name.to_owned();
    DemoError::Ended { program, status: output.status.to_string(), said }
}

/// A document that a program printed.
pub(super) fn json(text: &str, name: &str) -> Result<serde_json::Value, DemoError> {
    serde_json::from_str(text).map_err(|error| {
        let program = name.to_owned();
        DemoError::Unreadable { program, detail: error.to_string() }
    })
}
