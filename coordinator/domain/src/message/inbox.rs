//! Reading: what is for one session, after a cursor that only it moves.
//!
//! A look consumes nothing and is no command. Whoever comes back for what is
//! gone is told so: an empty page means that there was nothing.

use serde::{Deserialize, Serialize};

use super::Message;
use crate::board::{Board, Caller, Draft, Event, Invalid, Refusal, Reply};
use crate::fault::fault;
use crate::id::{MessageId, SessionId};
use crate::session::{self, Session};

/// How far a session has read, and from where on its messages are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// The last message that its agent took.
    pub read: MessageId,
    /// The last message that is not kept for it any more.
    pub gone: MessageId,
}

impl MessageId {
    /// The cursor before every message.
    pub const START: Self = Self::from_counter(0);
}

impl Default for Inbox {
    /// Of somebody who was told nothing yet.
    fn default() -> Self {
        Self { read: MessageId::START, gone: MessageId::START }
    }
}

/// What stands in an inbox after a cursor.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<'a> {
    /// The cursor that it begins after.
    pub after: MessageId,
    /// Oldest first; not empty.
    pub messages: Vec<&'a Message>,
    /// How many more there are behind it.
    pub more: usize,
}

impl Page<'_> {
    /// The cursor behind it.
    #[must_use]
    pub fn upto(&self) -> MessageId {
        self.messages.last().map_or(self.after, |message| message.id)
    }
}

/// How many messages a session has not taken.
#[must_use]
pub fn unread(board: &Board, session: SessionId) -> usize {
    after(board, session, of(board, session).read).count()
}

/// The last message that a session took.
#[must_use]
pub fn cursor(board: &Board, session: SessionId) -> MessageId {
    of(board, session).read
}

/// The messages of a session after a cursor, as far as they are kept, oldest first.
pub fn after(
    board: &Board,
    session: SessionId,
    cursor: MessageId,
) -> impl Iterator<Item = &Message> {
    let messages = &board.tables().messages;
    let ids = board.index().inbox(session).skip_while(move |id| *id <= cursor);
    ids.filter_map(|id| messages.get(&id).map(AsRef::as_ref))
}

fn of(board: &Board, session: SessionId) -> Inbox {
    board.tables().inboxes.get(&session).map(|inbox| **inbox).unwrap_or_default()
}

/// The messages of a session after a cursor, `limit` at most; `None`: after what it took last.
///
/// # Errors
///
/// [`Refusal::CursorExpired`] when messages after the cursor are gone,
/// [`Refusal::NothingNew`] when there are none.
fn page(
    board: &Board,
    session: SessionId,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Page<'_>, Box<Refusal>> {
    let inbox = of(board, session);
    let after = after.unwrap_or(inbox.read);
    if after.counter() > board.ledger().counter {
        let problem = format!("{after} is newer than every message");
        return Err(Invalid::field("since", problem).into());
    }
    if after < inbox.gone && !fault!(ExpiredCursorPasses) {
        return Err(Refusal::CursorExpired { cursor: after, oldest: inbox.gone }.into());
    }
    let mut rest = self::after(board, session, after);
    let messages: Vec<&Message> = rest.by_ref().take(limit.max(1)).collect();
    if messages.is_empty() {
        return Err(Refusal::NothingNew { cursor: after }.into());
    }
    Ok(Page { after, messages, more: rest.count() })
}

/// The same for whoever proves to be a session, and which one it is. Nothing is taken.
///
/// # Errors
///
/// The caller is no living session; else as [`page`].
pub fn peek<'a>(
    board: &'a Board,
    caller: &Caller,
    after: Option<MessageId>,
    limit: usize,
) -> Result<(SessionId, Page<'a>), Box<Refusal>> {
    let Caller::Session(shown) = caller else {
        let (what, needs) = ("an inbox".to_owned(), "a session: run `molt-agent join`".to_owned());
        return Err(Refusal::Forbidden { what, needs }.into());
    };
    let session = session::check(board.tables(), shown)?;
    Ok((session.id, page(board, session.id, after, limit)?))
}

/// Takes the messages after a cursor: the next reader without one begins behind them.
pub(crate) fn read(
    draft: &mut Draft<'_>,
    session: &Session,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Reply, Box<Refusal>> {
    let board = draft.board();
    let page = page(board, session.id, after, limit)?;
    let (after, upto) = (page.after, page.upto());
    let inbox = of(board, session.id);
    if upto > inbox.read {
        draft.record(Event::InboxRead { session: session.id, upto });
        draft.tables.inboxes.put(session.id, Inbox { read: upto, ..inbox });
    }
    Ok(Reply::Inbox { session: session.id, after, upto })
}
