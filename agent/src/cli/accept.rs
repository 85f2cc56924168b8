//! `accept`: take what another agent offers.

use clap::Args;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;

use super::context::{Acted, Context, unexpected};
use super::guarded::{self, Change};
use super::render::{granted, said_of_task};
use crate::error::Error;
use crate::ui::Answer;

/// Take the claim that another agent offers you, with its task.
///
/// It is yours from then on under a new fence; who offered it must stop editing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent accept
  molt-agent accept runtime
  molt-agent accept clm_0007")]
pub(super) struct Accept {
    /// Its id or one of its scopes; none named: the only one that is offered.
    #[arg(value_name = "CLAIM|SCOPE")]
    what: Option<String>,
}

impl Accept {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let verb = Verb::Accept(v1::Accept { what: self.what.unwrap_or_default() });
        let client = context.client()?;
        let file = context.joined(&client).await?;
        let Acted { answer, rev } = context.act_as(&client, &file, verb).await?;
        match answer {
            Reply::Granted(claim) => {
                let answer = granted("accept", &claim, rev).line_if("task", &claim.task);
                let answer = said_of_task(answer, (&claim.report, &claim.left, &claim.notes));
                guarded::known(context, &file, answer, (Change::Held(&claim), rev)).await
            }
            _ => Err(unexpected("what is accepted")),
        }
    }
}
