//! `inbox`: what this session was told.
//!
//! The cursor is the coordinator's: it is as durable as what was told, and moves
//! when messages are taken. What is printed is what is taken, no more. Not here:
//! where messages come from (`send`, `announce`, and the coordinator itself).

use std::time::Duration;

use clap::Args;
use molt_domain::board::Refusal;
use molt_domain::id::MessageId;
use molt_proto::v1;
use molt_proto::v1::attendance::Became;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::reply::Answer as Reply;
use molt_proto::v1::view::View;
use molt_retry::{Delays, Policy};
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::args::span;
use super::context::{Acted, Context, unexpected};
use crate::client::Client;
use crate::error::{Error, Exit};
use crate::session::SessionFile;
use crate::ui::{Answer, ago, list};

/// What you were told: by other agents, and by the coordinator about what you have.
///
/// What is printed is taken: the next call begins behind it. Risky announcements
/// are shown before their turn. Nothing new is exit code 12. A cursor behind which
/// messages are gone is exit code 9 and names one that is good: nothing is passed
/// over in silence.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent inbox
  molt-agent inbox --peek --json
  molt-agent inbox --wait 15m
  molt-agent inbox --since msg_00a7")]
pub(super) struct Inbox {
    /// Take nothing: the next call shows the same.
    #[arg(long)]
    peek: bool,
    /// Begin after this message instead of after the last one that was taken;
    /// msg_0000 is the beginning.
    #[arg(long, value_name = "CURSOR")]
    since: Option<MessageId>,
    /// Wait so long at most for something new.
    #[arg(long, value_name = "DUR", value_parser = span)]
    wait: Option<Duration>,
}

/// What is printed as text is one line each, beside the cursor and what is risky.
const IN_TEXT: u32 = 7;

impl Inbox {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client()?;
        let file = context.joined(&client).await?;
        let look = || self.look(context, &client, &file);
        let mut found = look().await;
        if let Some(wait) = self.wait {
            let told = async {
                while matches!(&found, Err(error) if may_pass(error)) {
                    told(&client, &file).await?;
                    found = look().await;
                }
                Ok::<(), Error>(())
            };
            if let Ok(ended) = timeout(wait, told).await {
                ended?;
            }
        }
        let (inbox, now_ms, rev) = found?;
        Ok(self.answer(&inbox, now_ms).rev(rev))
    }

    /// The messages, when they were looked at, and at which commit.
    async fn look(
        &self,
        context: &Context,
        client: &Client,
        file: &SessionFile,
    ) -> Result<(v1::InboxView, Option<u64>, u64), Error> {
        let after = self.since.map(|since| since.to_string()).unwrap_or_default();
        let read = v1::ReadInbox { after, limit: context.rows_at_once(IN_TEXT) };
        if self.peek {
            let view = context.read(client, What::Inbox(read)).await?;
            return match view.view {
                Some(View::Inbox(inbox)) => Ok((inbox, Some(view.now_ms), view.rev)),
                _ => Err(unexpected("an inbox")),
            };
        }
        let Acted { answer, rev } = context.act_as(client, file, Verb::ReadInbox(read)).await?;
        match answer {
            Reply::Inbox(inbox) => Ok((inbox, None, rev)),
            _ => Err(unexpected("an inbox")),
        }
    }

    fn answer(&self, inbox: &v1::InboxView, now_ms: Option<u64>) -> Answer {
        let code = if self.peek { "peeked" } else { "taken" };
        let mut answer = Answer::new("inbox", code, inbox);
        for message in &inbox.risky {
            answer = line(answer, "RISKY", message, now_ms);
        }
        for message in &inbox.messages {
            let label = if message.risky { "RISKY" } else { message.kind.as_str() };
            answer = line(answer, label, message, now_ms);
        }
        let more = match inbox.more {
            0 => String::new(),
            more => format!("{more} more"),
        };
        answer = answer.line("cursor", [&inbox.cursor, &more]);
        match (self.peek, inbox.more) {
            (true, _) => answer.next("molt-agent inbox"),
            (false, 1..) => answer.next("molt-agent inbox"),
            (false, 0) => answer,
        }
    }
}

fn line(answer: Answer, label: &str, message: &v1::MessageView, now_ms: Option<u64>) -> Answer {
    let from = match message.from.is_empty() {
        true => "coordinator".to_owned(),
        false => message.from.clone(),
    };
    let told = now_ms.map(|now| ago(now.saturating_sub(message.at_ms))).unwrap_or_default();
    let tests = match message.tests.is_empty() {
        true => String::new(),
        false => format!("tests: {}", list(&message.tests)),
    };
    answer.line(label, [&message.id, &from, &told, &message.text, &tests])
}

/// Waits until the session was told something that it has not taken.
async fn told(client: &Client, file: &SessionFile) -> Result<(), Error> {
    let record = file.read()?.ok_or_else(|| Error::bug("the session file vanished"))?;
    let mut delays = Delays::from(Policy::RECONNECT);
    loop {
        match client.attend(record.caller(), &record.id.to_string()).await {
            Ok(stream) => {
                if listen(client, stream, &record.id.to_string()).await? {
                    return Ok(());
                }
            }
            Err(Error::Unavailable { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(delay) = delays.next_delay() {
            sleep(delay).await;
        }
    }
}

/// Follows one stream to its end; whether something was told before it broke.
async fn listen(
    client: &Client,
    mut stream: Streaming<v1::Attendance>,
    id: &str,
) -> Result<bool, Error> {
    loop {
        let became = match stream.message().await {
            Ok(Some(attendance)) => attendance.became,
            Ok(None) => return Ok(false),
            Err(status) => return client.broken(status).map_or(Ok(false), Err),
        };
        match became {
            Some(Became::Waiting(_)) => {}
            Some(Became::Told(_)) => return Ok(true),
            Some(Became::Gone(reason)) => {
                let refusal = Refusal::Lost { what: id.to_owned(), reason };
                return Err(Error::Refused { refusal: Box::new(refusal), id: String::new() });
            }
            Some(Became::Granted(_) | Became::Held(_)) | None => {
                return Err(unexpected("what a session was told"));
            }
        }
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.exit(), Exit::Empty | Exit::Unavailable | Exit::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, from: &str, kind: &str, text: &str) -> v1::MessageView {
        v1::MessageView {
            id: id.to_owned(),
            from: from.to_owned(),
            kind: kind.to_owned(),
            text: text.to_owned(),
            at_ms: 1_000,
            ..v1::MessageView::default()
        }
    }

    fn inbox(peek: bool) -> Inbox {
        Inbox { peek, since: None, wait: None }
    }

    #[test]
    fn a_message_is_one_line_and_what_is_risky_comes_first() {
        let risky = v1::MessageView {
            risky: true,
            tests: vec!["make test".to_owned()],
            ..message("msg_0009", "bob", "announced", "runtime: runtime/vm.rs")
        };
        let view = v1::InboxView {
            messages: vec![
                message("msg_0002", "ann", "said", "mind\nlanded   car_0001"),
                message("msg_0003", "", "noted", "clm_0001 left the line of docs"),
            ],
            cursor: "msg_0003".to_owned(),
            more: 4,
            risky: vec![risky],
            ..v1::InboxView::default()
        };
        assert_eq!(
            inbox(true).answer(&view, Some(61_000)).text(),
            "RISKY    msg_0009  bob  1m ago  runtime: runtime/vm.rs  tests: make test\n\
             said     msg_0002  ann  1m ago  mind landed   car_0001\n\
             noted    msg_0003  coordinator  1m ago  clm_0001 left the line of docs\n\
             cursor   msg_0003  4 more\n\
             next     molt-agent inbox\n"
        );
        let taken = v1::InboxView { more: 0, risky: Vec::new(), ..view };
        let text = inbox(false).answer(&taken, None).text();
        assert!(text.starts_with("said     msg_0002  ann  mind"), "{text}");
        assert!(text.ends_with("cursor   msg_0003\n"), "{text}");
    }

    #[test]
    fn the_text_has_all_that_was_taken() {
        let all = vec![message("msg_0002", "ann", "said", "x"); IN_TEXT as usize];
        let risky = vec![message("msg_0009", "ann", "said", "x"); 3];
        let view = v1::InboxView { messages: all, risky, more: 9, ..v1::InboxView::default() };
        let text = inbox(false).answer(&view, None).text();
        assert_eq!(text.lines().count(), crate::ui::MAX_LINES);
        assert!(!text.contains("more lines"), "{text}");
    }
}
