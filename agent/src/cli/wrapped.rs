//! Verbs that run a command and pass its exit code on.
//!
//! What such a verb prints is the command's own output; what it says itself goes
//! to stderr. Not here: how a command runs under something ([`crate::wrap`]).

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::args::Globals;
use super::context::Context;
use super::{Verb, job};
use crate::error::Error;
use crate::run::Argv;
use crate::ui;
use crate::wrap::{Command, Failure, Patience, Wrapper};

/// A command and how it is run.
#[derive(Debug, Args)]
pub(super) struct Wrapped {
    /// Pass this variable on although its name looks like a secret's; it is
    /// written to the run's folder, which only you can read.
    #[arg(long = "env", value_name = "NAME")]
    kept: Vec<String>,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Wrapped {
    /// The command as it is to run.
    pub(super) fn command(&self) -> Result<Command, Failure> {
        Ok(Command::new(Argv::try_from(self.command.clone())?, &self.kept))
    }
}

/// How long a wrapper waits.
#[derive(Debug, Args)]
pub(super) struct Waiting {
    /// How long to wait for whoever has it; 0s for not at all.
    #[arg(long, value_name = "DURATION", value_parser = wait, default_value = "10m")]
    wait: Duration,
}

impl Waiting {
    pub(super) fn patience(&self) -> Patience {
        Patience::of(self.wait)
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => super::args::span(text),
    }
}

/// What a wrapper works with, and that a session is there for it.
pub(super) async fn wrapper<'a>(
    context: &'a Context,
    client: &'a crate::client::Client,
) -> Result<Wrapper<'a>, Failure> {
    let file = context.joined(client).await?;
    Ok(Wrapper {
        client,
        file,
        state: context.state(),
        host: context.host()?,
        cwd: context.cwd().to_owned(),
        program: program()?,
    })
}

/// This program, which is the supervisor and the daemon too.
pub(super) fn program() -> Result<std::path::PathBuf, Error> {
    std::env::current_exe()
        .map_err(|error| Error::bug(format!("cannot find this program: {error}")))
}

/// Runs a verb that passes its command's exit code on.
pub(super) fn main(verb: Verb, globals: Globals) -> ExitCode {
    let ended = Context::new(globals).map_err(Failure::from).and_then(|context| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::bug(format!("no runtime: {error}")))?;
        let ended = runtime.block_on(run(verb, &context));
        // A copy that still reads must not hold up the exit code.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(code) => code.into(),
        Err(failure) => {
            ui::note(&ui::row("molt-agent:", failure.to_string().lines()));
            failure.code().into()
        }
    }
}

async fn run(verb: Verb, context: &Context) -> Result<u8, Failure> {
    match verb {
        Verb::Lock(verb) => verb.wrap(context).await,
        Verb::Slot(verb) => verb.wrap(context).await,
        Verb::Build(verb) => verb.wrap(context).await,
        Verb::Job(job::Job { what }) => what.wrap(context).await,
        _ => Err(Error::bug("a verb that wraps nothing reached the wrappers").into()),
    }
}
