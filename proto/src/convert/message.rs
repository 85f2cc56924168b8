//! Messages: sending them, taking what one was told, and reports.

use molt_domain::board::{Command, Invalid};
use molt_domain::id::MessageId;
use molt_domain::report::{Full, Micro, Word};

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

impl TryFrom<v1::Report> for Command {
    type Error = Invalid;

    fn try_from(report: v1::Report) -> Result<Self, Invalid> {
        let v1::Report { task, status, line, output, next, resume, full } = report;
        let word = match full.as_str() {
            "" => Word::Micro(Micro::new([&status, &line, &output, &next, &resume])?),
            text => Word::Full(Full::parse(text)?),
        };
        Ok(Self::Report { about: field::optional("task", &task)?, word })
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
