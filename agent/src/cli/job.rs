//! `job`: detached runs on this machine.

use clap::{Args, Subcommand};
use molt_domain::id::JobId;
use serde_json::json;

use super::context::Context;
use super::wrapped::{Wrapped, program};
use crate::error::Error;
use crate::ui::{Answer, span};
use crate::wrap::job::{self, Follow, Listed, State};
use crate::wrap::{Failure, job as jobs};

/// Detached runs on this machine: they go on when the shell ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent job run -- make test
  molt-agent job logs -f run-68a1
  molt-agent job wait run-68a1")]
pub(super) struct Job {
    #[command(subcommand)]
    pub(super) what: Part,
}

#[derive(Debug, Subcommand)]
pub(super) enum Part {
    /// Starts a command and prints the run's name.
    #[command(after_help = "Examples:\n  molt-agent job run -- make test")]
    Run {
        /// Stay, copy its output, and pass its exit code on.
        #[arg(long)]
        fg: bool,
        #[command(flatten)]
        wrapped: Wrapped,
    },
    /// All runs of this machine's state folder.
    #[command(after_help = "Examples:\n  molt-agent job ls")]
    Ls,
    /// Prints a run's log; a fleet's job is found on whichever host has it.
    #[command(
        after_help = "Examples:\n  molt-agent job logs -f run-68a1\n  molt-agent job logs job_0042"
    )]
    Logs {
        /// Go on until the run has ended.
        #[arg(short, long)]
        follow: bool,
        /// The run of this machine, or how its name begins; or a job of the fleet.
        run: String,
    },
    /// Copies a run's output until it ends, and passes its exit code on.
    #[command(after_help = "Examples:\n  molt-agent job attach run-68a1")]
    Attach {
        /// The run, or how its name begins.
        run: String,
    },
    /// Waits for a run's end, and passes its exit code on.
    #[command(after_help = "Examples:\n  molt-agent job wait run-68a1")]
    Wait {
        /// The run, or how its name begins.
        run: String,
    },
    /// Ends a run and waits until nothing of it is left.
    #[command(after_help = "Examples:\n  molt-agent job stop run-68a1")]
    Stop {
        /// The run, or how its name begins.
        run: String,
    },
}

impl Part {
    /// Whether it passes a command's exit code or output on.
    pub(super) fn wraps(&self) -> bool {
        !matches!(self, Self::Run { fg: false, .. } | Self::Ls | Self::Stop { .. })
    }

    pub(super) async fn wrap(self, context: &Context) -> Result<u8, Failure> {
        let record = match self {
            Self::Run { wrapped, .. } => job::attach(&start(context, &wrapped).await?).await?,
            Self::Attach { run } => job::attach(&jobs::find(context.state(), &run)?).await?,
            Self::Wait { run } => job::wait(&jobs::find(context.state(), &run)?).await?,
            Self::Logs { follow, run } if run.parse::<JobId>().is_ok() => {
                let job = run.parse().map_err(|_| Error::bug("it parsed before"))?;
                let follow = if follow { Follow::ToTheEnd } else { Follow::No };
                return jobs::show_log(&context.client()?, job, follow).await.map(|()| 0);
            }
            Self::Logs { follow: true, run } => {
                return jobs::follow_log(&jobs::find(context.state(), &run)?).await.map(|()| 0);
            }
            Self::Logs { follow: false, run } => {
                return jobs::print_log(&jobs::find(context.state(), &run)?).map(|()| 0);
            }
            Self::Ls | Self::Stop { .. } => {
                return Err(Error::bug("a verb that wraps nothing reached the wrappers").into());
            }
        };
        Ok(record.exit_code())
    }

    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        match self {
            Self::Run { wrapped, .. } => {
                let run = start(context, &wrapped).await.map_err(failed)?;
                let spec = run.spec()?;
                let data = json!({ "run": spec.id, "log": spec.log });
                Ok(Answer::new("job", "started", data)
                    .line("started", [spec.id.to_string()])
                    .line("log", [spec.log.display().to_string()])
                    .next(format!("molt-agent job wait {}", spec.id)))
            }
            Self::Stop { run } => {
                let run = jobs::find(context.state(), &run)?;
                let record = jobs::stop(&run, "molt-agent job stop").await.map_err(failed)?;
                let by = record.by.clone().unwrap_or_default();
                Ok(Answer::new("job", "ended", &record).line("ended", [record.run.to_string(), by]))
            }
            Self::Ls => Ok(listed(&jobs::list(context.state()).await.map_err(failed)?)),
            Self::Logs { .. } | Self::Attach { .. } | Self::Wait { .. } => {
                Err(Error::bug("a verb that wraps reached the answers"))
            }
        }
    }
}

async fn start(context: &Context, wrapped: &Wrapped) -> Result<crate::run::Run, Failure> {
    let command = wrapped.command()?;
    job::start(&program()?, context.state(), context.cwd().to_owned(), &command).await
}

fn failed(failure: Failure) -> Error {
    match failure {
        Failure::Unavailable { reason } => Error::unavailable(reason),
        failure => Error::Precondition { problem: failure.to_string() },
    }
}

fn listed(runs: &[Listed]) -> Answer {
    let word = |listed: &Listed| match &listed.state {
        State::Live(report) => format!("since {}", report.started),
        State::Ended(record) => {
            format!("{} in {}", word_of(record.class), span(record.duration_ms))
        }
        State::Lost => "its supervisor is lost".to_owned(),
    };
    let data: Vec<_> = runs
        .iter()
        .map(|listed| json!({ "run": listed.id, "argv": listed.argv, "state": word(listed) }))
        .collect();
    let answer = Answer::new("job", "runs", data);
    if runs.is_empty() {
        return answer.line("runs", ["none"]);
    }
    // What goes on comes first, then what ended last.
    let (live, ended): (Vec<_>, Vec<_>) =
        runs.iter().partition(|listed| !matches!(listed.state, State::Ended(_)));
    live.into_iter().chain(ended.into_iter().rev()).fold(answer, |answer, listed| {
        let label = match listed.state {
            State::Live(_) => "runs",
            State::Ended(_) => "ended",
            State::Lost => "lost",
        };
        let argv = format!("`{}`", listed.argv.join(" "));
        answer.line(label, [listed.id.to_string(), word(listed), argv])
    })
}

fn word_of(class: crate::run::Class) -> String {
    format!("{class:?}").to_ascii_lowercase()
}
