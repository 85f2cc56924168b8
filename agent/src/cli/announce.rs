//! `announce`: tell the others what a claim is about to do.

use clap::Args;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use serde_json::json;

use super::context::{Acted, Context};
use crate::error::Error;
use crate::ui::{Answer, list};

/// Tell the others what you are about to change, before you submit it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent announce --files runtime/src/vm.rs --tests 'cargo test -p molt-runtime'
  molt-agent announce --files 'docs/**' --risk low --note 'only wording'")]
pub(super) struct Announce {
    /// The files or patterns that will change.
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    files: Vec<String>,
    /// The tests that are expected to matter.
    #[arg(long, value_name = "CMD", num_args = 1..)]
    tests: Vec<String>,
    /// How risky it is; else what the claims say.
    #[arg(long, value_parser = ["low", "med", "high"])]
    risk: Option<String>,
    /// Anything else that others should know.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

impl Announce {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let Self { files, tests, risk, note } = self;
        let said = v1::Announce { files, tests, risk: risk.unwrap_or_default(), note };
        let data = json!(said);
        let line = [list(&said.files), said.tests.join("; "), said.risk.clone(), said.note.clone()];
        let Acted { rev, .. } = context.act(&context.client()?, Verb::Announce(said)).await?;
        Ok(Answer::new("announce", "announced", data)
            .line("announced", line)
            .next("molt-agent submit")
            .rev(rev))
    }
}
