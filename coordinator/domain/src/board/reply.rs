//! What a command is answered.

use serde::{Deserialize, Serialize};

use crate::claim::Claim;
use crate::hold::Hold;
use crate::id::{CarId, ClaimId, HoldId, MessageId, SessionId, TaskId, TokenId};
use crate::name::AgentName;
use crate::report::Subject;
use crate::scope::{Pattern, ScopeName};
use crate::task::Task;

/// What a command is answered when it was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It is done; there is nothing to tell.
    Done,
    /// A session began or came back.
    Session {
        /// Its id.
        id: SessionId,
        /// Its name, made unique.
        name: AgentName,
        /// The epoch that its calls carry from now on.
        epoch: u64,
    },
    /// Scopes are held.
    Granted {
        /// The claim.
        claim: Box<Claim>,
        /// Whether the caller held it already.
        already: Already,
    },
    /// The request waits.
    Queued {
        /// The place in line.
        claim: ClaimId,
        /// How many are ahead.
        ahead: u32,
    },
    /// Scopes were given back.
    Released {
        /// Which.
        scopes: Vec<ScopeName>,
        /// The paths beside them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
    },
    /// Scopes are held for longer.
    Extended {
        /// Which; none, and no paths: nothing that is held ends by itself.
        scopes: Vec<ScopeName>,
        /// The paths beside them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
    },
    /// A message is in inboxes.
    Sent {
        /// The message; of several that say the same, the first.
        message: MessageId,
        /// In how many.
        to: usize,
    },
    /// Messages were taken: those between two cursors.
    Inbox {
        /// Whose.
        session: SessionId,
        /// The one that they come after.
        after: MessageId,
        /// The last of them.
        upto: MessageId,
    },
    /// A report is kept.
    Reported {
        /// Of what.
        about: Subject,
        /// What stands for it in one line.
        line: String,
    },
    /// A report came too late: it is refused, and kept as a note.
    Noted {
        /// Of which task.
        task: TaskId,
        /// Why it counts for nothing.
        reason: String,
    },
    /// Work was added.
    TaskAdded {
        /// Its id.
        task: TaskId,
    },
    /// Work was taken with its scopes.
    TaskTaken {
        /// The work.
        task: Box<Task>,
        /// The claim on its scopes; `None` for work without scopes.
        claim: Option<Box<Claim>>,
    },
    /// A lock or slot is held, or a build is to be run.
    Held {
        /// The hold.
        hold: Box<Hold>,
        /// Which slot of the pool; `None` for locks and builds.
        slot: Option<u32>,
    },
    /// A lock, slot or build is waited for.
    Waiting {
        /// The place in line.
        hold: HoldId,
        /// How many are ahead.
        ahead: u32,
    },
    /// The build is there.
    Built {
        /// Digest of its artifacts at this place.
        artifacts: Option<String>,
    },
    /// A change is in the train.
    Submitted {
        /// The car.
        car: CarId,
        /// How many are ahead.
        ahead: u32,
    },
    /// The bearer of a token is let in.
    TokenIssued {
        /// The token's id.
        token: TokenId,
    },
    /// What time called for was done; more may be left.
    Ticked {
        /// Whether another step is needed at once.
        more: More,
    },
}

/// Whether a grant is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Already {
    /// It is new.
    No,
    /// The caller held it before.
    Yes,
}

/// Whether a bounded step left something over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum More {
    /// All is done.
    No,
    /// Another step is needed.
    Yes,
}
