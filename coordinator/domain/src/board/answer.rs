//! A session's last answers, so that a repeated request has one effect and one answer.
//!
//! They are a ring of small records beside the session, not a list inside it:
//! a command rewrites one of them (ADR 0009).

use serde::{Deserialize, Serialize};

use crate::board::Reply;
use crate::id::SessionId;

/// How many answers a session keeps.
pub const KEPT: u64 = 16;

/// A place in a session's ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AnswerKey {
    /// Whose answer.
    pub session: SessionId,
    /// The request's number modulo [`KEPT`].
    pub place: u64,
}

impl AnswerKey {
    /// Where the answer to a session's request number `number` stands.
    #[must_use]
    pub fn of(session: SessionId, number: u64) -> Self {
        Self { session, place: number % KEPT }
    }

    /// Every place of a session's ring.
    pub(crate) fn all_of(session: SessionId) -> impl Iterator<Item = Self> {
        (0..KEPT).map(move |place| Self { session, place })
    }
}

impl From<AnswerKey> for String {
    fn from(key: AnswerKey) -> String {
        format!("{}/{:x}", key.session, key.place)
    }
}

impl TryFrom<String> for AnswerKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (session, place) =
            text.split_once('/').ok_or_else(|| format!("`{text}` is no answer key"))?;
        let session = session.parse().map_err(|error| format!("{error}"))?;
        let place = u64::from_str_radix(place, 16).map_err(|error| format!("{error}"))?;
        Ok(Self { session, place })
    }
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The request's number; numbers of a session only grow.
    pub number: u64,
    /// Digest of the request's content.
    pub digest: String,
    /// The answer, given again to a repetition.
    pub reply: Reply,
}
