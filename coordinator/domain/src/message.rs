//! What agents are told: by each other, and by the coordinator.
//!
//! A message is one record with everybody whom it is for; an inbox is what is
//! for one session, read through a cursor that only its own agent moves. Not
//! here: the audit, which has what happened to anybody.

mod audience;
mod deliver;
mod forget;
mod inbox;
mod send;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::board::display_list;
use crate::id::{BoardTime, ClaimId, MessageId, SessionId};
use crate::name::{AgentName, RepoName};
use crate::scope::{Risk, ScopeName};

pub(crate) use self::audience::{Audience, audience};
pub(crate) use self::deliver::{announced, has_words, notify, notify_all};
pub(crate) use self::forget::forget;
pub(crate) use self::inbox::read;
pub use self::inbox::{Inbox, Page, after, cursor, peek, unread};
pub(crate) use self::send::send;
pub use self::send::{Addressee, InvalidAddressee};

/// The longest text that an agent sends, in bytes: what is longer belongs into a file.
pub const MAX_TEXT: usize = 2000;

/// Messages that are kept for one session; older ones are gone for it, read or not.
pub const MAX_INBOX: usize = 100;

/// Messages that are kept in all.
pub const MAX_MESSAGES: usize = 5000;

/// How long a message is kept, in board time: who comes back later reads the state.
pub const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Sessions that one record names at most; a message for more is several records.
pub const MAX_NAMED: usize = 500;

/// Something that agents are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id. A cursor of an inbox is the id of the last message before it.
    pub id: MessageId,
    /// The repository.
    pub repo: RepoName,
    /// Who told it; `None`: the coordinator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Sender>,
    /// What it says.
    pub content: Content,
    /// How soon it should be read.
    #[serde(default)]
    pub urgency: Urgency,
    /// For whom it is, and for whom it is still kept; not empty.
    pub to: BTreeSet<SessionId>,
    /// When it was told.
    pub at: BoardTime,
}

/// The session that told something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The session.
    pub session: SessionId,
    /// Its agent's name.
    pub name: AgentName,
    /// Its epoch at that moment.
    pub epoch: u64,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Content {
    /// What an agent wrote.
    Said {
        /// Its words.
        text: String,
    },
    /// What a holder is about to change.
    Announced {
        /// What it holds.
        scopes: Vec<ScopeName>,
        /// The files that it will touch.
        files: Vec<String>,
        /// The tests that are expected to matter.
        tests: Vec<String>,
        /// How risky the work is.
        risk: Risk,
        /// A line for the others.
        note: String,
    },
    /// What the coordinator did with something of the reader's.
    Noted {
        /// Its id.
        about: String,
        /// What happened to it.
        text: String,
    },
}

impl Content {
    /// The kind in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Said { .. } => "said",
            Self::Announced { .. } => "announced",
            Self::Noted { .. } => "noted",
        }
    }
}

/// On one line.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { text } => f.write_str(text),
            Self::Announced { scopes, files, note, .. } => {
                if !scopes.is_empty() {
                    write!(f, "{}: ", display_list(scopes))?;
                }
                f.write_str(&files.join(" "))?;
                if note.is_empty() { Ok(()) } else { write!(f, " ({note})") }
            }
            Self::Noted { about, text } => write!(f, "{about} {text}"),
        }
    }
}

/// How soon a message should be read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// In its turn.
    #[default]
    Usual,
    /// Before the others: a risky change is coming.
    Risky,
}

/// What the holder of a claim announced: scope, files, expected tests, risk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// The claim.
    pub claim: ClaimId,
    /// The files that will be touched.
    pub files: Vec<String>,
    /// The tests that are expected to matter.
    pub tests: Vec<String>,
    /// How risky the work is.
    pub risk: Risk,
    /// A line for the others.
    pub note: String,
    /// When it was said last.
    pub at: BoardTime,
}
