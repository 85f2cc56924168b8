//! The seam: what a store promises, who leads, and what can go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::commit::Commit;
use crate::head::{CommitId, FORMAT, Format, Head};
use crate::record::Record;

/// What lies below an error, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Where records are kept, under one leader at a time.
///
/// The store is a state machine of (head, records, leader). What must hold in every backend:
///
/// * **Every commit compares twice**: that the leadership is still the store's, and that the
///   store's head is still `expected`. Comparing the leader alone would let a commit that was
///   delayed on its way overwrite what the same leader wrote after giving it up.
/// * **Whole or not at all**: the records, the head and the compare are one atomic step. No
///   reader ever sees part of a commit, no crash leaves part of one.
/// * **`Ok` is durable** to the degree that [`Facts::durability`] names.
/// * **Every error but [`CommitError::Unknown`] is definite**: the commit has not been applied
///   and never will be. A backend that sends again by itself must answer `Unknown` when it
///   cannot tell what its first sending did.
/// * Dropping the future of a call that has begun is like the answer `Unknown`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Asks for the lead.
    ///
    /// On success every earlier leadership is over: nothing of it can be applied any more, even
    /// if it is still on its way. The term is greater than that of every campaign before, also
    /// of those before a restart. Records and head do not change.
    ///
    /// The candidate's format is looked at first: a program that is too old disturbs nobody.
    ///
    /// # Errors
    ///
    /// See [`CampaignError`]. After `Unavailable` an earlier leader may have been deposed.
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError>;

    /// Reads the head and all records, sorted by key, as of one moment at which `leadership`
    /// still held.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    async fn load(&self, leadership: &Leadership) -> Result<(Head, Vec<Record>), LoadError>;

    /// Applies `commit` if `leadership` still holds and the head is still `expected`; answers
    /// the new head, which is [`Head::after`].
    ///
    /// # Errors
    ///
    /// See [`CommitError`].
    async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError>;

    /// Shows that the leader is still there, where that must be shown ([`Tenure::Lease`]): no
    /// candidate can be given the lead before a ttl has passed since this call was sent. A commit
    /// shows the same.
    ///
    /// # Errors
    ///
    /// See [`TenureError`]. After `Unavailable` it may have been shown, or not.
    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError>;

    /// Gives the lead back, so that the next candidate need not wait for a ttl. Nothing of
    /// `leadership` can be applied any more.
    ///
    /// # Errors
    ///
    /// See [`TenureError`]. After `Unavailable` it may have been given back, or not.
    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError>;

    /// What kind of store this is.
    fn facts(&self) -> Facts;
}

/// Who asks for the lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What people call it.
    pub name: String,
    /// Where clients reach it.
    pub address: String,
    /// The version of its program, compared with [`Format::min_writer`].
    pub program: u32,
    /// The term that it is given is above this one, for a store that goes on where another ended.
    pub above: u64,
    /// What all candidates of a fleet must agree on, as text; opaque here.
    pub charter: String,
}

impl Candidate {
    /// This program, under `name`, reached at `address`.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        let (name, address) = (name.into(), address.into());
        Self { name, address, program: FORMAT.written, above: 0, charter: String::new() }
    }

    /// The same, whose term is to be above `term`.
    #[must_use]
    pub fn above(self, term: u64) -> Self {
        Self { above: term, ..self }
    }

    /// The same, which leads under `charter` and shows it to those who stand by.
    #[must_use]
    pub fn under(self, charter: String) -> Self {
        Self { charter, ..self }
    }
}

/// The right to write, as given by [`Store::campaign`] and by nothing else. It is not the lead
/// itself: whether it still holds, the store says with each answer.
#[derive(Clone, Debug)]
pub struct Leadership {
    term: u64,
    serial: Arc<AtomicU64>,
}

impl Leadership {
    pub(crate) fn new(term: u64) -> Self {
        Self { term, serial: Arc::new(AtomicU64::new(0)) }
    }

    /// The number of this leadership; it only grows from one campaign to the next.
    pub fn term(&self) -> u64 {
        self.term
    }

    pub(crate) fn next_commit_id(&self) -> CommitId {
        CommitId::new(self.term, self.serial.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What kind of store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The backend's name, as in the configuration.
    pub backend: &'static str,
    /// What `Ok` outlives.
    pub durability: Durability,
    /// How a leadership ends.
    pub tenure: Tenure,
}

/// What an acknowledged commit outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: it is gone with the process.
    Process,
    /// Loss of power on this machine.
    Disk,
    /// Loss of a minority of the store's machines.
    Quorum,
}

/// How a leadership ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// When another candidate takes the store. No clock is involved and no ttl needed.
    UntilTaken,
    /// When the leader has not been heard of for `ttl`, or gives the lead back. The leader counts
    /// too: it answers nothing from memory later than that after it was last heard.
    Lease {
        /// How long a silent leader is waited for.
        ttl: Duration,
    },
}

/// Why a campaign was not won.
#[derive(Debug, Error)]
pub enum CampaignError {
    /// Another candidate leads: stand by, and send clients there.
    #[error("`{name}` at {address} holds the lead")]
    Held {
        /// What people call the leader.
        name: String,
        /// Where clients reach it.
        address: String,
        /// What the leader says that all candidates must agree on.
        charter: String,
    },
    /// The program is too old for the records: upgrade it.
    #[error(
        "program of format {program} is too old: the records are of format {}, which needs a \
         reader of {} and a writer of {}",
        .format.written, .format.min_reader, .format.min_writer
    )]
    Format {
        /// The candidate's version.
        program: u32,
        /// The store's format.
        format: Format,
    },
    /// What is stored makes no sense: a person must look, or restore.
    #[error("{what} in the store is damaged")]
    Damaged {
        /// What is damaged.
        what: String,
        /// How it shows.
        #[source]
        cause: Cause,
    },
    /// No answer, or none that helps: try again.
    #[error("store is unavailable")]
    Unavailable(#[source] Cause),
}

/// Why nothing was loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The leadership is over.
    #[error("deposed: another candidate took the lead after term {term}")]
    Deposed {
        /// The term that is over.
        term: u64,
    },
    /// What is stored makes no sense: a person must look, or restore.
    #[error("{what} in the store is damaged")]
    Damaged {
        /// What is damaged.
        what: String,
        /// How it shows.
        #[source]
        cause: Cause,
    },
    /// No answer, or none that helps: try again.
    #[error("store is unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a leadership was not renewed or given back.
#[derive(Debug, Error)]
pub enum TenureError {
    /// The leadership is over.
    #[error("deposed: another candidate took the lead after term {term}")]
    Deposed {
        /// The term that is over.
        term: u64,
    },
    /// No answer, or none that helps: try again.
    #[error("store is unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a commit was not acknowledged.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The leadership is over: step down. The commit was not applied and never will be.
    #[error("deposed: another candidate took the lead after term {term}")]
    Deposed {
        /// The term that is over.
        term: u64,
    },
    /// The leadership holds but the head is another one. The commit was not applied and never
    /// will be.
    #[error("head is commit {} ({}), not the expected one", .head.number, .head.id)]
    Moved {
        /// The store's head.
        head: Head,
    },
    /// The store cannot take it now: full, locked or out of reach. The commit was not applied
    /// and never will be; try again later.
    #[error("store is unavailable")]
    Unavailable(#[source] Cause),
    /// The commit was applied, or not, or will be: [`settle`](crate::settle()) it before doing
    /// anything else.
    #[error("outcome of the commit is unknown")]
    Unknown(#[source] Cause),
}
