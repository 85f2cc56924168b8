//! Messages: what a session was told.

use molt_domain::board::{Board, Caller, Refusal};
use molt_domain::id::{MessageId, SessionId};
use molt_domain::message::{self, Content, Message, Page, Urgency};

use super::claim::risk;
use super::texts;
use crate::convert;
use crate::v1;

/// Risky messages that are shown before their turn.
const RISKY: usize = 3;

fn message(message: &Message) -> v1::MessageView {
    let from = message.from.as_ref();
    let view = v1::MessageView {
        id: message.id.to_string(),
        from: from.map(|from| from.name.to_string()).unwrap_or_default(),
        session: from.map(|from| from.session.to_string()).unwrap_or_default(),
        kind: message.content.word().to_owned(),
        text: message.content.to_string(),
        risky: message.urgency == Urgency::Risky,
        at_ms: message.at.0,
        ..v1::MessageView::default()
    };
    match &message.content {
        Content::Said { .. } => view,
        Content::Announced { scopes, files, tests, risk: level, note } => v1::MessageView {
            scopes: texts(scopes),
            files: files.clone(),
            tests: tests.clone(),
            risk: risk(*level).to_owned(),
            note: note.clone(),
            ..view
        },
        Content::Noted { about, .. } => v1::MessageView { about: about.clone(), ..view },
    }
}

/// The risky messages of a session after a cursor.
pub(super) fn risky(board: &Board, session: SessionId, after: MessageId) -> Vec<v1::MessageView> {
    let messages = message::after(board, session, after);
    let risky = messages.filter(|message| message.urgency == Urgency::Risky);
    risky.take(RISKY).map(message).collect()
}

/// What a caller was told after a cursor; nothing is taken.
pub(super) fn inbox(
    board: &Board,
    caller: &Caller,
    read: &v1::ReadInbox,
) -> Result<v1::InboxView, Box<Refusal>> {
    let (after, limit) = convert::page(read)?;
    let (session, page) = message::peek(board, caller, after, limit)?;
    let Page { after, messages, more } = &page;
    Ok(v1::InboxView {
        messages: messages.iter().copied().map(message).collect(),
        after: after.to_string(),
        cursor: page.upto().to_string(),
        more: u32::try_from(*more).unwrap_or(u32::MAX),
        risky: risky(board, session, page.upto()),
    })
}

/// What a session took between two cursors, as far as it is kept; a repeated answer may be about
/// messages that are gone since.
#[must_use]
pub fn taken(
    board: &Board,
    session: SessionId,
    after: MessageId,
    upto: MessageId,
) -> v1::InboxView {
    let between = message::after(board, session, after).take_while(|message| message.id <= upto);
    v1::InboxView {
        messages: between.map(message).collect(),
        after: after.to_string(),
        cursor: upto.to_string(),
        more: super::count(message::after(board, session, upto)),
        risky: risky(board, session, upto),
    }
}
