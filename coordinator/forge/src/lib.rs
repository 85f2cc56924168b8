//! Where changes are proposed and landed.
//!
//! [`Forge`] is the seam: read changes and heads, report, land. A landing moves
//! the base and the fence together, each expecting its old id, so that a leader
//! that was deposed, or an intent that was withdrawn, cannot land any more. Behind
//! it are any git remote ([`GitForge`]) and GitHub ([`github::GithubForge`]).
//! Everything here blocks: async callers go through `spawn_blocking`. Not here:
//! merging and reading trees (`molt-repo`), and what may land (`molt-domain`).

mod access;
mod error;
mod fence;
mod git;
pub mod github;
mod landing;
mod name;
mod oid;
mod program;

pub use access::{Access, Variables};
pub use error::ForgeError;
pub use fence::{FenceCommit, FenceMove, FenceRecord};
pub use git::GitForge;
pub use landing::{HeadMove, HeadMoved, Landed, Landing, ReadBack, Settled, Unheard, Withdrawn};
pub use name::{Branch, InvalidName, RefId};
pub use oid::{InvalidOid, Oid};
pub use program::{GitError, GitFailure};

/// A change that somebody proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Its id at the forge.
    pub change: RefId,
    /// Its head now.
    pub head: Oid,
}

/// What is said about a change, at the forge, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The change.
    pub change: RefId,
    /// The head that the report is about.
    pub head: Oid,
    /// One line: the state with its reason code.
    pub title: String,
    /// The explanation.
    pub text: String,
    /// When it was written, in seconds since 1970 UTC.
    pub time: u64,
}

/// What a forge is and promises, for `status` and for people who set one up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The backend: `git`, `github`.
    pub backend: &'static str,
    /// The remote's address without secrets.
    pub remote: String,
    /// How landings are fenced.
    pub fencing: Fencing,
}

/// How a landing is kept from happening after its leader was deposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// Base and fence move in one step that expects both old ids.
    Together,
    /// The base moves alone, and only forward. Whoever was deposed between its last look and its
    /// step still lands.
    BaseAlone,
}

impl std::fmt::Display for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { backend, remote, fencing } = self;
        let fencing = match fencing {
            Fencing::Together => "base and fence move together",
            Fencing::BaseAlone => "the base moves alone, so landings have no fence",
        };
        write!(f, "{backend} at {remote}: {fencing}")
    }
}

/// A place where changes are proposed and landed.
///
/// Each method is one exchange with the forge. Errors of methods that change
/// something mean that this call changed nothing; where that is not certain,
/// the answer says `Unknown` instead.
pub trait Forge: Send + Sync + std::fmt::Debug {
    /// What this forge is and promises.
    fn describe(&self) -> Description;

    /// Every proposed change with its head.
    fn changes(&self) -> Result<Vec<Proposed>, ForgeError>;

    /// The head of the branch that changes land on.
    fn base(&self, branch: &Branch) -> Result<Oid, ForgeError>;

    /// Proposes `head` as `change`, or moves the change there.
    fn publish_change(&self, change: &RefId, head: &Oid) -> Result<(), ForgeError>;

    /// Makes a candidate fetchable, so that machines test the object that lands.
    fn publish_candidate(&self, candidate: &RefId, commit: &Oid) -> Result<(), ForgeError>;

    /// Takes a candidate's ref away again, if it still names `commit`.
    fn retire_candidate(&self, candidate: &RefId, commit: &Oid) -> Result<(), ForgeError>;

    /// Makes a branch at `head`, unless there is one of that name: where that stands it stays.
    fn publish_branch(&self, branch: &Branch, head: &Oid) -> Result<(), ForgeError>;

    /// Takes a branch away again that still names `head`; another one, or none, is left as it is.
    fn retire_branch(&self, branch: &Branch, head: &Oid) -> Result<(), ForgeError>;

    /// Says something about a change, in place of what was said before.
    fn report(&self, report: &Report) -> Result<(), ForgeError>;

    /// The fence as it stands; `None` before the first landing.
    fn fence(&self) -> Result<Option<FenceCommit>, ForgeError>;

    /// The move of the fence from `expected` to `record`, not yet made. The same
    /// arguments always give the same move, so that an intent can be redone.
    fn next_fence(
        &self,
        expected: Option<&Oid>,
        record: &FenceRecord,
    ) -> Result<FenceMove, ForgeError>;

    /// Moves base and fence together, if both stand where the landing expects
    /// them. Never to be repeated after `Unknown`: [`Forge::settle`] it.
    fn land(&self, landing: &Landing) -> Result<Landed, ForgeError>;

    /// Moves the fence alone, which kills every landing that expects the old one.
    fn withdraw(&self, fence: &FenceMove) -> Result<Withdrawn, ForgeError>;

    /// Moves the branch that a change's head is on, if it stands where the step expects it: what
    /// somebody pushed there meanwhile is never lost. No fence is asked.
    fn move_head(&self, step: &HeadMove) -> Result<HeadMoved, ForgeError>;

    /// Where base and fence stand now, read in one exchange.
    fn read_back(&self, branch: &Branch) -> Result<ReadBack, ForgeError>;

    /// What became of a landing, decided by ancestry.
    fn settle(&self, landing: &Landing) -> Result<Settled, ForgeError>;
}
