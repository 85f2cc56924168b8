//! `claim`: take scopes before editing.

use std::time::Duration;

use clap::Args;
use molt_domain::id::{TaskId, millis};
use molt_domain::scope::{Pattern, ScopeName};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;
use serde_json::json;

use super::args::span;
use super::context::{Acted, Context, unexpected};
use super::guarded::{self, Change};
use super::render::{granted, said_of_task, word};
use super::wait::{Place, attend};
use crate::error::{Error, Exit};
use crate::ui::{Answer, list};

/// Take scopes before editing: all of them or none.
///
/// Claiming what you hold is success, and changes its mode, --max or --task to
/// what you ask for. What somebody else holds is refused with the holder; with
/// --wait you join the line and are granted all at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent claim runtime
  molt-agent claim runtime docs --why 'fix the write barrier' --task tsk_0007
  molt-agent claim runtime --wait 15m --tests 'cargo test -p molt-runtime'
  molt-agent claim docs --shared
  molt-agent claim --path 'src/vm/*.rs' --path src/lib.rs")]
pub(super) struct Claim {
    /// What to take.
    #[arg(required_unless_present = "globs", value_name = "SCOPE")]
    scopes: Vec<ScopeName>,
    /// Paths to take beside scopes, or instead; what a carve has is the carve's.
    #[arg(long = "path", value_name = "GLOB")]
    globs: Vec<Pattern>,
    /// Join the line and wait so long at most; the place is kept after that.
    #[arg(long, value_name = "DUR", value_parser = span)]
    wait: Option<Duration>,
    /// Let others who share hold it too; you agree among yourselves who edits what.
    #[arg(long)]
    shared: bool,
    /// Give it back after so long at most.
    #[arg(long, value_name = "DUR", value_parser = span)]
    max: Option<Duration>,
    /// The task that it serves.
    #[arg(long)]
    task: Option<TaskId>,
    /// Why, for the others.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    why: String,
    /// How risky the work is; else what the scopes say.
    #[arg(long, value_parser = ["low", "med", "high"])]
    risk: Option<String>,
    /// The tests that are expected to matter.
    #[arg(long, value_name = "CMD", num_args = 1..)]
    tests: Vec<String>,
}

impl Claim {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client()?;
        let file = context.joined(&client).await?;
        let scopes = self.scopes.iter().map(ScopeName::to_string).collect::<Vec<_>>();
        let globs = self.globs.iter().map(Pattern::to_string).collect::<Vec<_>>();
        let paths = globs.iter().map(|glob| format!("--path {}", word(glob)));
        let asked: Vec<String> = scopes.iter().cloned().chain(paths).collect();
        let verb = Verb::Claim(v1::Claim {
            scopes,
            globs,
            why: self.why,
            task: self.task.map(|task| task.to_string()).unwrap_or_default(),
            risk: self.risk.unwrap_or_default(),
            tests: self.tests,
            max_ms: self.max.map_or(0, millis),
            wait: self.wait.is_some(),
            shared: self.shared,
        });
        let Acted { answer, rev } = context.act_as(&client, &file, verb).await?;
        let taken = async |claim: &v1::ClaimView| {
            let answer = granted("claim", claim, rev);
            let answer = said_of_task(answer, (&claim.report, &claim.left, &claim.notes));
            guarded::known(context, &file, answer, (Change::Held(claim), rev)).await
        };
        let place = match (answer, self.wait) {
            (Reply::Granted(claim), _) => return taken(&claim).await,
            (Reply::Queued(place), None) => return Ok(queued(&asked, &place, rev)),
            (Reply::Queued(place), Some(wait)) => {
                let ahead =
                    format!("{} ahead, for {}", place.ahead, humantime::format_duration(wait));
                context.note("waiting", &format!("{}  {}  {ahead}", list(&asked), place.id));
                attend(&client, &file, place, wait).await?
            }
            _ => return Err(unexpected("a claim or a place in line")),
        };
        match place {
            Place::Granted(claim) => taken(&claim).await,
            Place::Waiting(place) => Ok(queued(&asked, &place, rev)),
        }
    }
}

/// That the wait ended before the line did.
fn queued(asked: &[String], place: &v1::Queued, rev: u64) -> Answer {
    let data = json!({ "id": place.id, "ahead": place.ahead, "scopes": asked });
    let ahead = format!("{} ahead", place.ahead);
    Answer::new("claim", "queued", data)
        .line("queued", [list(asked), place.id.clone(), ahead, "the place is kept".to_owned()])
        .next(format!("molt-agent claim {} --wait 15m", list(asked)))
        .next(format!("molt-agent why {}", place.id))
        .exits(Exit::Queued)
        .rev(rev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_ended_keeps_the_place() {
        let place = v1::Queued { id: "clm_0004".to_owned(), ahead: 2 };
        let answer = queued(&["runtime".to_owned()], &place, 9);
        assert_eq!(
            answer.text(),
            "queued   runtime  clm_0004  2 ahead  the place is kept\n\
             next     molt-agent claim runtime --wait 15m\n\
             next     molt-agent why clm_0004\n"
        );
        assert_eq!(
            answer.json(),
            "{\"schema\":\"molt.claim/1\",\"ok\":false,\"code\":\"queued\",\
             \"data\":{\"ahead\":2,\"id\":\"clm_0004\",\"scopes\":[\"runtime\"]},\
             \"next\":[\"molt-agent claim runtime --wait 15m\",\"molt-agent why clm_0004\"],\
             \"warn\":[],\"rev\":9}"
        );
    }
}
