//! `prime`: what a model must know after a start or a compaction.
//!
//! The board is read here and worded in [`picture`]. Nothing is joined, granted
//! or given back. Not here: hooks that call it.

mod picture;

use std::time::Duration;

use clap::Args;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};
use serde_json::json;
use tokio::time::timeout;

use self::picture::Picture;
use super::context::{Context, unexpected};
use crate::client::Client;
use crate::error::{Error, Exit};
use crate::session::Record;
use crate::ui::{Answer, cut, plain};

/// What you must know after a start or a compaction, in at most 60 lines.
///
/// Who you are, what you hold with its fences, what you wait for, your task, what
/// others hold that touches it, your changes in the train, the rules and what can
/// safely be done next. It joins nothing and changes nothing. The exit code is
/// always 0: without a coordinator, session or repository it says so and what to
/// do. The lines are bounded, the document of --json is whole.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent prime
  molt-agent prime --json")]
pub(super) struct Prime {}

/// A start must not hang on a coordinator that is slow.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// How much of an error's message is told.
const MESSAGE_BYTES: usize = 400;

impl Prime {
    pub(super) async fn run(self, context: &Context) -> Answer {
        match told(context).await {
            Ok(answer) => answer,
            Err(error) => without(&error),
        }
    }
}

async fn told(context: &Context) -> Result<Answer, Error> {
    if context.named_session().is_none() {
        context.worktree()?;
    }
    let record = context.session()?;
    let client = context.client()?;
    let read = timeout(READ_LIMIT, look(context, &client, record.as_ref())).await;
    let read = read
        .unwrap_or_else(|_| Err(Error::unavailable(format!("no answer within {READ_LIMIT:?}"))));
    let mut picture = match (read, &record) {
        (Err(error), Some(record)) => return Ok(unseen(record, &error)),
        (picture, _) => picture?,
    };
    if record.is_none() {
        picture.orphan = context.orphan()?.map(|(orphan, _)| orphan.name.to_string());
    }
    Ok(picture.told())
}

/// The board, as the session of `record` sees it.
async fn look(
    context: &Context,
    client: &Client,
    record: Option<&Record>,
) -> Result<Picture, Error> {
    let repo = context.repo(record)?.to_string();
    let read = async |what: What| {
        let caller = record.map(Record::caller);
        client.read(v1::Query { caller, repo: repo.clone(), what: Some(what) }).await
    };
    let view = read(What::Status(Empty {})).await?;
    let (rev, now_ms) = (view.rev, view.now_ms);
    let Some(View::Status(status)) = view.view else { return Err(unexpected("a status")) };
    let Some(View::Scopes(v1::Scopes { scopes })) = read(What::Scopes(Empty {})).await?.view else {
        return Err(unexpected("scopes"));
    };
    let Some(View::Cars(v1::Cars { cars })) = read(What::Queue(Empty {})).await?.view else {
        return Err(unexpected("the train"));
    };
    let known = record.map(|record| record.id.to_string());
    Ok(Picture { status, scopes, cars, known, orphan: None, now_ms, rev })
}

/// What is known of a session while the board cannot be read.
fn unseen(record: &Record, error: &Error) -> Answer {
    let answer = without(error);
    let who = [record.name.to_string(), record.id.to_string(), format!("on {}", record.repo)];
    answer.line("you", who)
}

/// What is to be said where nothing can be read.
pub(super) fn without(error: &Error) -> Answer {
    let message = cut(&plain(&error.in_full()), MESSAGE_BYTES);
    let lost = match error {
        Error::Refused { refusal, .. } => refusal.next_steps(),
        _ => Vec::new(),
    };
    let left = lost.iter().find(|step| step.starts_with("molt-agent "));
    let (code, label, next) = match error {
        Error::NoWorktree { .. } => {
            ("no_repository", "nowhere", "go to a worktree of the repository: molt-agent prime")
        }
        error if error.is_lost() => {
            ("lost", "lost", left.map_or("molt-agent status", String::as_str))
        }
        error => match error.exit() {
            Exit::Unavailable | Exit::Unknown => {
                ("no_coordinator", "away", "edit nothing new until it answers: molt-agent prime")
            }
            Exit::Usage => ("unreadable", "unread", "mend what it names: molt-agent prime"),
            _ => ("unreadable", "unread", "molt-agent status"),
        },
    };
    let stop = if code == "lost" { "stop editing" } else { "" };
    let data = json!({ "message": message });
    Answer::new("prime", code, data).line(label, [message.as_str(), stop]).next(next)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use molt_domain::board::Refusal;

    use super::*;

    #[test]
    fn where_nothing_can_be_read_it_says_so_and_succeeds() {
        let refusal = Refusal::Lost { what: "ses_0001".to_owned(), reason: "over".to_owned() };
        let table = [
            (Error::NoWorktree { folder: PathBuf::from("/x") }, "no_repository", "nowhere  no git"),
            (Error::unavailable("nobody at a:1"), "no_coordinator", "away     nobody at a:1\n"),
            (
                Error::Refused { refusal: Box::new(refusal), id: String::new() },
                "lost",
                "lost     ses_0001 is lost: over  stop editing\nnext     molt-agent status\n",
            ),
            (Error::usage("not so"), "unreadable", "unread   not so\nnext     mend"),
            (Error::bug("never"), "unreadable", "unread   never\nnext     molt-agent status\n"),
        ];
        for (error, code, text) in table {
            let answer = without(&error);
            assert_eq!(answer.exit(), Exit::Ok, "{error:?}");
            assert!(answer.text().starts_with(text), "{}", answer.text());
            assert_eq!(answer.text().lines().count(), 2);
            assert!(answer.json().contains(&format!("\"code\":\"{code}\"")), "{}", answer.json());
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let text = without(&Error::unavailable("x\n".repeat(9_000))).text();
        assert!(text.len() < 600 && text.lines().count() == 2, "{text}");
    }
}
