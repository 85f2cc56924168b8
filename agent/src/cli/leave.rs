//! `leave`: end the session, or park it.

use std::time::Duration;

use clap::Args;
use molt_domain::id::millis;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use serde_json::json;

use super::args::span;
use super::context::{Acted, Context};
use crate::error::Error;
use crate::session::alive;
use crate::ui::Answer;

/// End this session: its claims are given back, its task goes to somebody else.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent leave
  molt-agent leave --park 2h")]
pub(super) struct Leave {
    /// Go away for so long and keep the claims; come back with `resume`.
    #[arg(long, value_name = "DUR", value_parser = span)]
    park: Option<Duration>,
}

impl Leave {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let file = context.session_file()?;
        let Some(record) = file.read()? else {
            return Ok(Answer::new("leave", "absent", json!({})).line("left", ["no session here"]));
        };
        let park_ms = self.park.map_or(0, millis);
        let verb = Verb::Leave(v1::Leave { park_ms });
        let Acted { rev, .. } = context.act_as(&context.client()?, &file, verb).await?;
        alive::forget(context.state(), record.id)?;
        let data = json!({ "session": record.id, "name": record.name, "park_ms": park_ms });
        let who = [record.name.to_string(), record.id.to_string()];
        let Some(park) = self.park else {
            file.lock()?.remove()?;
            return Ok(Answer::new("leave", "left", data).line("left", who).rev(rev));
        };
        let [name, id] = who;
        let span = format!("for {}", humantime::format_duration(park));
        let answer = Answer::new("leave", "parked", data).line("parked", [name, id, span]);
        Ok(answer.next("molt-agent resume").rev(rev))
    }
}
