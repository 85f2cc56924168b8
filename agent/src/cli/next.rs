//! `next`: take the first task that is ready, with its scopes.

use std::time::Duration;

use clap::Args;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;
use tokio::time::timeout;

use super::args::span;
use super::context::{Acted, Context, unexpected};
use super::guarded::{self, Change};
use super::render::{said_of_task, word};
use super::wait::Events;
use crate::client::Client;
use crate::error::{Error, Exit};
use crate::ui::{Answer, list};

/// Take the first task that is ready, together with its scopes.
///
/// Asking again while you have one gives the same one. Where an operator dealt the
/// work, that of your own share comes first; when nothing of it is ready, work of
/// others that nobody has taken, and `share` says whose. When nothing is ready the
/// exit code is 12, and each open task says what stands in its way.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent next
  molt-agent next --wait 30m")]
pub(super) struct Next {
    /// Wait so long at most for one to become ready.
    #[arg(long, value_name = "DUR", value_parser = span)]
    wait: Option<Duration>,
}

impl Next {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client()?;
        let Acted { answer, rev } = match self.wait {
            None => take(context, &client).await?,
            Some(wait) => take_within(context, &client, wait).await?,
        };
        let Reply::Task(task) = answer else { return Err(unexpected("a task")) };
        let answer = told(&task).rev(rev);
        let Some(claim) = &task.claim else { return Ok(answer) };
        let file = context.session_file()?;
        guarded::known(context, &file, answer, (Change::Held(claim), rev)).await
    }
}

async fn take(context: &Context, client: &Client) -> Result<Acted, Error> {
    context.act(client, Verb::NextTask(v1::NextTask {})).await
}

/// Tries whenever something happened. At the end it is the last refusal that tells.
async fn take_within(context: &Context, client: &Client, wait: Duration) -> Result<Acted, Error> {
    let mut events = Events::new(client);
    events.open().await;
    let mut last = take(context, client).await;
    let tries = async {
        while matches!(&last, Err(error) if may_pass(error)) {
            events.next().await;
            last = take(context, client).await;
        }
    };
    // An attempt that the end cuts off has its number on disk: the same command
    // finds out what became of it.
    let cut_off = timeout(wait, tries).await.is_err();
    match last {
        Err(Error::Unavailable { .. }) if cut_off => {
            Err(Error::unavailable("the coordinator was away when the wait ended"))
        }
        last => last,
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.exit(), Exit::Empty | Exit::Unavailable | Exit::Unknown)
}

fn told(task: &v1::TaskView) -> Answer {
    let mut answer = Answer::new("next", "taken", task).line("task", [&task.id, &task.title]);
    let mut next = format!("molt-agent task done {}", task.id);
    if let Some(claim) = &task.claim {
        let fence = format!("fence {}", claim.fence);
        answer = answer
            .line("granted", [list(&claim.scopes), claim.id.clone(), fence])
            .line_if("covers", list(&claim.paths));
        if let Some(path) = claim.paths.first() {
            next = format!("molt-agent announce --files {}", word(path));
        }
    }
    answer = answer.line_if("share", &task.share);
    for line in task.body.lines().filter(|line| !line.trim().is_empty()).take(5) {
        answer = answer.line("body", [line]);
    }
    // Only the last of what came too late: there is little room.
    let late = task.notes.get(task.notes.len().saturating_sub(1)..).unwrap_or_default();
    let answer = answer.line_if("accept", &task.acceptance);
    said_of_task(answer, (&task.report, &task.left, late))
        .line_if("reopened", &task.reopened)
        .next(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_comes_with_its_scopes() {
        let claim = v1::ClaimView {
            id: "clm_0008".to_owned(),
            scopes: vec!["docs".to_owned()],
            paths: vec!["docs/a.md".to_owned()],
            fence: "8".to_owned(),
            ..v1::ClaimView::default()
        };
        let task = v1::TaskView {
            id: "tsk_0007".to_owned(),
            title: "mend the manual".to_owned(),
            body: "line one\n\nline two".to_owned(),
            acceptance: "lint passes".to_owned(),
            share: "1 of 2, codex's".to_owned(),
            claim: Some(claim),
            ..v1::TaskView::default()
        };
        assert_eq!(
            told(&task).text(),
            "task     tsk_0007  mend the manual\n\
             granted  docs  clm_0008  fence 8\n\
             covers   docs/a.md\n\
             share    1 of 2, codex's\n\
             body     line one\n\
             body     line two\n\
             accept   lint passes\n\
             next     molt-agent announce --files docs/a.md\n"
        );
    }
}
