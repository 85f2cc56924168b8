//! `send`: a message to an agent, or to whoever holds a scope.

use clap::Args;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;
use serde_json::json;

use super::context::{Acted, Context, unexpected};
use crate::error::Error;
use crate::ui::{Answer, plural};

/// Send a message to an agent, or to whoever holds a scope.
///
/// It waits in their inboxes until they read it; nothing of theirs changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent send codex-3 'please leave the barrier alone until tonight'
  molt-agent send runtime 'may I have the collector for ten minutes?'
  molt-agent send scope:docs 'the manual moves to docs/manual'")]
pub(super) struct Send {
    /// An agent's name, a session's id, or a scope's name; agent:NAME or
    /// scope:NAME where it is both.
    to: String,
    /// What to say, in 2000 bytes at most.
    text: String,
}

impl Send {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let Self { to, text } = self;
        let said = v1::Send { to, text };
        let client = context.client()?;
        let Acted { answer, rev } = context.act(&client, Verb::Send(said.clone())).await?;
        match answer {
            Reply::Sent(sent) => Ok(told(&said, &sent).rev(rev)),
            _ => Err(unexpected("a message")),
        }
    }
}

fn told(said: &v1::Send, sent: &v1::Sent) -> Answer {
    let data = json!({ "id": sent.id, "to": said.to, "inboxes": sent.to, "text": said.text });
    let inboxes = match sent.to {
        1 => "1 inbox".to_owned(),
        count => plural(count as usize, "inboxe"),
    };
    Answer::new("send", "sent", data).line("sent", [&sent.id, &said.to, &inboxes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_were_told() {
        let said = v1::Send { to: "docs".to_owned(), text: "mind it".to_owned() };
        let sent = |to| v1::Sent { id: "msg_0007".to_owned(), to };
        assert_eq!(told(&said, &sent(1)).text(), "sent     msg_0007  docs  1 inbox\n");
        let answer = told(&said, &sent(3));
        assert_eq!(answer.text(), "sent     msg_0007  docs  3 inboxes\n");
        assert!(answer.json().contains("\"inboxes\":3"), "{}", answer.json());
    }
}
