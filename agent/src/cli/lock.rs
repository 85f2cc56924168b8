//! `lock`: locks of fleet reach.

use clap::{Args, Subcommand};
use molt_domain::name::LockName;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};

use super::context::{Context, unexpected};
use super::render;
use super::wrapped::{Waiting, Wrapped, wrapper};
use crate::error::Error;
use crate::ui::Answer;
use crate::wrap::{self, Failure};

/// Locks that the whole fleet shares, and builds in progress.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent lock ls
  molt-agent lock run diff:x86 -- make diff")]
pub(super) struct Lock {
    #[command(subcommand)]
    what: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Who holds which lock, and who waits.
    #[command(after_help = "Examples:\n  molt-agent lock ls")]
    Ls,
    /// Runs a command that nobody in the fleet runs beside.
    ///
    /// Exit codes: the command's own; 120 not acquired, 121 lost (the command was
    /// stopped), 122 unavailable, 125 wrapper error.
    #[command(after_help = "Examples:\n  molt-agent lock run diff:x86 -- make diff")]
    Run {
        /// The lock.
        lock: LockName,
        #[command(flatten)]
        waiting: Waiting,
        #[command(flatten)]
        wrapped: Wrapped,
    },
}

impl Lock {
    /// Whether it passes a command's exit code on.
    pub(super) fn wraps(&self) -> bool {
        matches!(self.what, Part::Run { .. })
    }

    pub(super) async fn wrap(self, context: &Context) -> Result<u8, Failure> {
        let Part::Run { lock, waiting, wrapped } = self.what else {
            return Err(Error::bug("a verb that wraps nothing reached the wrappers").into());
        };
        let command = wrapped.command()?;
        let client = context.client()?;
        let run = wrap::Lock { lock, command: &command, patience: waiting.patience() };
        run.run(&wrapper(context, &client).await?).await
    }

    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let Part::Ls = self.what else {
            return Err(Error::bug("a verb that wraps reached the answers"));
        };
        let view = context.read(&context.client()?, What::Locks(Empty {})).await?;
        match view.view {
            Some(View::Holds(holds)) => Ok(listed(&holds).rev(view.rev)),
            _ => Err(unexpected("locks")),
        }
    }
}

fn listed(holds: &v1::Holds) -> Answer {
    let mut answer = Answer::new("lock", "locks", holds);
    if holds.holds.is_empty() && holds.waiting.is_empty() {
        return answer.line("locks", ["none is held"]);
    }
    for hold in &holds.holds {
        answer = answer.line("held", render::hold(hold));
    }
    for waiter in &holds.waiting {
        answer = answer.line("waits", render::hold(waiter));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_come_before_those_who_wait() {
        let hold = |holder: &str| v1::HoldView {
            id: "hld_0001".to_owned(),
            of: "diff:x86".to_owned(),
            holder: holder.to_owned(),
            host: "build2".to_owned(),
            what: "make diff".to_owned(),
            ..v1::HoldView::default()
        };
        let holds = v1::Holds { holds: vec![hold("a")], waiting: vec![hold("b")] };
        assert_eq!(
            listed(&holds).text(),
            "held     diff:x86  a  build2  `make diff`  hld_0001\n\
             waits    diff:x86  b  build2  `make diff`  hld_0001\n"
        );
        assert_eq!(listed(&v1::Holds::default()).text(), "locks    none is held\n");
    }
}
