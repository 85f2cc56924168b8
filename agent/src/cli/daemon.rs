//! `daemon`: keeps this host's sessions alive and runs its jobs.

use clap::Args;

use super::context::Context;
use super::wrapped::program;
use crate::daemon::{self, JobUser, Options, Origin};
use crate::error::Error;
use crate::session::config;
use crate::ui::Answer;

/// Serve as this host's daemon until a signal: renew the sessions that work
/// here and, with --jobs, run gates. Any verb starts one that only renews.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent daemon --jobs 2
  molt-agent daemon --jobs 2 --job-user molt-jobs")]
pub(super) struct Daemon {
    /// How many jobs to run at once.
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: u32,
    /// Whom to run jobs as, by name or number: a user that no agent is. A prover
    /// needs one; else git's `molt.jobUser`.
    #[arg(long, env = "MOLT_JOB_USER", value_name = "USER", hide_env_values = true)]
    job_user: Option<String>,
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
            job_user: self.job_user()?,
            program: program()?,
            origin: if self.missed { Origin::Missed } else { Origin::Asked },
        })?;
        Ok(Answer::new("daemon", "ended", ()))
    }

    /// Whom jobs run as. One that runs none needs nobody.
    fn job_user(&self) -> Result<Option<JobUser>, Error> {
        if self.jobs == 0 {
            return Ok(None);
        }
        let named = match self.job_user.clone().filter(|name| !name.is_empty()) {
            Some(name) => Some(name),
            None => config::get(None, "jobUser")?,
        };
        named.map(|name| JobUser::find(&name)).transpose()
    }
}
