//! What inboxes do not keep: the oldest of too many, the old, and what was for those who left.

use super::{Inbox, KEPT_FOR, MAX_INBOX, MAX_MESSAGES, Message};
use crate::board::Draft;
use crate::id::{MessageId, SessionId};

/// The message and the inbox that it leaves.
const WEIGHT: usize = 2;

/// Takes a bounded number of messages out of inboxes.
pub(crate) fn forget(draft: &mut Draft<'_>) {
    let board = draft.board();
    let index = board.index();
    let left = index.left_inboxes().flat_map(|id| index.inbox(id).map(move |it| (id, it)));
    let crowded = index.crowded_inboxes().flat_map(|id| {
        let excess = index.inbox(id).count() - MAX_INBOX;
        index.inbox(id).take(excess).map(move |it| (id, it))
    });
    let messages = &board.tables().messages;
    let excess = messages.len().saturating_sub(MAX_MESSAGES);
    let now = draft.now.board;
    let old = |at: usize, message: &Message| at < excess || now.since(message.at) >= KEPT_FOR;
    let oldest = messages.values().enumerate().take_while(|(at, message)| old(*at, message));
    let old = oldest.flat_map(|(_, message)| message.to.iter().map(|&id| (id, message.id)));
    for (session, message) in left.chain(crowded).chain(old) {
        if draft.room() < WEIGHT {
            return;
        }
        take_out(draft, session, message);
    }
}

/// Takes a message out of one inbox; the last one that it is in takes the record with it.
fn take_out(draft: &mut Draft<'_>, session: SessionId, id: MessageId) {
    let Some(mut message) = draft.tables.messages.get(&id).cloned() else { return };
    if !message.to.remove(&session) {
        return;
    }
    if message.to.is_empty() {
        draft.tables.messages.delete(&id);
    } else {
        draft.tables.messages.put(id, message);
    }
    if draft.tables.sessions.get(&session).is_some() {
        let inbox = draft.tables.inboxes.get(&session).copied().unwrap_or_default();
        let gone = inbox.gone.max(id);
        draft.tables.inboxes.put(session, Inbox { gone, ..inbox });
    }
}
