//! Why somebody was told something, and who has taken it.

use super::{Why, first_line};
use crate::id::MessageId;
use crate::message::{Content, Message, Urgency};

impl Why<'_> {
    pub(super) fn message(&self, message: &Message) -> Vec<String> {
        let from = message.from.as_ref().map_or("the coordinator", |from| from.name.as_str());
        let text = message.content.to_string();
        let mut lines = vec![
            format!("{} of {from}, {}: {}", message.id, self.ago(message.at), first_line(&text)),
            format!("rule     {}", rule(message)),
        ];
        let inboxes = &self.board.tables.inboxes;
        let taken = |id: &MessageId, read: Option<MessageId>| read.is_some_and(|read| read >= *id);
        for session in &message.to {
            let read = inboxes.get(session).map(|inbox| inbox.read);
            let word = if taken(&message.id, read) { "taken by" } else { "waits for" };
            lines.push(format!("{word:<9}{}", self.name(*session)));
        }
        lines
    }
}

fn rule(message: &Message) -> &'static str {
    match (&message.content, message.urgency) {
        (Content::Said { .. }, _) => "it was sent to them, or to whoever held a scope",
        (Content::Announced { .. }, Urgency::Usual) => {
            "they held what was to be touched, or what is next to that"
        }
        (Content::Announced { .. }, Urgency::Risky) => {
            "they held or waited for what was to be touched, or what is next to that; it is risky"
        }
        (Content::Noted { .. }, _) => "it is about something that they had",
    }
}
