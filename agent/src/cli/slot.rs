//! `slot`: cache slots of the hosts.

use clap::{Args, Subcommand};
use molt_domain::name::PoolName;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};

use super::context::{Context, unexpected};
use super::wrapped::{Waiting, Wrapped, wrapper};
use crate::error::Error;
use crate::ui::{Answer, list};
use crate::wrap::{self, Failure};

/// Cache slots: fixed worktrees with warm target directories, a pool per host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent slot ls
  molt-agent slot run cargo -- cargo test")]
pub(super) struct Slot {
    #[command(subcommand)]
    what: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Who uses which slot.
    #[command(after_help = "Examples:\n  molt-agent slot ls")]
    Ls,
    /// Runs a command with a slot to itself: MOLT_SLOT_DIR is its fixed folder.
    ///
    /// Exit codes: the command's own; 120 not acquired, 122 unavailable, 125
    /// wrapper error.
    #[command(after_help = "Examples:\n  molt-agent slot run cargo -- cargo test")]
    Run {
        /// The pool.
        pool: PoolName,
        #[command(flatten)]
        waiting: Waiting,
        #[command(flatten)]
        wrapped: Wrapped,
    },
}

impl Slot {
    /// Whether it passes a command's exit code on.
    pub(super) fn wraps(&self) -> bool {
        matches!(self.what, Part::Run { .. })
    }

    pub(super) async fn wrap(self, context: &Context) -> Result<u8, Failure> {
        let Part::Run { pool, waiting, wrapped } = self.what else {
            return Err(Error::bug("a verb that wraps nothing reached the wrappers").into());
        };
        let command = wrapped.command()?;
        let client = context.client()?;
        let run = wrap::Slot { pool, command: &command, patience: waiting.patience() };
        run.run(&wrapper(context, &client).await?).await
    }

    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let Part::Ls = self.what else {
            return Err(Error::bug("a verb that wraps reached the answers"));
        };
        let view = context.read(&context.client()?, What::Slots(Empty {})).await?;
        match view.view {
            Some(View::Slots(slots)) => Ok(listed(&slots).rev(view.rev)),
            _ => Err(unexpected("slots")),
        }
    }
}

fn listed(slots: &v1::Slots) -> Answer {
    let answer = Answer::new("slot", "slots", slots);
    if slots.pools.is_empty() {
        return answer.line("pools", ["none"]);
    }
    slots.pools.iter().fold(answer, |answer, pool| {
        let used = format!("{} of {} used", pool.used.len(), pool.size);
        let waiting = format!("{} waiting", pool.waiting);
        let users = list(pool.used.iter().map(|hold| &hold.holder));
        answer.line("pool", [pool.pool.clone(), pool.host.clone(), used, waiting, users])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_a_line() {
        let used = vec![v1::HoldView { holder: "codex-3".to_owned(), ..v1::HoldView::default() }];
        let pool = v1::PoolView {
            host: "build2".to_owned(),
            pool: "cargo".to_owned(),
            size: 2,
            used,
            waiting: 1,
        };
        let text = listed(&v1::Slots { pools: vec![pool] }).text();
        assert_eq!(text, "pool     cargo  build2  1 of 2 used  1 waiting  codex-3\n");
    }
}
