//! `join`: begin to work.

use clap::Args;
use molt_domain::board::Refusal;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};

use super::context::Context;
use crate::error::Error;
use crate::session::Record;
use crate::ui::Answer;

/// Begin a session: one agent at work in this worktree.
///
/// Any verb that needs a session joins by itself; this one says who you are.
/// The session lives as long as the agent program above this shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent join
  molt-agent join --name codex-3 --root-pid $PPID")]
pub(super) struct Join {}

impl Join {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client()?;
        let file = context.session_file()?;
        let lock = file.lock()?;
        if let Some(record) = lock.read()?
            && let Some((standing, rev)) = standing(context, &record).await?
        {
            still_lives(&record, &standing)?;
            context.keep_alive(&record, &file)?;
            return Ok(introduce("join", "already", &record).rev(rev));
        }
        let record = context.join(&client).await?;
        lock.write(&record)?;
        context.keep_alive(&record, &file)?;
        let answer = introduce("join", "joined", &record).next("molt-agent scopes free");
        Ok(match context.orphan()? {
            Some((orphan, _)) => {
                let name = orphan.name;
                answer.warn(format!("an earlier session, {name}, waits: `molt-agent resume`"))
            }
            None => answer,
        })
    }
}

/// How the coordinator sees the session; `None` when it ended.
async fn standing(
    context: &Context,
    record: &Record,
) -> Result<Option<(v1::SessionView, u64)>, Error> {
    let query = v1::Query {
        caller: Some(record.caller()),
        repo: record.repo.to_string(),
        what: Some(What::Status(Empty {})),
    };
    let view = context.client()?.read(query).await?;
    match view.view {
        Some(View::Status(status)) => Ok(status.session.map(|session| (session, view.rev))),
        _ => Err(super::context::unexpected("a status")),
    }
}

/// A session that is parked or lost keeps its claims for a while: that must not
/// be overlooked by beginning another one.
fn still_lives(record: &Record, standing: &v1::SessionView) -> Result<(), Error> {
    if standing.state == "live" && standing.epoch == record.epoch {
        return Ok(());
    }
    let reason = match standing.state.as_str() {
        "live" => format!("it was resumed elsewhere as epoch {}", standing.epoch),
        state => format!("it is {state} and keeps its claims for now: run `molt-agent resume`"),
    };
    let refusal = Refusal::Lost { what: record.id.to_string(), reason };
    Err(Error::Refused { refusal: Box::new(refusal), id: String::new() })
}

/// Who a session is, as `verb` tells it.
pub(super) fn introduce(verb: &str, code: &str, record: &Record) -> Answer {
    let data = serde_json::json!({
        "session": record.id,
        "name": record.name,
        "epoch": record.epoch,
        "repo": record.repo,
        "host": record.host,
        "root": record.root,
    });
    let epoch = format!("epoch {}", record.epoch);
    Answer::new(verb, code, data)
        .line(code, [record.name.to_string(), record.id.to_string(), epoch])
        .line("works on", [format!("repository {}", record.repo), format!("host {}", record.host)])
        .line("root", [&record.root])
}
