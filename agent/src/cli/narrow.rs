//! `narrow`: keep less of what is held.

use clap::Args;
use molt_domain::scope::{Pattern, ScopeName};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;

use super::context::{Acted, Context, unexpected};
use super::guarded::{self, Change};
use super::render::granted;
use crate::error::Error;
use crate::ui::Answer;

/// Keep of a scope only those below it that you name; the rest is free for others.
///
/// Nobody gets in between, as with a release and a new claim.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent narrow runtime --to runtime/gc
  molt-agent narrow runtime --to runtime/gc runtime/jit
  molt-agent narrow runtime --path runtime/src/vm.rs")]
pub(super) struct Narrow {
    /// What is held.
    #[arg(value_name = "SCOPE")]
    from: ScopeName,
    /// What of it is kept.
    #[arg(long, value_name = "SCOPE", required_unless_present = "globs", num_args = 1..)]
    to: Vec<ScopeName>,
    /// Paths of it that are kept; each plainly lies in a folder of the scope.
    #[arg(long = "path", value_name = "GLOB")]
    globs: Vec<Pattern>,
}

impl Narrow {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let to = self.to.iter().map(ScopeName::to_string).collect();
        let globs = self.globs.iter().map(Pattern::to_string).collect();
        let verb = Verb::Narrow(v1::Narrow { from: self.from.to_string(), to, globs });
        let client = context.client()?;
        let file = context.joined(&client).await?;
        let Acted { answer, rev } = context.act_as(&client, &file, verb).await?;
        match answer {
            Reply::Granted(claim) => {
                let answer = granted("narrow", &claim, rev);
                guarded::known(context, &file, answer, (Change::Held(&claim), rev)).await
            }
            _ => Err(unexpected("what is kept")),
        }
    }
}
