//! Messages: sending them, and taking what one was told.

use molt_domain::board::{Command, Invalid};
use molt_domain::id::MessageId;

use super::field;
use crate::v1;

/// Messages that are taken at once at most.
const MOST: usize = 50;

impl TryFrom<v1::Send> for Command {
    type Error = Invalid;

    fn try_from(send: v1::Send) -> Result<Self, Invalid> {
        Ok(Self::Send { to: field::parse("to", &send.to)?, text: send.text })
    }
}

impl TryFrom<v1::ReadInbox> for Command {
    type Error = Invalid;

    fn try_from(read: v1::ReadInbox) -> Result<Self, Invalid> {
        let (after, limit) = page(&read)?;
        Ok(Self::ReadInbox { after, limit })
    }
}

/// After which message an inbox is read, and how much of it.
pub(crate) fn page(read: &v1::ReadInbox) -> Result<(Option<MessageId>, usize), Invalid> {
    let after = field::optional("after", &read.after)?;
    let limit = match read.limit {
        0 => MOST,
        limit => MOST.min(limit as usize),
    };
    Ok((after, limit))
}
