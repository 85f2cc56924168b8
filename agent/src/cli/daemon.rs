//! `daemon`: keeps this host's sessions alive and runs its jobs.

use clap::Args;

use super::context::Context;
use super::wrapped::program;
use crate::daemon::{self, Options, Origin};
use crate::error::Error;
use crate::ui::Answer;

/// Serve as this host's daemon until a signal: renew the sessions that work
/// here and, with --jobs, run gates. Any verb starts one that only renews.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent daemon --jobs 2")]
pub(super) struct Daemon {
    /// How many jobs to run at once.
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: u32,
    /// It was only missed: make way for one that is asked for.
    #[arg(long, hide = true)]
    missed: bool,
}

impl Daemon {
    pub(super) fn run(self, context: &Context) -> Result<Answer, Error> {
        daemon::main(Options {
            state: context.state().to_owned(),
            host: context.host()?,
            coordinator: context.addresses()?,
            jobs: self.jobs,
            program: program()?,
            origin: if self.missed { Origin::Missed } else { Origin::Asked },
        })?;
        Ok(Answer::new("daemon", "ended", ()))
    }
}
